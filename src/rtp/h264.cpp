#include "rtp/h264.h"

#include "rtp/h264_wire.h"

namespace amphi::rtp {
namespace {

using namespace h264;

// Far beyond a keyframe at any level in use; a sender that never ends its fragment must not fill memory.
constexpr std::size_t kMaxNalBytes = 8u << 20;
constexpr unsigned kMostSingle = 23;

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

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// Where the next 00 00 01 begins, from `from` on.
std::size_t find_start_code(ByteView data, std::size_t from) {
  for (std::size_t i = from; i + 3 <= data.size(); ++i) {
    if (at(data, i + 2) > 1) {
      i += 2;
    } else if (at(data, i) == 0 && at(data, i + 1) == 0 && at(data, i + 2) == 1) {
      return i;
    }
  }
  return kNone;
}

/// Whether a NAL unit that `wanted(its header)` begins in the payload; of Annex B, the first unit counts.
template <class Wanted>
bool begins(ByteView payload, Wanted wanted) {
  if (!payload.empty() && at(payload, 0) == 0) {
    const std::size_t code = find_start_code(payload, 0);
    payload = payload.subspan(code == kNone ? payload.size() : code + 3);
  }
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

bool is_reserved_payload(unsigned type) {
  return type == 0 || type > kFuB;
}

/// RFC 6184 5.4, or reserved by H.264, whose decoders ignore them (7.4.1).
bool is_reserved(unsigned type) {
  return is_reserved_payload(type) || type == 17 || type == 18 || type == 22 || type == 23;
}

}  // namespace

bool is_h264_keyframe_start(ByteView payload) {
  return begins(payload, starts_sequence);
}

bool has_h264_sps(ByteView payload) {
  return begins(payload, is_sps);
}

bool H264Depacketizer::is_ignored(ByteView payload) {
  if (payload.empty() || at(payload, 0) & kForbiddenBit) return false;
  const unsigned type = at(payload, 0) & kTypeMask;
  return is_reserved_payload(type) && (type != 0 || find_start_code(payload, 0) == kNone);  // Annex B begins with zeros
}

bool H264Depacketizer::append_unit(Bytes nal, std::vector<Bytes>& out) {
  const unsigned type = at(nal, 0) & kTypeMask;
  if (at(nal, 0) & kForbiddenBit) return false;
  if (is_reserved(type)) {
    ++ignored_;
    return true;
  }
  if (type > kMostSingle) return false;
  out.push_back(std::move(nal));
  return true;
}

/// Appends `nal`, or the NAL units in it where it contains start codes. False: one of them is none of H.264's; nothing is appended.
bool H264Depacketizer::append_units(Bytes nal, std::vector<Bytes>& out) {
  std::size_t code = find_start_code(nal, 0);
  if (code == kNone) return !nal.empty() && append_unit(std::move(nal), out);
  const std::size_t before = out.size();
  bool any = false;
  for (std::size_t begin = 0; begin < nal.size();) {
    const std::size_t end = code == kNone ? nal.size() : code;
    ByteView unit = ByteView(nal).subspan(begin, end - begin);
    while (!unit.empty() && at(unit, unit.size() - 1) == 0) unit = unit.first(unit.size() - 1);  // zero bytes around start codes (Annex B.1)
    any = any || !unit.empty();
    if (!unit.empty() && !append_unit(to_bytes(unit), out)) {
      out.resize(before);
      return false;
    }
    if (code == kNone) break;
    begin = code + 3;
    code = find_start_code(nal, begin);
  }
  return any;
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
  return append_units(to_bytes(payload), nal_units) && !unfinished;
}

bool H264Depacketizer::add_aggregate(ByteView units, std::vector<Bytes>& nal_units) {
  const std::size_t before = nal_units.size();
  ByteReader in(units);
  do {
    const ByteView unit = in.bytes(in.u16());
    if (!append_units(to_bytes(unit), nal_units)) {
      nal_units.resize(before);
      return false;
    }
  } while (in.remaining() > 0);
  return true;
}

bool H264Depacketizer::add_fragment(ByteView payload, std::vector<Bytes>& nal_units) {
  const bool unfinished = !fragment_.empty();
  const bool start = payload.size() >= 2 && at(payload, 1) & kFuStart;
  // Type 0: the first zero of a start code, where a sender fragments Annex B.
  const unsigned inner = payload.size() < 2 ? 0 : at(payload, 1) & kTypeMask;
  if (payload.size() < 2 || (inner > kMostSingle && !is_reserved_payload(inner))) {
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
  bool whole = true;
  if (at(payload, 1) & kFuEnd) {
    whole = append_units(std::move(fragment_), nal_units);
    reset();
  }
  return whole && !(start && unfinished);
}

void H264Depacketizer::reset() {
  fragment_.clear();
}

}  // namespace amphi::rtp
