// One recording at its writer (server/recording_job) as far as that can be had without its disk: it drains the real sink into the real
// Take, and looks at the space that is left with the real forecast. Whoever has it carries out what the recorder asks of the disk.
// RecordingJob itself cannot live in virtual time: it writes with system calls, asks the file system for its free bytes, and reads a
// clock. What is here is written after it line by line, and is to follow it. Thread: the test's.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "recording/repair.h"
#include "recording/storage_watch.h"
#include "recording/take.h"
#include "server/disk_space.h"
#include "server/recording_sink.h"
#include "testing/disk/emulated_disk.h"

namespace amphi::testing {

struct EmulatedJob {
  recording::RecordingInfo info;
  Time start{};
  std::uint64_t reserve = 0;
  EmulatedDisk* disk = nullptr;

  std::shared_ptr<server::RecordingSink> sink;
  std::vector<FeedId> feeds;  // by the sink's number
  std::optional<recording::Take> take;
  server::SpaceForecast forecast;
  Time space_at{};  // of the next look
  std::optional<recording::StorageWarning> warning;
  std::optional<Time> full_at;              // ended then, for want of space
  std::optional<recording::Repair> repair;  // of what had failed
  bool closed = false;                      // nothing more is recorded
  bool failed = false;
  std::uint64_t taken = 0;  // from the sink, as `weight` has it
  bool is_over() const { return closed && !repair; }

  /// At least what a record costs the sink.
  static std::uint64_t weight(std::size_t payload) { return payload + 256; }

  void begin(std::shared_ptr<server::RecordingSink> from, Duration pre_roll);
  /// Everything is ready for it.
  void open();
  /// True: there may be more, after what the recorder wants has been carried out.
  bool drain();
  void complete(Time at, WallTime wall);
  /// True: the warning is another now.
  bool look_at_space(std::uint64_t free, Time now, WallTime wall);

 private:
  void hand_over(server::RecordingSink::Item& item);
  void add_feed(server::RecordingSink::FeedNumber number, const sfu::FeedInfo& feed, Time at);
  const FeedId* feed_of(server::RecordingSink::FeedNumber number) const { return number < feeds.size() ? &feeds[number] : nullptr; }
};

}  // namespace amphi::testing
