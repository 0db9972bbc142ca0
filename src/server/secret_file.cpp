#include "server/secret_file.h"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "runtime/file_writer.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;

/// Whether others may pass each folder down to it.
bool is_reachable_by_others(const fs::path& file) {
  if (file.empty()) return true;
  for (fs::path folder = file.parent_path();; folder = folder.parent_path()) {
    struct stat found {};
    if (::stat(folder.c_str(), &found) != 0 || (found.st_mode & S_IXOTH) == 0) return false;
    if (folder == folder.root_path()) return true;
  }
}

std::string octal(mode_t mode) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode & 07777));
  return text.data();
}

}  // namespace

Result<std::string> read_secret(const std::string& path, std::size_t limit) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return fail(errno == ENOENT ? ErrorCode::not_found : ErrorCode::storage, path + ": " + std::generic_category().message(errno));
  if (!S_ISREG(found.st_mode)) return fail(ErrorCode::invalid_argument, path + " is not a regular file, as a secret must be");
  std::error_code error;
  if ((found.st_mode & (S_IROTH | S_IWOTH)) != 0 && is_reachable_by_others(fs::canonical(path, error)))
    return fail(ErrorCode::forbidden, path + " is a secret, and every user of this machine can " + ((found.st_mode & S_IROTH) != 0 ? "read" : "change") + " it (mode " + octal(found.st_mode) +
                                          "). Make it private: chmod 600 " + path + " (640, where a group may read it)");
  return runtime::read_file(path, limit, runtime::Links::follow);
}

}  // namespace amphi::server
