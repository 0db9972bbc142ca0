#include "recording/frame_assembler.h"

#include <algorithm>
#include <utility>

#include "rtp/h264_wire.h"
#include "rtp/vp8.h"
#include "rtp/vp8_frame.h"

namespace amphi::recording {
namespace {

using namespace rtp::h264;

unsigned nal_type(ByteView nal) { return static_cast<unsigned>(nal[0]) & kTypeMask; }

/// STAP-B, MTAP, FU-B: packetization mode 2, which was not negotiated (RFC 6184 5.4).
bool is_interleaved(ByteView payload) { return nal_type(payload) > kStapA && nal_type(payload) != kFuA && nal_type(payload) <= kFuB; }

}  // namespace

void FrameAssembler::use(const rtp::SpropParameterSets& sets) {
  for (const auto* kind : {&sets.sps, &sets.pps})
    for (const Bytes& set : *kind) stream_.sets.add(set);
  idr_without_sps_ = !stream_.sets.empty();
}

void FrameAssembler::add(const rtp::RtpHeader& header, ByteView payload, Time arrival) {
  if (payload.empty()) return drops_.add(Drop::empty_payload);
  if (codec_ == rtp::CodecName::opus) return add_opus(header, payload, arrival);
  if (codec_ == rtp::CodecName::vp8) return add_vp8(header, payload, arrival);
  add_h264(header, payload, arrival);
}

void FrameAssembler::add_opus(const rtp::RtpHeader& header, ByteView payload, Time arrival) {
  if (!is_opus_packet(payload)) return drop(Drop::malformed_packet, 1);
  Frame frame;
  frame.timestamp = header.timestamp;
  frame.arrival = arrival;
  frame.keyframe = true;
  frame.packets = 1;
  frame.data = to_bytes(payload);
  give(std::move(frame));
}

void FrameAssembler::handle_loss() {
  if (open_ && !(open_->marked && !marks_inside_)) break_open(Drop::incomplete_frame);
  if (open_) close();
  drop_ahead();
  loss_ = true;
  wait_for_keyframe();
}

void FrameAssembler::begin(rtp::WireTimestamp timestamp, Time arrival) {
  open_ = Open{};
  open_->frame.timestamp = timestamp;
  open_->frame.arrival = arrival;
  open_->after_loss = std::exchange(loss_, false);
}

bool FrameAssembler::extend(const rtp::RtpHeader& header, ByteView payload, Time arrival) {
  ++open_->frame.packets;
  open_->frame.arrival = std::min(open_->frame.arrival, arrival);
  open_->newest = std::max(open_->newest, arrival);
  open_->marked = header.marker;
  marks_ = marks_ || header.marker;
  open_->bytes += payload.size();
  if (open_->bytes > kMaxFrameBytes) break_open(Drop::oversized_frame);
  return !open_->broken;
}

void FrameAssembler::add_vp8(const rtp::RtpHeader& header, ByteView payload, Time arrival) {
  const auto vp8 = rtp::parse_vp8(payload);
  const bool starts = vp8 && vp8->start_of_partition && vp8->partition == 0;
  if (open_ && (starts || open_->frame.timestamp != header.timestamp)) close();
  if (!open_) {
    begin(header.timestamp, arrival);
    open_->frame.keyframe = starts && vp8->keyframe;
  } else {
    marks_inside_ = marks_inside_ || open_->marked;
  }
  if (!extend(header, payload, arrival)) return;
  if (!vp8) return break_open(Drop::malformed_packet);
  Bytes& data = open_->frame.data;
  if (data.empty() && !starts) return break_open(Drop::incomplete_frame);
  const ByteView body = payload.subspan(vp8->size);
  data.insert(data.end(), body.begin(), body.end());
}

void FrameAssembler::add_h264(const rtp::RtpHeader& header, ByteView payload, Time arrival) {
  if (rtp::H264Depacketizer::is_ignored(payload)) {
    ++(open_ ? open_->frame.packets : ahead_packets_);
    return drops_.add(Drop::ignored_unit);
  }
  if (open_ && open_->frame.timestamp != header.timestamp) close();
  const bool goes_on = open_.has_value();
  const bool was_marked = goes_on && open_->marked;
  const std::size_t slices = goes_on ? open_->picture.slices() : 0;
  const bool in_unit = depacketizer_.in_fragment();
  if (!goes_on) begin(header.timestamp, arrival);
  ++unit_packets_;
  extend(header, payload, arrival);
  if (is_interleaved(payload)) {
    unit_packets_ = 0;
    return break_open(Drop::unsupported_packetization);
  }
  std::vector<Bytes> units;
  const std::uint64_t ignored = depacketizer_.ignored_units();
  const bool whole = depacketizer_.add(payload, units);
  drops_.add(Drop::ignored_unit, depacketizer_.ignored_units() - ignored);
  for (Bytes& nal : units) {
    take_unit(std::move(nal));
    unit_packets_ = 0;
  }
  if (!whole) break_open(Drop::malformed_packet);
  if (!whole) unit_packets_ = 0;
  const bool continued = open_->picture.slices() > slices || in_unit;
  marks_inside_ = marks_inside_ || (was_marked && slices > 0 && continued) || (was_marked && in_unit);
}

/// The next complete unit of the open frame, or the first of the one behind it at the same timestamp.
void FrameAssembler::take_unit(Bytes nal) {
  const unsigned type = nal_type(nal);
  if (type == kFiller) return;
  const bool is_known = stream_.sets.contains(nal);
  if ((type == kSps || type == kPps) && !stream_.sets.add(nal)) return break_open(Drop::invalid_frame);
  const auto slice = rtp::parse_slice(nal);
  const bool starts = type == kSps || type == kDelimiter || (slice && slice->first_macroblock == 0);
  const bool next = open_->broken ? starts : slice && starts && open_->picture.has_slices();
  if (next) {
    const rtp::WireTimestamp timestamp = open_->frame.timestamp;
    const Time newest = open_->newest;
    const bool marked = open_->marked;
    const std::uint32_t packets = unit_packets_;
    open_->frame.packets -= packets;
    close();
    begin(timestamp, newest);
    open_->frame.packets = packets;
    open_->newest = newest;
    open_->marked = marked;
  }
  if (open_->broken) return;
  if (open_->after_loss && open_->picture.empty() && type != kSps && type != kDelimiter) {
    // What a decoder needs may have been in the packets before, unless this sender never repeats its parameter sets.
    if (!(type == kIdr && starts && idr_without_sps_ && !stream_.sets.empty())) return break_open(Drop::incomplete_frame);
  }
  if (open_->picture.empty()) {
    open_->frame.packets += std::exchange(ahead_packets_, 0);
    for (Bytes& unit : std::exchange(ahead_, {})) open_->picture.take(std::move(unit), stream_);
  }
  if (const auto why = open_->picture.take(std::move(nal), stream_, is_known)) break_open(*why);
}

void FrameAssembler::break_open(Drop why) {
  if (!open_ || open_->broken) return;
  open_->broken = why;
  open_->frame.data.clear();
  open_->picture = {};
  depacketizer_.reset();
}

void FrameAssembler::close() {
  if (depacketizer_.in_fragment()) break_open(Drop::incomplete_frame);
  unmarked_ends_ = unmarked_ends_ || (!open_->broken && (!open_->marked || marks_inside_));
  depacketizer_.reset();
  unit_packets_ = 0;
  Open done = std::move(*open_);
  open_.reset();
  if (done.broken) {
    wait_for_keyframe();
    return drop(*done.broken, done.frame.packets);
  }
  codec_ == rtp::CodecName::vp8 ? close_vp8(done) : close_h264(done);
}

void FrameAssembler::close_vp8(Open& done) {
  const auto header = rtp::parse_vp8_frame(done.frame.data);
  if (!header) {
    wait_for_keyframe();
    return drop(Drop::invalid_frame, done.frame.packets);
  }
  done.frame.keyframe = header->keyframe;
  done.frame.width = header->width;
  done.frame.height = header->height;
  give(std::move(done.frame));
}

void FrameAssembler::close_h264(Open& done) {
  H264Picture& picture = done.picture;
  if (!picture.empty()) ahead_ = picture.take_next();
  if (!picture.has_slices()) {
    ahead_packets_ += done.frame.packets;
    if (ahead_.size() > 32 || picture.bytes() > kMaxAheadBytes) drop_ahead();  // a sender that never sends a picture
    return;
  }
  // A sender that sends each picture twice; a decoder would take the second for the one behind the first.
  const bool repeated = picture.fingerprint() == std::exchange(fingerprint_, picture.fingerprint());
  if (repeated && !waits_ && !picture.keyframe() && stream_.references.counts()) return drops_.add(Drop::duplicate_packet, done.frame.packets);
  Frame frame = picture.finish();
  frame.timestamp = done.frame.timestamp;
  frame.arrival = done.frame.arrival;
  frame.packets = done.frame.packets;
  idr_without_sps_ = idr_without_sps_ || (frame.keyframe && !picture.has_sps());
  give(std::move(frame));
}

void FrameAssembler::wait_for_keyframe() {
  waits_ = true;
  stream_.lose();
}

void FrameAssembler::give(Frame frame) {
  if (waits_ && !frame.keyframe) return drop(Drop::frame_before_keyframe, frame.packets);
  waits_ = false;
  frame.after_damage = std::exchange(damaged_, false);
  frame.timed = frame.arrival;
  ready_.push_back(std::move(frame));
}

void FrameAssembler::drop(Drop why, std::uint64_t packets) {
  drops_.add(why, packets);
  damaged_ = true;
}

void FrameAssembler::drop_ahead() {
  drops_.add(Drop::no_picture, std::exchange(ahead_packets_, 0));
  ahead_.clear();
}

bool FrameAssembler::waits_for_keyframe() const {
  if (codec_ == rtp::CodecName::opus || !waits_) return false;
  return !open_ || open_->broken || !(open_->frame.keyframe || open_->picture.keyframe());
}

std::optional<Frame> FrameAssembler::poll() {
  if (ready_.empty()) return std::nullopt;
  Frame frame = std::move(ready_.front());
  ready_.pop_front();
  return frame;
}

bool FrameAssembler::ends_whole(Time now) const {
  if (open_->broken) return true;
  return !depacketizer_.in_fragment() && (marks_ && !marks_inside_ ? open_->marked : now - open_->newest >= (unmarked_ends_ ? kBurst : kQuiet));
}

void FrameAssembler::flush(Time now) {
  if (open_ && !ends_whole(now)) break_open(Drop::incomplete_frame);
  if (open_) close();
  drop_ahead();
}

Time FrameAssembler::next_timeout() const {
  if (!open_ || !ends_whole(Time::max())) return Time::max();
  return open_->newest + (open_->marked && !marks_inside_ ? kMarkedEnds : kUnmarkedEnds);
}

void FrameAssembler::handle_timeout(Time now) {
  if (now >= next_timeout()) close();
}

void FrameAssembler::restart() {
  if (open_) break_open(Drop::incomplete_frame);
  if (open_) close();
  drop_ahead();
  loss_ = false;
  wait_for_keyframe();
}

}  // namespace amphi::recording
