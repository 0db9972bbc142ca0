// Whether a recording finds room: before it begins, and while it runs. Pure. Thread: its recording writer's.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "recording/storage_watch.h"
#include "server/disk_space.h"

namespace amphi::server {

class SpaceWatch {
 public:
  static constexpr Duration kLookEvery = 1s;
  static constexpr Duration kWarnBelow = std::chrono::minutes(30);

  /// `reserve`: bytes that must be free to begin; at half of it a recording is ended while it can be. 0: no limit.
  explicit SpaceWatch(std::uint64_t reserve) : reserve_(reserve) {}

  /// Errors: storage.
  Result<void> check_start(std::uint64_t free) const;
  bool is_due(Time now) const { return now >= look_at_ && !full_; }
  /// Nobody knows how much is free at that time.
  void skip(Time now) { look_at_ = now + kLookEvery; }
  /// True: the warning is another now, or it is full.
  bool look(std::uint64_t free, Time now);
  /// nullopt: nothing is foreseen.
  const std::optional<recording::StorageWarning>& warning() const { return warning_; }
  /// Why it is to be ended; nullopt: there is room. Once set it stays.
  const std::optional<Error>& full() const { return full_; }

 private:
  std::uint64_t reserve_;
  SpaceForecast forecast_;
  Time look_at_{};
  std::optional<recording::StorageWarning> warning_;
  std::optional<Error> full_;
};

}  // namespace amphi::server
