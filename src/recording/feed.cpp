#include "recording/feed.h"

#include <chrono>
#include <cstdio>

namespace amphi::recording {
namespace {

constexpr Duration kSilent = SilenceWatch::kSilent;
constexpr Duration kFirstInstant = 100ms;  // feeds that a recording finds are told one after the other

}  // namespace

Feed::Feed(FeedInfo info, Time start, Time now, ParticipantClock& clock, std::deque<Output>& out, Desk desk)
    : start_(start),
      offset_(now - start <= kFirstInstant ? Duration{0} : milliseconds(to_ms(now - start))),  // as the manifest says it
      out_(out),
      desk_(desk),
      assembler_(info.codec.name, record_.drops),
      timeline_(info.codec.clock_rate, start, offset_, clock, record_.drops),
      watch_(now),
      clock_(ticks_per_second(info.codec.name)),
      silence_(info.codec.kind()),
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
  if (ssrc_ != header.ssrc) faults_.change_source(now);
  if (!payload.empty()) faults_.packet(header.timestamp, record_.feed.codec.clock_rate, now);
  if (ssrc_ && *ssrc_ != header.ssrc) {  // the line's source was changed (rtp/source_selector.h)
    drain(now, true);
    reorder_.reset();
    assembler_.restart();
    order_.restart();
    timeline_.restart();
    begin_gap("restart", 0);
  }
  ssrc_ = header.ssrc;
  if (!first_packet_at_) first_packet_at_ = now;
  if (!payload.empty() && timeline_.observe(header.timestamp, now)) reorder_.hold_until(now + FeedTimeline::kProbe);
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

void Feed::handle_dropped(Drop which, std::uint64_t packets, Time now) {
  if (finished_) return;
  record_.drops.add(which, packets);
  watch_.received(now);
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
  if (reorder_.held() == 0) {  // else the frame may go on behind the hole
    assembler_.handle_timeout(now);
    take_frames(now);
    tell_open_gap();
  }
  take_placed(now);
  if (track_) track_->handle_timeout(now);
  tell_unlisted(now, false);
}

Time Feed::next_timeout() const {
  if (finished_) return Time::max();
  const Time frame = reorder_.held() == 0 ? assembler_.next_timeout() : reorder_.next_timeout();
  return std::min({frame, order_.next_timeout(), track_ ? track_->next_timeout() : Time::max(), tell_unlisted_at_.value_or(Time::max())});
}

void Feed::drain(Time now, bool flush) {
  while (auto packet = reorder_.poll(now, flush)) {
    take_packet(packet->header, packet->payload, packet->arrival, packet->missing_before, now);
  }
  if (flush) assembler_.flush(now);
  take_frames(now, flush);
  tell_open_gap();
}

void Feed::take_frames(Time now, bool breaks) {
  order_frames(now, breaks || assembler_.damaged());
  if (assembler_.damaged()) begin_gap("damaged", 0);
}

/// `breaks`: what follows does not go on from these frames.
void Feed::order_frames(Time now, bool breaks) {
  while (auto frame = assembler_.poll()) {
    order_.add(std::move(*frame), now);
    take_placed(now);
  }
  if (breaks) order_.flush();
  take_placed(now);
}

void Feed::take_placed(Time now) {
  while (auto frame = order_.poll(now)) take_frame(std::move(*frame), now);
}

void Feed::take_packet(const rtp::RtpHeader& header, ByteView payload, Time arrival, std::uint64_t missing, Time now) {
  if (missing > 0) {
    record_.lost_packets += missing;
    assembler_.handle_loss();
    order_frames(now, true);  // they lie before the gap
    // What had come already when the overflow was told lies before it.
    const bool overflow = overflowed_at_ && arrival >= *overflowed_at_;
    begin_gap(overflow ? "overflow" : "loss", missing);
    if (overflow) overflowed_at_.reset();
  }
  assembler_.add(header, payload, arrival);
  take_frames(now);
}

void Feed::take_frame(Frame frame, Time now) {
  if (frame.after_damage) begin_gap("damaged", 0);
  const bool first = !track_;
  if (first && !open_file(frame)) return;
  watch_.wrote_frame();
  tell_sending_order();
  const Duration line = timeline_.place(frame.timestamp, frame.timed, frame.bidirectional);
  const std::int64_t ticks = clock_.place(line - offset_, frame.keyframe, frame.bidirectional);
  const Duration at = offset_ + clock_.duration(ticks);
  first ? tell_late_start(at, frame) : watch_silence(at, frame);
  end_gap(at);
  newest_arrival_ = std::max(newest_arrival_, frame.arrival);
  if (frame.keyframe) keyframe_at_ = now;
  // Audio ends where it is heard to end; a picture stands until the next.
  const std::uint32_t samples = record_.feed.codec.kind() == rtp::Kind::audio ? opus_samples(frame.data) : 0;
  written_until_ = std::max(written_until_, at + nanoseconds(std::int64_t{samples} * 1'000'000'000 / 48'000));
  ++record_.summary.frames;
  record_.recorded_packets = record_.recorded_packets.value_or(0) + frame.packets;
  const Time arrival = frame.arrival;
  track_->add(std::move(frame), ticks, std::max(arrival, start_));
  update_record();
  if (first) faults_.begin(counts(), now);
}

void Feed::tell_sending_order() {
  if (record_.sending_order || !order_.is_sending()) return;
  record_.sending_order = true;
  desk_.journal.sending_order(*file_number_);
}

/// The feed was there, and its file begins later.
void Feed::tell_late_start(Duration at, const Frame& first) {
  const Duration heard = std::clamp(first_packet_at_.value_or(first.arrival) - start_, offset_, at);
  if (heard - offset_ > kSilent) put_gap({rounded_ms(offset_), rounded_ms(heard), "silent", 0});
  if (at - heard > kSilent) put_gap({rounded_ms(heard), rounded_ms(at), "damaged", record_.lost_packets});
}

void Feed::watch_silence(Duration at, const Frame& frame) {
  if (gap_) return;
  silence_.frame({written_until_, at, empty_reason(frame.arrival)}, frame.bidirectional);
  put_silences();
}

void Feed::put_silences() {
  while (const auto silence = silence_.poll()) {
    clock_.pass(silence->to - offset_);
    put_gap({rounded_ms(silence->from), rounded_ms(silence->to), silence->reason, 0});
  }
}

std::string_view Feed::empty_reason(Time now) const {
  if (watch_.was_quiet(newest_arrival_, now)) return "silent";
  if (now - newest_arrival_ <= kSilent) return "bad_timestamps";
  return loses_all(watch_.reason()) ? wire_name(watch_.reason()) : "damaged";
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
  silence_.interrupt();
  put_silences();
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
  clock_.pass(to - offset_);  // neither a B frame that comes later nor one with an early sender report lies in the gap
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

void Feed::come_back(bool muted, Time now) {
  const Duration left = *left_at_ - start_;
  if (!watch_.is_muted() && left - written_until_ > silence_.longest_regular()) {
    begin_gap(empty_reason(*left_at_), 0);
    end_gap(written_until_ = left);
  }
  left_at_.reset();
  reorder_.reset();
  assembler_.restart();
  order_.restart();
  timeline_.restart();
  ssrc_.reset();
  begin_gap("absent", 0);
  desk_.journal.back(*file_number_);
  tell_open_gap();
  keyframe_at_ = now;
  if (muted) return watch_.mute(now);
  watch_.unmute();
  if (assembler_.waits_for_keyframe()) want_keyframe(now);
}

void Feed::finish(Time now) {
  if (finished_) return;
  drain(now, true);
  const Duration until = left_at_.value_or(now) - start_;
  if (track_) {
    if (overflowed_at_) begin_gap("overflow", 0);
    silence_.finish(until - written_until_);
    put_silences();
  }
  finished_ = true;
  if (!track_) {
    record_.without_track = watch_.why_without_track(record_.drops);
    return;
  }
  if (until - written_until_ > silence_.longest_regular()) begin_gap(empty_reason(left_at_.value_or(now)), 0);
  end_gap(until);
  tell_unlisted(now, true);
  const TrackEnd end = track_->finish(until - offset_);
  update_record();
  desk_.journal.track_end(*file_number_, record_, end);
  track_.reset();
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
