#include "runtime/folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace amphi::runtime {

std::optional<std::uint64_t> Folder::size(const std::string& name) const {
  struct stat found {};
  if (::lstat((path_ + "/" + name).c_str(), &found) != 0 || !S_ISREG(found.st_mode)) return std::nullopt;
  return static_cast<std::uint64_t>(found.st_size);
}

std::vector<std::string> Folder::names() const {
  std::vector<std::string> found;
  std::error_code error;
  for (std::filesystem::directory_iterator at(path_, error), end; !error && at != end; at.increment(error))
    if (std::string name = at->path().filename(); size(name)) found.push_back(std::move(name));
  return found;
}

Result<Bytes> Folder::read(const std::string& name, std::uint64_t at, std::uint64_t count) const {
  const std::string path = path_ + "/" + name;
  const auto there = size(name);
  if (!there) return fail(ErrorCode::not_found, path + " does not exist");
  if (at > *there || count > *there - at) return fail(ErrorCode::storage, path + " ends before");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  Bytes data(static_cast<std::size_t>(count));
  int error = fd < 0 ? errno : 0;
  for (std::size_t got = 0; error == 0 && got < data.size();) {
    const ssize_t more = ::pread(fd, data.data() + got, data.size() - got, static_cast<off_t>(at + got));
    if (more < 0 && errno != EINTR) error = errno;
    if (more == 0) error = EIO;  // it shrank
    if (more > 0) got += static_cast<std::size_t>(more);
  }
  if (fd >= 0) ::close(fd);
  if (error != 0) return fail(ErrorCode::storage, "read " + path + ": " + std::generic_category().message(error));
  return data;
}

}  // namespace amphi::runtime
