// Derives whether one feed is being recorded, from the times of its packets and frames and from its drop counters: the only place that
// decides it. Thread: the recorder's.
#pragma once

#include <optional>
#include <string>

#include "recording/drops.h"
#include "recording/feed_status.h"

namespace amphi::recording {

class FeedWatch {
 public:
  static constexpr Duration kUnrecorded = 2s;  // media arrive for as long without a frame: the feed is not recorded
  static constexpr Duration kSilent = 5s;      // nothing arrives for as long: the feed is silent
  static constexpr Duration kQuiet = 900ms;    // between two packets, of an outage; the connection tells what it dropped up to 500 ms later
  static constexpr Duration kWindow = 5s;      // drops of the last one or two windows explain why

  explicit FeedWatch(Time now) : since_(now), window_at_(now) {}

  /// A packet with media, used or not.
  void received(Time now) {
    if (!unrecorded_since_ || now - *received_at_ >= kSilent) unrecorded_since_ = now;
    if (received_at_ && now - *received_at_ > kQuiet) quiet_until_ = now;
    received_at_ = now;
  }
  /// Whether nothing came for over kQuiet at a stretch between these times.
  bool was_quiet(Time since, Time now) const {
    return quiet_until_ > since || !received_at_ || now - *received_at_ > kQuiet;
  }
  void wrote_frame() {
    unrecorded_since_.reset();
    wrote_ = true;
  }
  /// Nothing is recorded until `unmute`.
  void mute(Time now) {
    if (!muted_since_) muted_since_ = now;
    unrecorded_since_.reset();
  }
  void unmute() { muted_since_.reset(); }
  bool is_muted() const { return muted_since_.has_value(); }
  /// No frame of this feed will be written any more.
  void refuse() { refused_ = true; }

  /// Judges anew; call it about once a second. `loses_most`: frames are written, and most of the media are lost. True: the reason is
  /// another now.
  bool look(const Drops& drops, bool loses_most, Time now);
  FeedReason reason() const { return reason_; }
  Time since() const { return since_; }
  /// Why the feed has no track, at its end.
  FeedReason why_without_track(const Drops& drops) const;

 private:
  FeedReason judge(const Drops& drops, bool loses_most, Time now) const;
  FeedReason explain(const Drops& drops, const Drops& before) const;

  FeedReason reason_ = FeedReason::waiting_for_media;
  Time since_;
  std::optional<Time> received_at_;
  Time quiet_until_ = Time::min();  // the newest end of a stretch without packets
  std::optional<Time> unrecorded_since_;  // the first packet after the newest frame
  std::optional<Time> muted_since_;
  bool wrote_ = false;
  bool refused_ = false;
  Drops window_, last_window_;  // the counters when the present window began, and the one before
  Time window_at_;
};

/// "endoscope: not recorded, no keyframe for 12 s". Empty: recorded, or media_lost.
std::string status_message(const std::string& feed, FeedReason reason, rtp::CodecName codec, Duration lasted);

}  // namespace amphi::recording
