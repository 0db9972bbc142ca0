#include "server/folder_lock.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>

#include "runtime/clock.h"

namespace amphi::server {
namespace {

constexpr const char* kLockName = "/.amphi-server.lock";
constexpr Duration kDying = std::chrono::seconds(1);            // a process that was killed ends by then
constexpr auto kLookEvery = std::chrono::milliseconds(10);
constexpr std::int64_t kJustNowMs = 3000;
constexpr auto kGrows = std::chrono::milliseconds(300), kGrowsUnseen = std::chrono::milliseconds(1500);  // a running recording's journal has a line a second

tl::unexpected<Error> in_use(const std::string& root, const std::string& holder) {
  return fail(ErrorCode::invalid_state, "The recordings folder " + root + " is in use by " + holder + ". Stop that process, or give this one another folder with --recordings.");
}

/// Locks the folder itself: this needs no room, no right to write, and no file that somebody could remove. -1 with errno.
int lock_folder(const std::string& root, Time until) {
  const int fd = ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -1;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    const int error = errno;
    if (error == EWOULDBLOCK && runtime::now() < until) {
      std::this_thread::sleep_for(kLookEvery);
      continue;
    }
    ::close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

/// A read lease (fcntl(2), F_SETLEASE) is refused while the file is open for writing. nullopt: the file is missing, or there are no leases.
std::optional<bool> has_writer(const std::string& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return std::nullopt;
  std::optional<bool> writer;
  if (::fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
    ::fcntl(fd, F_SETLEASE, F_UNLCK);
    writer = false;
  } else if (errno == EAGAIN) {
    writer = true;
  }
  ::close(fd);
  return writer;
}

struct Stamp {
  std::int64_t size = 0, changed_ns = 0;
  bool operator==(const Stamp&) const = default;
};
std::optional<Stamp> stamp_of(const std::string& file) {
  struct stat found {};
  if (::lstat(file.c_str(), &found) != 0 || !S_ISREG(found.st_mode)) return std::nullopt;
  return Stamp{found.st_size, found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec};
}

bool is_recent(const Stamp& stamp) { return std::abs(runtime::wall_now().unix_ms - stamp.changed_ns / 1'000'000) < kJustNowMs; }

}  // namespace

Result<FolderLock> FolderLock::take(const std::string& root) {
  const Time until = runtime::now() + kDying;
  const std::string path = root + kLockName;
  const int folder = lock_folder(root, until);
  if (folder < 0 && errno == EWOULDBLOCK) return in_use(root, runtime::lock_holder(path));
  FolderLock lock(folder, std::nullopt);
  auto file = runtime::LockFile::take(path, until - runtime::now());
  if (file) {
    lock.file_.emplace(std::move(*file));
    return lock;
  }
  if (file.error().code == ErrorCode::invalid_state) return in_use(root, file.error().message);
  if (folder < 0) return fail(ErrorCode::unsupported, "The recordings folder " + root + " cannot be locked (" + file.error().message + "), so two servers could damage its recordings. Use a file system with locks.");
  spdlog::warn("{}: the lock file cannot be written; the folder itself is locked", file.error().message);
  return lock;
}

FolderLock::FolderLock(FolderLock&& other) noexcept : folder_(std::exchange(other.folder_, -1)), file_(std::move(other.file_)) {}

FolderLock::~FolderLock() {
  file_.reset();
  if (folder_ >= 0) ::close(folder_);
}

bool is_open_for_writing(const std::string& file) { return has_writer(file).value_or(false); }

std::vector<std::string> being_written(const std::vector<std::string>& files) {
  std::vector<std::string> found;
  std::vector<std::pair<std::string, Stamp>> recent;
  bool leases = true;
  for (const std::string& file : files) {
    const auto stamp = stamp_of(file);
    if (!stamp || !is_recent(*stamp)) continue;
    const auto writer = has_writer(file);
    leases &= writer.has_value();
    if (writer.value_or(false)) found.push_back(file);
    else recent.emplace_back(file, *stamp);
  }
  if (!recent.empty()) std::this_thread::sleep_for(leases ? kGrows : kGrowsUnseen);
  for (const auto& [file, before] : recent)
    if (stamp_of(file) != before) found.push_back(file);
  return found;
}

}  // namespace amphi::server
