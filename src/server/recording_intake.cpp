#include "server/recording_intake.h"

#include <algorithm>

namespace amphi::server {

RecordingIntake::RecordingIntake(std::shared_ptr<RecordingSink> sink, recording::RecordingInfo info, Time start, recording::Safekeeping safekeeping)
    : sink_(std::move(sink)), take_(std::move(info), start, std::move(safekeeping)) {
  for (const auto& known : sink_->take_known()) {
    add_feed(known.feed, *known.info, start);
    if (!known.reported_at || start - *known.reported_at > rtp::kReportLasts) continue;
    const auto reported = rtp::advanced(known.reported, std::max(start - *known.reported_at, Duration::zero()), known.info->codec.clock_rate);
    take_.recorder().handle_sender_report(known.info->id, reported.ntp, reported.rtp, start);
  }
}

void RecordingIntake::add_feed(RecordingSink::FeedNumber number, const sfu::FeedInfo& feed, Time at) {
  if (feeds_.size() <= number) feeds_.resize(number + 1);
  feeds_[number] = feed.id;
  recording::Recorder& recorder = take_.recorder();
  recorder.add_feed({feed.id, feed.participant, feed.participant_identity, feed.label, feed.codec}, at, feed.muted);
}

void RecordingIntake::hand_over(RecordingSink::Item& item) {
  using Kind = RecordingSink::Kind;
  if (item.kind == Kind::feed_added) return add_feed(item.feed, *item.added, item.at);
  if (item.feed >= feeds_.size()) return;
  const FeedId& feed = feeds_[item.feed];
  recording::Recorder& recorder = take_.recorder();
  switch (item.kind) {
    case Kind::packet: return recorder.handle_packet(feed, item.seq, item.header, sink_->payload(), item.at);
    case Kind::sender_report: return recorder.handle_sender_report(feed, item.ntp, item.rtp_timestamp, item.at);
    case Kind::feed_removed: return recorder.remove_feed(feed, item.at);
    case Kind::not_selected: return recorder.handle_dropped(feed, recording::Drop::not_selected_source, item.lost, item.at);
    case Kind::repeated: return recorder.handle_dropped(feed, recording::Drop::repeated_packet, item.lost, item.at);
    case Kind::overflow: return recorder.handle_overflow(feed, item.lost, std::max(item.at, take_.reached()));
    case Kind::feed_added: return;
  }
}

bool RecordingIntake::stop(Time at, WallTime wall, std::optional<Error> why) {
  if (!take_.end_at(at)) return false;
  stop_ = Stop{at, wall, std::move(why)};
  return true;
}

void RecordingIntake::complete() {
  for (auto& item : sink_->take_rest())
    if (item.at <= stop_->at) hand_over(item);
  take_.complete(stop_->at, stop_->wall, std::move(stop_->why));
}

}  // namespace amphi::server
