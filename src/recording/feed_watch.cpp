#include "recording/feed_watch.h"

#include <chrono>
#include <utility>

namespace amphi::recording {

bool FeedWatch::look(const Drops& drops, bool loses_most, Time now) {
  const FeedReason reason = judge(drops, loses_most, now);
  if (now - window_at_ >= kWindow) {
    last_window_ = std::exchange(window_, drops);
    window_at_ = now;
  }
  if (reason == reason_) return false;
  since_ = now;
  if (reason == FeedReason::muted) since_ = *muted_since_;
  else if (reason == FeedReason::silent) since_ = *received_at_;
  else if (loses_all(reason) && unrecorded_since_) since_ = *unrecorded_since_;
  reason_ = reason;
  return true;
}

FeedReason FeedWatch::judge(const Drops& drops, bool loses_most, Time now) const {
  if (muted_since_) return FeedReason::muted;
  if (!received_at_) return FeedReason::waiting_for_media;
  if (now - *received_at_ >= kSilent) return FeedReason::silent;
  const FeedReason well = !wrote_ ? FeedReason::waiting_for_media : loses_most ? FeedReason::media_lost : FeedReason::recorded;
  if (!unrecorded_since_) return well;
  if (refused_) return FeedReason::limit_exceeded;
  // A single late packet behind the newest frame is no media that keeps arriving.
  const bool keeps_arriving = *received_at_ - *unrecorded_since_ >= kUnrecorded / 2;
  if (now - *unrecorded_since_ < kUnrecorded || !keeps_arriving) return well;
  return explain(drops, last_window_);
}

FeedReason FeedWatch::explain(const Drops& drops, const Drops& before) const {
  const auto newly = [&](Drop drop) { return drops[drop] - before[drop]; };
  if (newly(Drop::unsupported_packetization) > 0) return FeedReason::unsupported_packetization;
  if (newly(Drop::missing_parameter_set) > 0) return FeedReason::missing_parameter_sets;
  const auto malformed = newly(Drop::malformed_packet), waiting = newly(Drop::frame_before_keyframe);
  if (malformed > 0 && malformed >= waiting) return FeedReason::malformed;
  return waiting > 0 ? FeedReason::no_keyframe : FeedReason::no_valid_frame;
}

FeedReason FeedWatch::why_without_track(const Drops& drops) const {
  if (muted_since_) return FeedReason::muted;
  if (!received_at_) return FeedReason::waiting_for_media;
  return refused_ ? FeedReason::limit_exceeded : explain(drops, Drops());
}

std::string status_message(const std::string& feed, FeedReason reason, rtp::CodecName codec, Duration lasted) {
  const std::string seconds = " for " + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(lasted).count()) + " s";
  const std::string lost = feed + ": not recorded, ";
  switch (reason) {
    case FeedReason::recorded:
    case FeedReason::media_lost:  // the fault of this name tells the share
    case FeedReason::count_: return {};
    case FeedReason::waiting_for_media: return feed + ": no media received yet";
    case FeedReason::silent: return feed + ": no media received" + seconds;
    case FeedReason::no_keyframe: return lost + "no keyframe" + seconds;
    case FeedReason::muted: return lost + "muted by an administrator" + seconds;
    case FeedReason::malformed: return lost + "the payload is not valid " + std::string(rtp::text(codec)) + seconds;
    case FeedReason::missing_parameter_sets: return lost + "no H264 parameter sets (SPS and PPS)" + seconds;
    case FeedReason::unsupported_packetization: return lost + "unsupported H264 packetization (interleaved mode)" + seconds;
    case FeedReason::no_valid_frame: return lost + "no valid frame" + seconds;
    case FeedReason::limit_exceeded: return lost + "the participant has used up its share of the recording's tracks" + seconds;
  }
  return {};
}

}  // namespace amphi::recording
