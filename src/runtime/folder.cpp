#include "runtime/folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace amphi::runtime {

bool is_folder(const std::string& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

int open_below(const std::string& root, std::string_view below) {
  int folder = ::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  while (folder >= 0) {
    while (below.starts_with('/')) below.remove_prefix(1);
    const auto end = below.find('/');
    const std::string part(below.substr(0, end));
    const bool plain = !part.empty() && part != "." && part != "..";
    const bool last = end == std::string_view::npos;
    // O_NONBLOCK: a named pipe must not wait for its writer.
    const int next = plain ? ::openat(folder, part.c_str(), (last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY) | O_CLOEXEC | O_NOFOLLOW) : -1;
    const int error = plain ? errno : ENOENT;
    ::close(folder);
    errno = error;
    if (last || next < 0) return next;
    folder = next;
    below.remove_prefix(end);
  }
  return -1;
}

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
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
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
