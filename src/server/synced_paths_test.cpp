#include "server/synced_paths.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <mutex>

namespace {

std::mutex mutex;
bool noting = false;
std::vector<std::string> synced;

int note(int fd, long result) {
  std::lock_guard lock(mutex);
  if (result != 0 || !noting) return static_cast<int>(result);
  std::array<char, 4096> path;
  const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.data(), path.size());
  if (size > 0) synced.emplace_back(path.data(), static_cast<std::size_t>(size));
  return 0;
}

}  // namespace

// In the C library's place, for the whole of this program.
extern "C" int fsync(int fd) { return note(fd, syscall(SYS_fsync, fd)); }
extern "C" int fdatasync(int fd) { return note(fd, syscall(SYS_fdatasync, fd)); }

namespace amphi::server {

SyncedPaths::SyncedPaths() {
  std::lock_guard lock(mutex);
  synced.clear();
  noting = true;
}
SyncedPaths::~SyncedPaths() {
  std::lock_guard lock(mutex);
  noting = false;
}
std::vector<std::string> SyncedPaths::of(const std::vector<std::string>& paths) const {
  std::lock_guard lock(mutex);
  std::vector<std::string> found;
  std::copy_if(synced.begin(), synced.end(), std::back_inserter(found), [&](const auto& path) { return std::find(paths.begin(), paths.end(), path) != paths.end(); });
  return found;
}

}  // namespace amphi::server
