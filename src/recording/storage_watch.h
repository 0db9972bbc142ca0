// What everybody is told of the disk while there is still time: what the recording's writer foresees, or, which is nearer, that the
// writer itself is stuck. Thread: its owner's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/time.h"

namespace amphi::recording {

/// What threatens a recording, while there is still time.
struct StorageWarning {
  std::string code;  // "storage_low", "storage_slow"
  std::string message;
  std::optional<std::int64_t> minutes_left;
  bool operator==(const StorageWarning&) const = default;
};

class StorageWatch {
 public:
  static constexpr Duration kLookEvery = 500ms;
  static constexpr Duration kStuck = 2s;

  /// Since when the writer has been at work without a break; nullopt: it waits for some. True: the warning is another now.
  bool look(std::optional<Time> busy_since, Time now) {
    return change([&] { stuck_ = busy_since && now - *busy_since > kStuck; });
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

 private:
  template <class Act>
  bool change(Act act) {
    const std::optional<StorageWarning> before = warning();
    act();
    return warning() != before;
  }

  std::optional<StorageWarning> told_;
  bool stuck_ = false;
};

}  // namespace amphi::recording
