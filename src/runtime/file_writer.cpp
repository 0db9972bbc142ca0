#include "runtime/file_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <system_error>

namespace amphi::runtime {
namespace {

constexpr mode_t kFileMode = 0640, kFolderMode = 0750;

std::string name_of(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

tl::unexpected<Error> storage_error(const std::string& what, const std::string& path, int error_number) {
  return fail(ErrorCode::storage, what + " " + name_of(path) + ": " + std::generic_category().message(error_number));
}

/// Closes on the way out.
struct Descriptor {
  int fd = -1;
  explicit Descriptor(int value) : fd(value) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> write_all(int fd, std::uint64_t offset, ByteView data, const std::string& path) {
  while (!data.empty()) {
    const ssize_t written = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return storage_error("write", path, errno);
    }
    offset += static_cast<std::uint64_t>(written);
    data = data.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

/// False: errno says why.
bool make_folder(const std::string& path) { return ::mkdir(path.c_str(), kFolderMode) == 0 && (::chmod(path.c_str(), kFolderMode) == 0 || errno == EPERM); }

}  // namespace

Result<void> sync_folder(const std::string& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.fd < 0) return storage_error("open", path, errno);
  if (::fsync(folder.fd) != 0) return storage_error("fsync", path, errno);
  return {};
}

Result<std::string> read_file(const std::string& path, std::size_t limit, Links links) {
  // O_NONBLOCK: a named pipe must not wait for its writer.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | (links == Links::refuse ? O_NOFOLLOW : 0)));
  if (file.fd < 0) {
    if (errno == ENOENT) return fail(ErrorCode::not_found, path + " does not exist");
    if (errno == ELOOP && links == Links::refuse) return fail(ErrorCode::storage, path + " is a symbolic link, which is not followed");
    return fail(ErrorCode::storage, "open " + path + ": " + std::generic_category().message(errno));
  }
  struct stat found {};
  if (::fstat(file.fd, &found) != 0 || !S_ISREG(found.st_mode)) return fail(ErrorCode::storage, path + " is not a regular file");
  std::string text;
  std::array<char, 16384> piece;
  while (true) {
    const ssize_t got = ::read(file.fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return storage_error("read", path, errno);
    if (got == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(got));
    if (text.size() > limit) return fail(ErrorCode::limit_exceeded, path + " is too large");
  }
}

void make_private(int fd) {
  // A file system without modes keeps its own.
  [[maybe_unused]] const int done = ::fchmod(fd, kFileMode);
}

Result<void> create_folders(const std::string& path) {
  if (path.empty()) return fail(ErrorCode::storage, "a folder needs a name");
  if (make_folder(path)) return sync_folder(parent_of(path));
  if (errno == ENOENT) {
    if (auto parent = create_folders(parent_of(path)); !parent) return parent;
    if (make_folder(path)) return sync_folder(parent_of(path));
  }
  if (errno != EEXIST) return storage_error("mkdir", path, errno);
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return storage_error("stat", path, errno);
  if (!S_ISDIR(found.st_mode)) return storage_error("mkdir", path, ENOTDIR);
  return {};
}

Result<void> replace_file(const std::string& path, ByteView data) {
  const std::string temporary = path + ".new";
  auto renamed = [&]() -> Result<void> {
    ::unlink(temporary.c_str());  // left by a crash, or a link that somebody has put there
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode));
    if (file.fd < 0) return storage_error("open", temporary, errno);
    make_private(file.fd);
    if (auto written = write_all(file.fd, 0, data, temporary); !written) return written;
    if (::fsync(file.fd) != 0) return storage_error("fsync", temporary, errno);
    if (::rename(temporary.c_str(), path.c_str()) != 0) return storage_error("rename", path, errno);
    return {};
  }();
  if (renamed) return sync_folder(parent_of(path));
  ::unlink(temporary.c_str());  // a full disk has no room for it
  return renamed;
}

Result<void> overwrite_file(const std::string& path, std::string text) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat found {};
  if (file.fd < 0 || ::fstat(file.fd, &found) != 0) return storage_error("open", path, errno);
  const auto size = static_cast<std::size_t>(found.st_size);
  if (size < text.size()) return fail(ErrorCode::storage, name_of(path) + " has no room");
  text.resize(size, ' ');
  if (auto written = write_all(file.fd, 0, as_bytes(text), path); !written) return written;
  if (::fdatasync(file.fd) != 0) return storage_error("fdatasync", path, errno);
  return {};
}

Result<void> write_again(const std::string& path, std::string_view text) {
  constexpr std::size_t kEnd = 1024 * 1024;
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.fd < 0) return storage_error("open", path, errno);
  const std::size_t from = text.size() - std::min(text.size(), kEnd);
  if (auto written = write_all(file.fd, from, as_bytes(text.substr(from)), path); !written) return written;
  if (::fdatasync(file.fd) != 0) return storage_error("fdatasync", path, errno);
  return {};
}

FileWriter::FileWriter(std::string folder) : folder_(std::move(folder)) {}

FileWriter::~FileWriter() {
  for (auto& [number, file] : files_)
    if (file.fd >= 0) ::close(file.fd);
}

Result<void> FileWriter::open(Number file, const std::string& name) {
  const std::string path = folder_ + "/" + name;
  if (name.empty() || name.find('/') != std::string::npos || name.front() == '.')
    return fail(ErrorCode::invalid_argument, "not a plain file name: " + name);
  if (files_.count(file)) return fail(ErrorCode::invalid_argument, "file number used twice: " + name);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode);
  if (fd < 0) return storage_error("create", path, errno);
  make_private(fd);
  files_[file] = File{path, fd, false};
  return {};
}

Result<void> FileWriter::reopen(Number file, const std::string& name, std::uint64_t size) {
  const std::string path = folder_ + "/" + name;
  if (name.empty() || name.find('/') != std::string::npos || name.front() == '.')
    return fail(ErrorCode::invalid_argument, "not a plain file name: " + name);
  if (files_.count(file)) return fail(ErrorCode::invalid_argument, "file number used twice: " + name);
  Descriptor opened(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  struct stat found {};
  if (opened.fd < 0 || ::fstat(opened.fd, &found) != 0) return storage_error("open", path, errno);
  if (static_cast<std::uint64_t>(found.st_size) < size) return fail(ErrorCode::storage, name + " is shorter than it was");
  if (::ftruncate(opened.fd, static_cast<off_t>(size)) != 0) return storage_error("truncate", path, errno);
  files_[file] = File{path, std::exchange(opened.fd, -1), false};
  return {};
}

Result<void> FileWriter::remove(const std::string& name) {
  const std::string path = folder_ + "/" + name;
  if (name.empty() || name.find('/') != std::string::npos || name.front() == '.')
    return fail(ErrorCode::invalid_argument, "not a plain file name: " + name);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return storage_error("remove", path, errno);
  return sync_folder(folder_);
}

Result<FileWriter::File*> FileWriter::find_open(Number file, const char* what) {
  const auto found = files_.find(file);
  if (found == files_.end() || found->second.fd < 0)
    return fail(ErrorCode::invalid_state, std::string(what) + ": file " + std::to_string(file) + " is not open");
  return &found->second;
}

Result<void> FileWriter::write(Number file, std::uint64_t offset, ByteView data) {
  const auto found = find_open(file, "write");
  if (!found) return tl::unexpected(found.error());
  return write_all((*found)->fd, offset, data, (*found)->path);
}

Result<void> FileWriter::sync(Number file) {
  const auto found = find_open(file, "sync");
  if (!found) return tl::unexpected(found.error());
  if (::fdatasync((*found)->fd) != 0) return storage_error("fdatasync", (*found)->path, errno);
  struct stat written {}, there {};
  if (::fstat((*found)->fd, &written) != 0) return storage_error("fstat", (*found)->path, errno);
  if (::lstat((*found)->path.c_str(), &there) != 0 || there.st_ino != written.st_ino || there.st_dev != written.st_dev)
    return fail(ErrorCode::storage, name_of((*found)->path) + " was removed, or moved away, while it was being written");
  if (!(*found)->name_synced) {
    if (auto synced = sync_folder(folder_); !synced) return synced;
    (*found)->name_synced = true;
  }
  return {};
}

Result<void> FileWriter::close(Number file) {
  const auto found = find_open(file, "close");
  if (!found) return tl::unexpected(found.error());
  const int fd = (*found)->fd;
  (*found)->fd = -1;
  if (::close(fd) != 0 && errno != EINTR) return storage_error("close", (*found)->path, errno);
  return {};
}

Result<Sha256Digest> FileWriter::hash(Number file, const std::function<bool()>& stopped) const {
  const auto found = files_.find(file);
  if (found == files_.end()) return fail(ErrorCode::invalid_state, "hash: file " + std::to_string(file) + " is unknown");
  const std::string& path = found->second.path;
  const Descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (opened.fd < 0) return storage_error("open", path, errno);
  constexpr std::size_t kPiece = 1 << 20;
  const auto piece = std::make_unique<std::byte[]>(kPiece);
  Sha256 digest;
  while (true) {
    if (stopped && stopped()) return fail(ErrorCode::disconnected, "hash: stopped");
    const ssize_t got = ::read(opened.fd, piece.get(), kPiece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return storage_error("read", path, errno);
    if (got == 0) return digest.finish();
    digest.update(ByteView(piece.get(), static_cast<std::size_t>(got)));
  }
}

Result<void> FileWriter::replace(const std::string& name, ByteView data) {
  return replace_file(folder_ + "/" + name, data);
}

}  // namespace amphi::runtime
