// What everybody is told of the disk while there is still time: what the recording's writer foresees, or, which is nearer, that the
// writer itself is stuck. Thread: its owner's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"

namespace amphi::recording {

/// What threatens a recording, while there is still time.
struct StorageWarning {
  std::string code;  // "storage_slow", "storage_low", "media_dropped"
  std::string message;
  std::optional<std::int64_t> minutes_left;
  bool operator==(const StorageWarning&) const = default;
};

class StorageWatch {
 public:
  static constexpr Duration kLookEvery = 500ms;
  static constexpr Duration kStuck = 2s;
  static constexpr Duration kDroppedLasts = 5s;  // after the newest packet that was dropped

  /// `busy_since`: since when the writer has been at work without a break; nullopt: it waits for some. `dropped`: packets that found no
  /// room before the writer so far. True: the warnings are others now.
  bool look(std::optional<Time> busy_since, Time now, std::uint64_t dropped = 0) {
    return change([&] {
      stuck_ = busy_since && now - *busy_since > kStuck;
      if (dropped > dropped_) dropping_until_ = now + kDroppedLasts;
      dropped_ = dropped;
      dropping_ = now < dropping_until_;
    });
  }
  /// By the writer; nullopt: it foresees nothing any more. True: the warning is another now.
  bool told(std::optional<StorageWarning> warning) {
    return change([&] { told_ = std::move(warning); });
  }
  const std::optional<StorageWarning>& warning() const {
    static const std::optional<StorageWarning> kSlow = StorageWarning{
        "storage_slow", "The disk for recordings does not keep up. Media wait in memory for as long as that holds.", std::nullopt};
    return stuck_ ? kSlow : told_;
  }
  /// All of them, the most urgent first.
  std::vector<StorageWarning> warnings() const {
    std::vector<StorageWarning> all;
    if (warning()) all.push_back(*warning());
    if (stuck_ && told_) all.push_back(*told_);
    if (dropping_) all.push_back({"media_dropped", "Media are lost: the queue before the recording's writer is full.", std::nullopt});
    return all;
  }

 private:
  template <class Act>
  bool change(Act act) {
    const auto before = warnings();
    act();
    return warnings() != before;
  }

  std::optional<StorageWarning> told_;
  bool stuck_ = false;
  std::uint64_t dropped_ = 0;
  Time dropping_until_{};
  bool dropping_ = false;
};

}  // namespace amphi::recording
