#include "server/disk_space.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <system_error>

namespace amphi::server {

Result<std::uint64_t> free_bytes(const std::string& path) {
  struct statvfs found {};
  if (::statvfs(path.c_str(), &found) != 0) return fail(ErrorCode::storage, "free space: " + std::generic_category().message(errno));
  return static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
}

Result<FolderId> folder_id(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return fail(ErrorCode::storage, path + ": " + std::generic_category().message(errno));
  if (!S_ISDIR(found.st_mode)) return fail(ErrorCode::storage, path + ": " + std::generic_category().message(ENOTDIR));
  return FolderId{found.st_dev, found.st_ino};
}

void SpaceForecast::add(std::uint64_t free, Time now) {
  if (!looks_.empty() && free > looks_.back().free + looks_.back().free / 8) looks_.clear();  // somebody made room
  looks_.push_back({now, free});
  while (looks_.size() > 2 && now - looks_[1].at >= kWindow) looks_.pop_front();
}

std::optional<Duration> SpaceForecast::left(std::uint64_t reserve) const {
  if (looks_.empty()) return std::nullopt;
  const Look& first = looks_.front();
  const Look& last = looks_.back();
  if (last.free <= reserve) return Duration::zero();
  if (last.at - first.at < kLeast || last.free >= first.free) return std::nullopt;
  const double per_second = static_cast<double>(first.free - last.free) / std::chrono::duration<double>(last.at - first.at).count();
  const double seconds_left = static_cast<double>(last.free - reserve) / per_second;
  if (seconds_left > 365.0 * 86'400) return std::nullopt;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds_left));
}

}  // namespace amphi::server
