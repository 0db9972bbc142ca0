// What one feed brought to its session's tap, packet by packet, and what the sink made of each: the account that the file of a recording
// is held against. A packet is a frame, and frames are numbered for as long as the world lasts. Thread: the test's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "recording/manifest.h"

namespace amphi::testing {

class MediaLedger {
 public:
  struct FileFrame {
    std::uint32_t number = 0;
    std::int64_t at_ms = 0;  // on the recording's time line
  };
  struct Recorded {
    Time start{}, end{};             // of the recording
    std::vector<FileFrame> frames;   // in the order of the file
    std::vector<recording::Gap> gaps;
    bool whole = false;              // false: cut off somewhere behind the last frame
  };
  struct Count {
    std::uint64_t accepted = 0, dropped = 0;
  };

  /// One frame in so many stands by itself; of sound, every one does.
  explicit MediaLedger(std::uint32_t keyframe_every) : keyframe_every_(keyframe_every) {}

  /// `first`: the number of the first frame since the feed came.
  void offer(std::uint32_t frame, std::uint32_t first, Time at, bool dropped);
  /// The first rule that the file breaks; empty: none.
  std::string compare(const Recorded& file) const;
  /// Of what came behind `start`, up to `end`, with the run of frame `from` or later.
  Count count(Time start, Time end, std::uint32_t from) const;

 private:
  struct Offered {
    Time at = Time::max();  // never
    std::uint32_t first = 0;
    bool dropped = false;
  };
  /// What must be in the file, whatever else was lost.
  std::vector<bool> owed(Time start, Time end) const;
  std::vector<bool> in_time(Time start, Time end) const;
  std::string compare_frames(const Recorded& file) const;
  std::string compare_gaps(const Recorded& file) const;
  std::string compare_gap(const Recorded& file, std::size_t next) const;
  bool all_came(std::uint32_t from, std::uint32_t to) const;
  bool any_dropped(std::uint32_t from, std::uint32_t to, Time start, Time end) const;

  std::uint32_t keyframe_every_;
  std::vector<Offered> offered_;  // by number
};

}  // namespace amphi::testing
