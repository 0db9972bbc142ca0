#include "server/space_watch.h"

#include <string>
#include <utility>

namespace amphi::server {
namespace {

std::string megabytes(std::uint64_t bytes) { return std::to_string(bytes / 1'000'000) + " MB"; }

std::string full_in(std::int64_t minutes) {
  if (minutes == 0) return "The disk for recordings will be full in less than a minute.";
  return "The disk for recordings will be full in about " + std::to_string(minutes) + (minutes == 1 ? " minute." : " minutes.");
}

}  // namespace

Result<void> SpaceWatch::check_start(std::uint64_t free) const {
  if (free >= reserve_) return {};
  return fail(ErrorCode::storage, "The disk for recordings has " + megabytes(free) + " left; a recording begins with at least " +
                                      megabytes(reserve_) + " (--recording-reserve-mb). Make room, or record elsewhere.");
}

bool SpaceWatch::look(std::uint64_t free, Time now) {
  skip(now);
  forecast_.add(free, now);
  const auto left = forecast_.left(reserve_ / 2);
  if (reserve_ > 0 && left == Duration::zero()) {
    full_ = Error{ErrorCode::storage, "The disk for recordings is full: " + megabytes(free) + " are left. The recording was ended while it could be completed."};
    return true;
  }
  std::optional<recording::StorageWarning> warning;
  if (left && *left < kWarnBelow) {
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(*left).count();
    warning = recording::StorageWarning{"storage_low", full_in(minutes), minutes};
  }
  if (warning == warning_) return false;
  warning_ = std::move(warning);
  return true;
}

}  // namespace amphi::server
