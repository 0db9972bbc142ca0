// What everybody is told of the disk while there is still time: what the recording's writer foresees, or, which is nearer, that the
// writer itself is stuck. Thread: its owner's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace amphi::recording {

/// What threatens a recording, while there is still time.
struct StorageWarning {
  std::string code;  // "storage_slow", "storage_low", "media_dropped"
  std::string message;
  std::optional<std::int64_t> minutes_left;
  FeedId feed{};                // empty: no feed in particular
  ParticipantId participant{};  // empty: no participant in particular
  bool operator==(const StorageWarning&) const = default;
};

/// A feed that loses packets before the writer.
struct QueueLoss {
  enum class Cause : std::uint8_t { full, over_share };  // the queue is full, or its identity has used up its share of the queue
  FeedId feed;
  ParticipantId participant;
  std::string label;
  Cause cause = Cause::full;
};

class StorageWatch {
 public:
  static constexpr Duration kLookEvery = 500ms;
  static constexpr Duration kStuck = 2s;
  static constexpr Duration kDroppedLasts = 5s;  // after the newest packet that was dropped
  static constexpr std::size_t kMostLosers = 16;  // participants that are named

  /// `busy_since`: since when the writer has been at work without a break; nullopt: it waits for some. `dropped`: packets that found no
  /// room before the writer so far. True: the warnings are others now.
  bool look(std::optional<Time> busy_since, Time now, std::uint64_t dropped = 0) {
    return change([&] {
      stuck_ = busy_since && now - *busy_since > kStuck;
      if (dropped > dropped_) dropping_until_ = now + kDroppedLasts;
      dropped_ = dropped;
      dropping_ = now < dropping_until_;
      std::erase_if(losers_, [&](const auto& entry) { return entry.second.until <= now; });
    });
  }
  /// The feeds that have lost packets since the last call. True: the warnings are others now.
  bool lost(const std::vector<QueueLoss>& losses, Time now) {
    return change([&] {
      std::map<ParticipantId, Loser> newest;
      for (const QueueLoss& loss : losses) {
        Loser& loser = newest[loss.participant];
        if (loser.feeds++ == 0) loser.first = loss;
        loser.until = now + kDroppedLasts;
      }
      for (auto& [participant, loser] : newest)
        if (losers_.size() < kMostLosers || losers_.contains(participant)) losers_[participant] = std::move(loser);
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
    for (const auto& [participant, loser] : losers_) all.push_back({"media_dropped", loser.message(), std::nullopt, loser.first.feed, participant});
    if (dropping_ && losers_.empty()) all.push_back({"media_dropped", "Media are lost: the queue before the recording's writer is full.", std::nullopt});
    return all;
  }

 private:
  struct Loser {
    QueueLoss first;
    std::size_t feeds = 0;
    Time until{};
    std::string message() const {
      const std::string others = feeds < 2 ? "" : " and " + std::to_string(feeds - 1) + (feeds == 2 ? " other feed" : " other feeds");
      const bool over = first.cause == QueueLoss::Cause::over_share;
      return first.label + others + ": media are not recorded, " + (over ? "the participant has used up its share of the queue before the disk" : "the queue before the disk is full");
    }
  };
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
  std::map<ParticipantId, Loser> losers_;
};

}  // namespace amphi::recording
