// One recording at its writer (server/recording_job) as far as that can be had without its disk: the real intake, and the real watch of
// the space that is left. Whoever has it carries out what the recorder asks of the disk. RecordingJob itself cannot live in virtual time:
// it writes with system calls, asks the file system for its free bytes, and reads a clock. Thread: the test's.
#pragma once

#include <memory>
#include <optional>

#include "recording/repair.h"
#include "server/recording_intake.h"
#include "server/space_watch.h"
#include "testing/disk/emulated_disk.h"

namespace amphi::testing {

struct EmulatedJob {
  recording::RecordingInfo info;
  Time start{};
  EmulatedDisk* disk = nullptr;
  int at_once = recording::Take::kAtOnce;
  server::SpaceWatch space{0};

  std::shared_ptr<server::RecordingSink> sink;
  std::optional<server::RecordingIntake> intake;
  std::optional<Time> full_at;              // to be ended since then, for want of space
  std::optional<recording::Repair> repair;  // of what had failed
  bool closed = false;                      // nothing more is recorded
  bool failed = false;
  std::uint64_t taken = 0;  // from the sink, as `weight` has it
  recording::Take& take() { return intake->take(); }
  bool is_over() const { return closed && !repair; }

  /// At least what a record costs the sink.
  static std::uint64_t weight(std::size_t payload) { return payload + 256; }

  void begin(std::shared_ptr<server::RecordingSink> from, Duration pre_roll) {
    sink = std::move(from);
    start -= pre_roll;
    info.started_at.unix_ms -= to_ms(pre_roll);
    info.pre_roll = pre_roll;
  }
  /// Everything is ready for it.
  void open() { intake.emplace(sink, info, start, recording::Safekeeping{}); }
  /// True: there may be more, after what the recorder wants has been carried out.
  bool work() {
    Taken backlog{*sink, taken};
    return intake->work(backlog, at_once);
  }

 private:
  /// The sink, which counts what is taken from it.
  struct Taken {
    server::RecordingSink& sink;
    std::uint64_t& count;
    server::RecordingSink::Item* front() { return sink.front(); }
    void pop() {
      if (sink.front()->kind != server::RecordingSink::Kind::overflow) count += weight(sink.payload().size());
      sink.pop();
    }
  };
};

}  // namespace amphi::testing
