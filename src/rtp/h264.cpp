#include "rtp/h264.h"

#include "rtp/h264_wire.h"

namespace amphi::rtp {
namespace {

using namespace h264;

// Far beyond a keyframe at any level in use; a sender that never ends its fragment must not fill memory.
constexpr std::size_t kMaxNalBytes = 8u << 20;

unsigned at(ByteView data, std::size_t i) {
  return static_cast<unsigned>(data[i]);
}

bool starts_sequence(unsigned nal_header) {
  const unsigned type = nal_header & kTypeMask;
  return type == kSps || type == kIdr;
}

bool is_sps(unsigned nal_header) {
  return (nal_header & kTypeMask) == kSps;
}

/// Whether a NAL unit that `wanted(its header)` begins in the payload.
template <class Wanted>
bool begins(ByteView payload, Wanted wanted) {
  if (payload.empty()) return false;
  const unsigned type = at(payload, 0) & kTypeMask;
  if (type == kFuA) return payload.size() >= 2 && at(payload, 1) & kFuStart && wanted(at(payload, 1));
  if (type != kStapA) return wanted(at(payload, 0));

  ByteReader in(payload.subspan(1));
  while (in.remaining() > 0) {
    const ByteView unit = in.bytes(in.u16());
    if (unit.empty()) return false;
    if (wanted(at(unit, 0))) return true;
  }
  return false;
}

bool is_single(unsigned type) {
  return type >= 1 && type <= 23;
}

}  // namespace

bool is_h264_keyframe_start(ByteView payload) {
  return begins(payload, starts_sequence);
}

bool has_h264_sps(ByteView payload) {
  return begins(payload, is_sps);
}

bool H264Depacketizer::add(ByteView payload, std::vector<Bytes>& nal_units) {
  if (payload.empty() || at(payload, 0) & kForbiddenBit) {
    reset();
    return false;
  }
  const unsigned type = at(payload, 0) & kTypeMask;
  if (type == kFuA) return add_fragment(payload, nal_units);

  const bool unfinished = !fragment_.empty();
  reset();
  if (type == kStapA) return add_aggregate(payload.subspan(1), nal_units) && !unfinished;
  if (!is_single(type)) return false;
  nal_units.push_back(to_bytes(payload));
  return !unfinished;
}

bool H264Depacketizer::add_aggregate(ByteView units, std::vector<Bytes>& nal_units) {
  const std::size_t before = nal_units.size();
  ByteReader in(units);
  do {
    const ByteView unit = in.bytes(in.u16());
    if (unit.empty() || !is_single(at(unit, 0) & kTypeMask)) {
      nal_units.resize(before);
      return false;
    }
    nal_units.push_back(to_bytes(unit));
  } while (in.remaining() > 0);
  return true;
}

bool H264Depacketizer::add_fragment(ByteView payload, std::vector<Bytes>& nal_units) {
  const bool unfinished = !fragment_.empty();
  const bool start = payload.size() >= 2 && at(payload, 1) & kFuStart;
  if (payload.size() < 2 || !is_single(at(payload, 1) & kTypeMask)) {
    reset();
    return false;
  }
  const auto nal_header = static_cast<std::byte>((at(payload, 0) & ~kTypeMask) | (at(payload, 1) & kTypeMask));
  if (start) {
    fragment_.assign(1, nal_header);
  } else if (!unfinished || (fragment_[0] & std::byte{kTypeMask}) != (nal_header & std::byte{kTypeMask}) ||
             fragment_.size() + payload.size() > kMaxNalBytes) {
    reset();
    return false;
  }
  fragment_.insert(fragment_.end(), payload.begin() + 2, payload.end());
  if (at(payload, 1) & kFuEnd) {
    nal_units.push_back(std::move(fragment_));
    reset();
  }
  return !(start && unfinished);
}

void H264Depacketizer::reset() {
  fragment_.clear();
}

}  // namespace amphi::rtp
