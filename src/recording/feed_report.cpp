// The status of a feed: recorded or the reason against it, and its faults.
#include <cmath>

#include "recording/feed.h"

namespace amphi::recording {

FeedStatus Feed::look(Time now) {
  const FeedInfo& feed = record_.feed;
  faults_.look(counts(), now);
  const bool changed = watch_.look(record_.drops, faults_.loses_most(), now);
  const FeedReason reason = watch_.reason();
  record_.without_track = watch_.why_without_track(record_.drops);
  if (loses_all(reason) && gap_ && gap_->reason == "damaged") gap_->reason = wire_name(reason);
  const std::string name = feed.label.empty() ? std::string(rtp::text(feed.codec.kind())) : feed.label;
  std::string message = status_message(name, reason, feed.codec.name, now - watch_.since());
  FeedStatus status{feed.id, feed.participant, feed.label, feed.codec.kind(), reason, watch_.since() - start_, std::move(message), changed, {}};
  tell_faults(status, name, now);
  return status;
}

void Feed::tell_faults(FeedStatus& status, const std::string& name, Time now) {
  const auto tell = [&](FeedFault fault, bool there, const std::string& text) {
    bool& told = faults_told_[static_cast<std::size_t>(fault)];
    status.of(fault) = {there ? name + ": " + text : std::string(), std::exchange(told, there) != there};
  };
  const auto lost = faults_.lost_share();
  const auto percent = static_cast<int>(std::lround(lost.value_or(0) * 100));
  tell(FeedFault::media_lost, lost.has_value(), std::to_string(percent) + " % of its media of the last 5 s are lost");
  if (status.reason == FeedReason::media_lost) status.message = status.of(FeedFault::media_lost).message;
  tell(FeedFault::sources_compete, faults_.sources_compete(now), "several sources send at the same time; only one of them is recorded");
  tell(FeedFault::bad_timestamps, faults_.bad_timestamps(now), "its RTP timestamps do not match the arrival of its packets; its media may lie at the wrong times");
  tell(FeedFault::picture_order, order_.is_late(now), "B-frames without display times arrive too slowly to be put in order; frames are shown unevenly");
}

/// Counts each lost packet once. A `late_packet` is excluded: it was counted as missing before.
FeedFaults::Counts Feed::counts() const {
  FeedFaults::Counts counts{record_.recorded_packets.value_or(0), record_.lost_packets + record_.overflow_packets, record_.drops[Drop::not_selected_source]};
  for (const Drop drop : {Drop::malformed_packet, Drop::incomplete_frame, Drop::frame_before_keyframe, Drop::oversized_frame, Drop::invalid_frame,
                          Drop::missing_parameter_set, Drop::unsupported_packetization})
    counts.lost += record_.drops[drop];
  return counts;
}

}  // namespace amphi::recording
