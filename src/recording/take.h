// A recording as its writer works it off: what arrived is taken in the order in which it arrived, with the recorder's timers run in
// between as they were due then, up to the moment of the stop and nothing beyond. However late the writer comes to it, the recording
// is the same. Thread: one recording writer.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "recording/recorder.h"

namespace amphi::recording {

class Take {
 public:
  static constexpr int kAtOnce = 2048;  // the recorder's outputs are carried out in between: a long backlog must not pile up as file operations

  Take(RecordingInfo info, Time start, Safekeeping safekeeping) : asked_at_(start + info.pre_roll), recorder_(std::move(info), start, std::move(safekeeping)), reached_(start) {}

  Recorder& recorder() { return recorder_; }
  const Recorder& recorder() const { return recorder_; }
  bool ending() const { return end_.has_value(); }
  Time reached() const { return reached_; }  // of the newest that was worked off

  /// Works off at most `at_once` items of `backlog`: `front()` points to the oldest, which has a time `at`, or to nothing; `pop()` lets go of it.
  /// `hand` is given each that is part of the recording. True: there may be more.
  template <class Backlog, class Hand>
  bool drain(Backlog& backlog, Hand hand, int at_once = kAtOnce) {
    for (int taken = 0; taken < at_once; ++taken) {
      auto* item = backlog.front();
      if (item == nullptr || item->at >= asked_at_) recorder_.catch_up();
      if (item == nullptr) return false;
      // What a backlog had waited for is given up when its time had come then, not now.
      const Time until = end_ ? std::min(item->at, *end_) : item->at;
      for (Time due = recorder_.next_timeout(); due <= until; due = recorder_.next_timeout()) recorder_.handle_timeout(due);
      reached_ = std::max(reached_, until);
      if (!end_ || item->at <= *end_) hand(*item);
      backlog.pop();
    }
    return true;
  }

  /// What arrived later than that is no part of the recording. False: its end was known already.
  bool end_at(Time at) {
    if (end_) return false;
    end_ = at;
    return true;
  }
  /// After `end_at` and what had arrived by then. `why`: it could not have gone on.
  void complete(Time at, WallTime wall, std::optional<Error> why = std::nullopt) {
    reached_ = std::max(reached_, at);
    recorder_.stop(at, wall, std::move(why));
  }
  void add_marker(std::string label, std::string by, Time at) {
    if (!end_) recorder_.add_marker(std::move(label), std::move(by), at);
  }
  void handle_timeout(Time now) {
    reached_ = std::max(reached_, now);
    if (recorder_.next_timeout() <= now) recorder_.handle_timeout(now);
  }

 private:
  const Time asked_at_;
  Recorder recorder_;
  Time reached_;
  std::optional<Time> end_;
};

}  // namespace amphi::recording
