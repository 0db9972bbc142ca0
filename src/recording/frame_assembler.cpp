#include "recording/frame_assembler.h"

#include <algorithm>
#include <utility>

#include "rtp/vp8.h"

namespace amphi::recording {
namespace {

enum Nal : unsigned { kSlice = 1, kIdr = 5, kSps = 7, kPps = 8, kDelimiter = 9, kFiller = 12, kStapA = 24, kFuA = 28 };

unsigned nal_type(ByteView nal) {
  return static_cast<unsigned>(nal[0]) & 0x1f;
}

void append_unit(Bytes& out, const Bytes& nal) {
  const auto size = static_cast<std::uint32_t>(nal.size());
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::byte>(size >> shift));
  out.insert(out.end(), nal.begin(), nal.end());
}

}  // namespace

std::uint32_t opus_samples(ByteView packet) {
  if (packet.empty()) return 0;
  const unsigned toc = static_cast<unsigned>(packet[0]);
  const unsigned config = toc >> 3;
  std::uint32_t frame = 0;
  if (config < 12) {
    frame = config % 4 == 3 ? 2880u : 480u << (config % 4);
  } else if (config < 16) {
    frame = 480u << (config % 2);
  } else {
    frame = 120u << (config % 4);
  }
  std::uint32_t frames = 2;
  if ((toc & 3) == 0) frames = 1;
  if ((toc & 3) == 3) {
    if (packet.size() < 2) return 0;
    frames = static_cast<unsigned>(packet[1]) & 0x3f;
  }
  const std::uint32_t samples = frame * frames;
  return samples <= 5760 ? samples : 0;  // 120 ms is the most that the standard allows
}

void FrameAssembler::use(const rtp::SpropParameterSets& sets) {
  sps_ = sets.sps;
  pps_ = sets.pps;
  idr_without_sps_ = !sets.empty();
}

void FrameAssembler::add(const rtp::RtpHeader& header, ByteView payload, Time arrival, bool missing) {
  if (payload.empty()) {
    // A lost packet before it may have been media all the same.
    if (missing && codec_ != rtp::CodecName::opus) {
      break_open(Drop::incomplete_frame);
      waits_ = true;
    }
    drops_.add(Drop::empty_payload);
    return;
  }
  if (codec_ == rtp::CodecName::opus) return add_opus(header, payload, arrival);

  if (missing) {
    break_open(Drop::incomplete_frame);
    open_.reset();
    ahead_.clear();
    depacketizer_.reset();
    waits_ = true;
  }
  if (open_ && open_->frame.timestamp != header.timestamp) close();
  if (!open_) begin(header, payload, arrival, missing);
  open_->frame.arrival = std::min(open_->frame.arrival, arrival);
  append(payload);
  if (header.marker) close();
}

void FrameAssembler::add_opus(const rtp::RtpHeader& header, ByteView payload, Time arrival) {
  if (opus_samples(payload) == 0) return drops_.add(Drop::malformed_packet);
  Frame frame;
  frame.timestamp = header.timestamp;
  frame.arrival = arrival;
  frame.keyframe = true;
  frame.data = to_bytes(payload);
  ready_.push_back(std::move(frame));
}

void FrameAssembler::begin(const rtp::RtpHeader& header, ByteView payload, Time arrival, bool missing) {
  open_.emplace();
  open_->frame.timestamp = header.timestamp;
  open_->frame.arrival = arrival;
  if (codec_ == rtp::CodecName::vp8) {
    const auto vp8 = rtp::parse_vp8(payload);
    if (!vp8) return break_open(Drop::malformed_packet);
    if (!vp8->start_of_partition || vp8->partition != 0) return break_open(Drop::incomplete_frame);
    open_->frame.keyframe = vp8->keyframe;
    open_->frame.width = vp8->width;
    open_->frame.height = vp8->height;
  } else if (missing && !starts_access_unit(payload)) {
    break_open(Drop::incomplete_frame);
  }
}

/// H.264 has no mark for the first packet of a picture. After a loss only what must come first counts as whole.
bool FrameAssembler::starts_access_unit(ByteView payload) const {
  const unsigned type = nal_type(payload);
  if (type == kSps || type == kDelimiter) return true;
  if (type == kStapA)
    return payload.size() > 3 && (nal_type(payload.subspan(3)) == kSps || nal_type(payload.subspan(3)) == kDelimiter);
  if (!idr_without_sps_ || sps_.empty()) return false;
  // first_mb_in_slice is 0 where the slice header begins with a set bit.
  if (type == kIdr) return payload.size() > 1 && (payload[1] & std::byte{0x80}) != std::byte{0};
  return type == kFuA && payload.size() > 2 && (payload[1] & std::byte{0x80}) != std::byte{0} &&
         (static_cast<unsigned>(payload[1]) & 0x1f) == kIdr && (payload[2] & std::byte{0x80}) != std::byte{0};
}

void FrameAssembler::append(ByteView payload) {
  if (open_->broken) return;
  open_->bytes += payload.size();
  if (open_->bytes > kMaxFrameBytes) return break_open(Drop::oversized_frame);
  codec_ == rtp::CodecName::vp8 ? append_vp8(payload) : append_h264(payload);
}

void FrameAssembler::append_vp8(ByteView payload) {
  const auto vp8 = rtp::parse_vp8(payload);
  if (!vp8) return break_open(Drop::malformed_packet);
  Bytes& data = open_->frame.data;
  const bool first = vp8->start_of_partition && vp8->partition == 0;
  if (first != data.empty()) return break_open(Drop::malformed_packet);
  const ByteView body = payload.subspan(vp8->size);
  data.insert(data.end(), body.begin(), body.end());
}

void FrameAssembler::append_h264(ByteView payload) {
  const unsigned type = nal_type(payload);
  if (type == 0 || (type > kStapA && type != kFuA)) return break_open(Drop::unsupported_packetization);
  if (!depacketizer_.add(payload, open_->nal_units)) break_open(Drop::malformed_packet);
}

void FrameAssembler::break_open(Drop why) {
  if (!open_ || open_->broken) return;
  drops_.add(why);
  open_->broken = true;
  open_->frame.data.clear();
  open_->nal_units.clear();
  depacketizer_.reset();
  waits_ = true;
}

void FrameAssembler::close() {
  if (!open_->broken && codec_ == rtp::CodecName::h264 && !close_h264()) {
    open_.reset();
    return;
  }
  OpenFrame done = std::move(*open_);
  open_.reset();
  if (done.broken) return;
  if (done.frame.keyframe && (done.frame.width == 0 || done.frame.height == 0)) {
    const bool without_sets = codec_ == rtp::CodecName::h264 && (done.frame.sps.empty() || done.frame.pps.empty());
    drops_.add(without_sets ? Drop::missing_parameter_set : Drop::malformed_packet);
    waits_ = true;
    return;
  }
  if (waits_ && !done.frame.keyframe) return drops_.add(Drop::frame_before_keyframe);
  waits_ = false;
  ready_.push_back(std::move(done.frame));
}

/// False: there was no picture in it.
bool FrameAssembler::close_h264() {
  std::vector<Bytes> units = std::move(ahead_);
  ahead_.clear();
  for (Bytes& nal : open_->nal_units) {
    if (!nal.empty() && nal_type(nal) != kFiller) units.push_back(std::move(nal));
  }
  const auto count = [&](auto wanted) { return std::count_if(units.begin(), units.end(), wanted); };
  const auto take = [&](std::vector<Bytes>& into, unsigned type) {
    if (count([&](const Bytes& nal) { return nal_type(nal) == type; }) == 0) return false;
    into.clear();
    std::copy_if(units.begin(), units.end(), std::back_inserter(into),
                 [&](const Bytes& nal) { return nal_type(nal) == type; });
    return true;
  };
  const bool has_sps = take(sps_, kSps);
  take(pps_, kPps);
  if (count([](const Bytes& nal) { return nal_type(nal) >= kSlice && nal_type(nal) <= kIdr; }) == 0) {
    if (units.size() < 32) ahead_ = std::move(units);  // a sender that never sends a picture
    return false;
  }
  Frame& frame = open_->frame;
  frame.keyframe = count([](const Bytes& nal) { return nal_type(nal) == kIdr; }) > 0;
  if (frame.keyframe) {
    idr_without_sps_ = idr_without_sps_ || !has_sps;
    const auto sps = sps_.empty() || pps_.empty() ? std::nullopt : rtp::parse_sps(sps_.front());
    frame.width = sps ? sps->width : 0;
    frame.height = sps ? sps->height : 0;
    frame.sps = sps_;
    frame.pps = pps_;
  }
  for (const Bytes& nal : units) append_unit(frame.data, nal);
  return true;
}

std::optional<Frame> FrameAssembler::poll() {
  if (ready_.empty()) return std::nullopt;
  Frame frame = std::move(ready_.front());
  ready_.pop_front();
  return frame;
}

void FrameAssembler::restart() {
  open_.reset();
  ahead_.clear();
  depacketizer_.reset();
  waits_ = true;
}

}  // namespace amphi::recording
