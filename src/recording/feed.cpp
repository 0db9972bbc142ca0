#include "recording/feed.h"

#include <chrono>
#include <cstdio>

namespace amphi::recording {
namespace {

constexpr Duration kSilent = 1s;  // at the end of a track, and twice its longest interval: nothing was received any more, though the feed was there
constexpr Duration kFirstInstant = 100ms;  // feeds that a recording finds are told one after the other

}  // namespace

Feed::Feed(FeedInfo info, Time start, Time now, ParticipantClock& clock, std::deque<Output>& out, Desk desk)
    : start_(start),
      offset_(now - start <= kFirstInstant ? Duration{0} : now - start),
      out_(out),
      desk_(desk),
      assembler_(info.codec.name, record_.drops),
      timeline_(info.codec.clock_rate, start, offset_, clock, record_.drops),
      watch_(now),
      unlisted_told_at_(start),
      written_until_(offset_),
      keyframe_wanted_at_(now - kKeyframeThrottle),
      keyframe_at_(now) {
  record_.feed = std::move(info);
  record_.summary.feed = record_.feed.id;
  record_.summary.codec = record_.feed.codec;
  record_.summary.offset_ms = rounded_ms(offset_);
  if (record_.feed.codec.name == rtp::CodecName::h264) {
    const auto sets = rtp::parse_sprop(record_.feed.codec.fmtp);
    if (sets.refused) record_.drops.add(Drop::ignored_parameter_sets);
    assembler_.use(sets);
  }
  if (assembler_.waits_for_keyframe()) want_keyframe(now);
}

void Feed::carry_over(const TrackRecord& before) {
  record_.packets += before.packets;
  record_.lost_packets += before.lost_packets;
  record_.overflow_packets += before.overflow_packets;
  record_.drops = before.drops;
}

void Feed::refuse_packet(Time now) {
  desk_.shares.drops.add(Drop::refused_feed_packet);
  watch_.received(now);
}

void Feed::handle_packet(rtp::Seq seq, const rtp::RtpHeader& header, ByteView payload, Time now) {
  if (finished_) return;
  ++record_.packets;
  if (refused_) return refuse_packet(now);
  if (!payload.empty()) watch_.received(now);
  if (ssrc_ && *ssrc_ != header.ssrc) {
    drain(now, true);
    reorder_.reset();
    assembler_.restart();
    timeline_.restart();
    begin_gap("restart", 0);
  }
  ssrc_ = header.ssrc;
  if (!payload.empty()) timeline_.observe(header.timestamp, now);
  switch (reorder_.insert(seq, header, payload, now)) {
    case ReorderBuffer::Place::next:
      take_packet(header, payload, now, 0, now);
      break;
    case ReorderBuffer::Place::held:
      break;
    case ReorderBuffer::Place::late:
      record_.drops.add(Drop::late_packet);
      break;
    case ReorderBuffer::Place::duplicate:
      record_.drops.add(Drop::duplicate_packet);
      break;
  }
  drain(now, false);
  tell_unlisted(now, false);
  const bool stale = record_.feed.codec.kind() == rtp::Kind::video && now - keyframe_at_ >= kKeyframeEvery;
  if (assembler_.waits_for_keyframe() || stale) want_keyframe(now);
}

void Feed::handle_overflow(std::uint64_t packets, Time now) {
  record_.overflow_packets += packets;
  overflowed_at_ = now;
  if (left_at_) end_overflow();
  tell_unlisted(now, false);
}

/// The feed has gone, and nothing came behind what was dropped: until it went it was not absent.
void Feed::end_overflow() {
  overflowed_at_.reset();
  begin_gap("overflow", 0);
  written_until_ = std::max(written_until_, *left_at_ - start_);
  end_gap(written_until_);
}

void Feed::handle_timeout(Time now) {
  if (finished_) return;
  drain(now, false);
  if (track_) track_->handle_timeout(now);
  tell_unlisted(now, false);
}

Time Feed::next_timeout() const {
  if (finished_) return Time::max();
  return std::min({reorder_.next_timeout(), track_ ? track_->next_timeout() : Time::max(), tell_unlisted_at_.value_or(Time::max())});
}

void Feed::drain(Time now, bool flush) {
  while (auto packet = reorder_.poll(now, flush)) {
    take_packet(packet->header, packet->payload, packet->arrival, packet->missing_before, now);
  }
  tell_open_gap();
}

void Feed::take_packet(const rtp::RtpHeader& header, ByteView payload, Time arrival, std::uint64_t missing, Time now) {
  if (missing > 0) {
    record_.lost_packets += missing;
    // What had come already when the overflow was told lies before it.
    const bool overflow = overflowed_at_ && arrival >= *overflowed_at_;
    begin_gap(overflow ? "overflow" : "loss", missing);
    if (overflow) overflowed_at_.reset();
  }
  const std::uint64_t dropped = dropped_frames();
  assembler_.add(header, payload, arrival, missing > 0);
  if (dropped_frames() != dropped) begin_gap("damaged", 0);
  while (auto frame = assembler_.poll()) take_frame(std::move(*frame), now);
}

std::uint64_t Feed::dropped_frames() const {
  return record_.drops[Drop::incomplete_frame] + record_.drops[Drop::frame_before_keyframe] +
         record_.drops[Drop::malformed_packet] + record_.drops[Drop::oversized_frame] +
         record_.drops[Drop::missing_parameter_set] + record_.drops[Drop::unsupported_packetization];
}

void Feed::take_frame(Frame frame, Time now) {
  if (!track_ && !open_file(frame)) return;
  watch_.wrote_frame();
  const Duration at = timeline_.place(frame.timestamp, frame.arrival);
  if (!gap_ && record_.summary.frames > 0) longest_interval_ = std::max(longest_interval_, at - written_until_);
  end_gap(at);
  if (frame.keyframe) keyframe_at_ = now;
  // Audio ends where it is heard to end; a picture stands until the next.
  const std::uint32_t samples = record_.feed.codec.kind() == rtp::Kind::audio ? opus_samples(frame.data) : 0;
  written_until_ = at + nanoseconds(std::int64_t{samples} * 1'000'000'000 / 48'000);
  ++record_.summary.frames;
  track_->add(std::move(frame), at - offset_, now);
  update_record();
}

bool Feed::open_file(const Frame& first) {
  const std::string& identity = record_.feed.participant_identity;
  if (refused_ || !desk_.shares.tracks.take(identity)) {
    if (!std::exchange(refused_, true)) desk_.shares.drops.add(Drop::refused_feed);
    watch_.refuse();
    return false;
  }
  if (std::exchange(listed_, false)) desk_.shares.without_track.give_back(identity);
  file_number_ = ++desk_.files;
  char number[16];
  std::snprintf(number, sizeof number, "-%02u-", *file_number_);
  const rtp::Codec& codec = record_.feed.codec;
  record_.summary.path = std::string(rtp::text(codec.kind())) + number + record_.feed.id.value;
  record_.summary.path += file_extension(codec.name);
  record_.summary.width = first.width;
  record_.summary.height = first.height;
  track_ = make_track_file(TrackOutput(*file_number_, out_, desk_.journal, desk_.sealer), record_.summary.path, codec, first);
  desk_.journal.track(*file_number_, record_, first, track_->head());
  return true;
}

void Feed::begin_gap(std::string_view reason, std::uint64_t packets) {
  if (!track_) return;  // nothing was there that could have a gap
  if (!gap_) gap_ = OpenGap{written_until_, reason};
  gap_->packets += packets;
}

/// One that a frame does not end at once: whoever repairs the recording knows then why nothing is there.
void Feed::tell_open_gap() {
  if (!gap_ || gap_->told || !lists_gaps()) return;
  gap_->told = true;
  desk_.journal.gap_open(*file_number_, {rounded_ms(gap_->from), 0, gap_->reason, gap_->packets});
}

void Feed::end_gap(Duration to) {
  if (!gap_) return;
  const Gap gap{rounded_ms(gap_->from), std::max(rounded_ms(to), rounded_ms(gap_->from)), gap_->reason, gap_->packets};
  gap_.reset();
  put_gap(gap);
}

/// A track lists at most a third of the gaps that its participant may still list, so that some are left for further tracks.
bool Feed::lists_gaps() const {
  return record_.gaps.size() < std::min(kMaxTrackGaps, std::max<std::size_t>(desk_.shares.gaps.left(record_.feed.participant_identity) / 3, 1));
}

/// Its last gap is listed in any case: there is one, and a repair lists it too.
void Feed::put_gap(const Gap& gap) {
  if (!finished_ && !lists_gaps()) {
    record_.drops.add(Drop::unlisted_gap);
    record_.unlisted.add(gap);
    desk_.shares.limits.reached(Limit::gaps, record_.feed, start_ + milliseconds(gap.to_ms));
    if (!tell_unlisted_at_) tell_unlisted_at_ = unlisted_told_at_ + kUnlistedEvery;
    return;
  }
  if (!finished_) desk_.shares.gaps.take(record_.feed.participant_identity);
  record_.gaps.push_back(gap);
  desk_.journal.gap(*file_number_, gap);
}

void Feed::tell_unlisted(Time now, bool at_once) {
  if (!tell_unlisted_at_ || (!at_once && now < *tell_unlisted_at_)) return;
  tell_unlisted_at_.reset();
  unlisted_told_at_ = now;
  desk_.journal.unlisted(*file_number_, record_.unlisted);
}

void Feed::want_keyframe(Time now) {
  if (now - keyframe_wanted_at_ < kKeyframeThrottle) return;
  keyframe_wanted_at_ = now;
  out_.emplace_back(KeyframeWanted{record_.feed.id});
}

void Feed::update_record() {
  record_.summary.duration_ms = rounded_ms(track_->end());
  record_.bytes = track_->size();
}

void Feed::leave(Time now) {
  drain(now, true);
  left_at_ = now;
  if (overflowed_at_) end_overflow();
  tell_unlisted(now, true);
  if (track_) desk_.journal.away(*file_number_);
}

void Feed::come_back(Time now) {
  left_at_.reset();
  reorder_.reset();
  assembler_.restart();
  timeline_.restart();
  ssrc_.reset();
  begin_gap("absent", 0);
  desk_.journal.back(*file_number_);
  tell_open_gap();
  keyframe_at_ = now;
  if (assembler_.waits_for_keyframe()) want_keyframe(now);
}

void Feed::finish(Time now) {
  if (finished_) return;
  drain(now, true);
  finished_ = true;
  if (!track_) {
    record_.without_track = watch_.why_without_track(record_.drops);
    return;
  }
  if (overflowed_at_) begin_gap("overflow", 0);
  const Duration until = left_at_.value_or(now) - start_;
  if (until - written_until_ > std::max(kSilent, 2 * longest_interval_)) begin_gap("silent", 0);
  end_gap(until);
  tell_unlisted(now, true);
  const TrackEnd end = track_->finish(until - offset_);
  update_record();
  desk_.journal.track_end(*file_number_, record_, end);
  track_.reset();
}

FeedStatus Feed::look(Time now) {
  const FeedInfo& feed = record_.feed;
  const bool changed = watch_.look(record_.drops, now);
  const FeedReason reason = watch_.reason();
  record_.without_track = watch_.why_without_track(record_.drops);
  if (loses_media(reason) && gap_ && gap_->reason == "damaged") gap_->reason = wire_name(reason);
  const std::string name = feed.label.empty() ? std::string(rtp::text(feed.codec.kind())) : feed.label;
  std::string message = status_message(name, reason, feed.codec.name, now - watch_.since());
  return {feed.id, feed.participant, feed.label, feed.codec.kind(), reason, watch_.since() - start_, std::move(message), changed};
}

void Feed::set_hash(const Sha256Digest& digest) {
  record_.summary.sha256 = to_hex(digest);
}

void Feed::abandon() {
  finished_ = true;
  track_.reset();
  gap_.reset();
  tell_unlisted_at_.reset();
}

}  // namespace amphi::recording
