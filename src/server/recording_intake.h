// What reaches one recording: drains its sink into its Take. Pure. Thread: its recording writer's.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "recording/take.h"
#include "server/recording_sink.h"

namespace amphi::server {

class RecordingIntake {
 public:
  /// The recording begins at `start`, with the feeds that were there before what `sink` holds.
  RecordingIntake(std::shared_ptr<RecordingSink> sink, recording::RecordingInfo info, Time start, recording::Safekeeping safekeeping);

  recording::Take& take() { return take_; }
  const recording::Take& take() const { return take_; }

  /// Works off some of what is there; when that is all of one that was stopped, completes it. True: there may be more, to be taken once
  /// what the recorder asks for is carried out.
  bool work() { return work(*sink_); }
  /// `backlog`: the sink, watched by somebody.
  template <class Backlog>
  bool work(Backlog& backlog, int at_once = recording::Take::kAtOnce) {
    if (take_.drain(backlog, [this](RecordingSink::Item& item) { hand_over(item); }, at_once)) return true;
    if (stop_ && !std::exchange(completed_, true)) complete();
    return false;
  }
  /// It ends at `at`, with what had arrived by then; `why`: it could not have gone on. The worker no longer writes to the sink.
  /// False: its end was known already.
  bool stop(Time at, WallTime wall, std::optional<Error> why);

 private:
  struct Stop {
    Time at;
    WallTime wall;
    std::optional<Error> why;
  };
  void complete();
  void hand_over(RecordingSink::Item& item);
  void add_feed(RecordingSink::FeedNumber number, const sfu::FeedInfo& feed, Time at);

  std::shared_ptr<RecordingSink> sink_;
  std::vector<FeedId> feeds_;  // by the sink's number
  recording::Take take_;
  std::optional<Stop> stop_;
  bool completed_ = false;
};

}  // namespace amphi::server
