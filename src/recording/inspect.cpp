#include "recording/inspect.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace amphi::recording {
namespace {

// --- EBML (RFC 8794) -------------------------------------------------------------------------------------------------------

struct Element {
  std::uint32_t id = 0;
  ByteView data;
};

/// The next element of `in`, which must hold the whole of it unless its size is unknown.
std::optional<Element> next_element(ByteReader& in) {
  const auto first = in.u8();
  const int id_width = std::countl_zero(first) + 1;
  if (!in.ok() || id_width > 4) return std::nullopt;
  Element element;
  element.id = first;
  for (int i = 1; i < id_width; ++i) element.id = element.id << 8 | in.u8();
  const auto size_first = in.u8();
  const int size_width = std::countl_zero(size_first) + 1;
  if (!in.ok() || size_width > 8) return std::nullopt;
  std::uint64_t size = size_first & ((1u << (8 - size_width)) - 1);
  for (int i = 1; i < size_width; ++i) size = size << 8 | in.u8();
  const bool unknown = size_width == 8 && size == 0x00ff'ffff'ffff'ffff;
  if (!in.ok()) return std::nullopt;
  // Only a Segment may go on behind what is there.
  if (unknown || (element.id == 0x18538067 && size > in.remaining())) size = in.remaining();
  if (size > in.remaining()) return std::nullopt;
  element.data = in.bytes(static_cast<std::size_t>(size));
  return element;
}

std::uint64_t number(ByteView data) {
  std::uint64_t value = 0;
  for (const std::byte byte : data) value = value << 8 | static_cast<std::uint8_t>(byte);
  return value;
}

std::optional<ByteView> child(ByteView data, std::uint32_t id) {
  ByteReader in(data);
  while (in.remaining() > 0) {
    const auto element = next_element(in);
    if (!element) return std::nullopt;
    if (element->id == id) return element->data;
  }
  return std::nullopt;
}

std::optional<std::vector<PieceFrame>> cluster_frames(ByteView data) {
  ByteReader in(data);
  const auto cluster = next_element(in);
  if (!cluster || cluster->id != 0x1f43b675 || in.remaining() > 0) return std::nullopt;
  std::vector<PieceFrame> frames;
  std::optional<std::int64_t> base;
  ByteReader inside(cluster->data);
  while (inside.remaining() > 0) {
    const auto element = next_element(inside);
    if (!element) return std::nullopt;
    if (element->id == 0xe7 && element->data.size() <= 7) base = static_cast<std::int64_t>(number(element->data));
    if (element->id != 0xa3) continue;
    ByteReader block(element->data);
    const bool is_ours = block.u8() == 0x81;
    const auto relative = static_cast<std::int16_t>(block.u16());
    const auto flags = block.u8();
    if (!is_ours || !block.ok() || block.remaining() == 0 || !base) return std::nullopt;
    frames.push_back({*base + relative, *base + relative, (flags & 0x80) != 0, block.rest()});
  }
  if (frames.empty()) return std::nullopt;
  return frames;
}

std::optional<std::int64_t> webm_duration(ByteView head) {
  const auto segment = child(head, 0x18538067);
  const auto info = segment ? child(*segment, 0x1549a966) : std::nullopt;
  const auto duration = info ? child(*info, 0x4489) : std::nullopt;
  if (!duration || duration->size() != 8) return std::nullopt;
  const auto ms = std::bit_cast<double>(number(*duration));
  if (!(ms >= 0 && ms < 1e15)) return std::nullopt;
  return std::llround(ms);
}

// --- ISO base media (ISO/IEC 14496-12) ---------------------------------------------------------------------------------------

std::optional<Element> next_box(ByteReader& in) {
  const std::uint32_t size = in.u32();
  Element box;
  box.id = in.u32();
  if (!in.ok() || size < 8 || size - 8 > in.remaining()) return std::nullopt;
  box.data = in.bytes(size - 8);
  return box;
}

constexpr std::uint32_t type(const char (&name)[5]) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(name[i]);
  return value;
}

std::optional<ByteView> box(ByteView data, std::uint32_t wanted) {
  ByteReader in(data);
  while (in.remaining() > 0) {
    const auto found = next_box(in);
    if (!found) return std::nullopt;
    if (found->id == wanted) return found->data;
  }
  return std::nullopt;
}

std::optional<std::vector<PieceFrame>> fragment_frames(ByteView data) {
  ByteReader in(data);
  const auto moof = next_box(in);
  const auto mdat = next_box(in);
  if (!moof || moof->id != type("moof") || !mdat || mdat->id != type("mdat") || in.remaining() > 0) return std::nullopt;
  const auto traf = box(moof->data, type("traf"));
  const auto tfdt = traf ? box(*traf, type("tfdt")) : std::nullopt;
  const auto trun = traf ? box(*traf, type("trun")) : std::nullopt;
  if (!tfdt || !trun) return std::nullopt;
  ByteReader time_in(*tfdt);
  if (time_in.u32() != 0x01000000) return std::nullopt;
  auto time = static_cast<std::int64_t>(time_in.u64());
  ByteReader run(*trun);
  const std::uint32_t kind = run.u32();
  const bool reordered = (kind & 0x00ffffff) == 0x000f01;
  if (kind >> 24 > 1 || (!reordered && kind != 0x000701)) return std::nullopt;
  const std::uint32_t samples = run.u32();
  run.u32();
  std::vector<PieceFrame> frames;
  ByteReader media(mdat->data);
  for (std::uint32_t i = 0; i < samples && run.ok() && media.ok(); ++i) {
    const std::uint32_t duration = run.u32();
    const ByteView frame = media.bytes(run.u32());
    const bool keyframe = run.u32() == 0x02000000;
    const std::int64_t offset = reordered ? static_cast<std::int32_t>(run.u32()) : 0;
    frames.push_back({time + offset, time, keyframe, frame});
    time += duration;
  }
  if (!time_in.ok() || !run.ok() || run.remaining() > 0 || samples == 0 || !media.ok() || media.remaining() > 0) return std::nullopt;
  return frames;
}

std::optional<std::int64_t> mp4_duration(ByteView head) {
  const auto moov = box(head, type("moov"));
  const auto mvex = moov ? box(*moov, type("mvex")) : std::nullopt;
  const auto mehd = mvex ? box(*mvex, type("mehd")) : std::nullopt;
  if (!mehd || mehd->size() != 8) return std::nullopt;
  return static_cast<std::int64_t>(number(mehd->subspan(4)));
}

}  // namespace

std::optional<std::vector<PieceFrame>> frames_of_piece(rtp::CodecName codec, ByteView data) {
  return codec == rtp::CodecName::h264 ? fragment_frames(data) : cluster_frames(data);
}

std::optional<PieceFacts> inspect_piece(rtp::CodecName codec, ByteView data) {
  const auto frames = frames_of_piece(codec, data);
  if (!frames) return std::nullopt;
  PieceFacts facts{0, frames->front().decoded, frames->back().decoded, frames->size(), frames->front().keyframe, true};
  std::vector<std::int64_t> shown;
  for (const PieceFrame& frame : *frames) {
    facts.times_grow = facts.times_grow && (shown.empty() || frame.decoded > facts.last_decoded);
    facts.last_decoded = frame.decoded;
    shown.push_back(frame.time);
  }
  std::sort(shown.begin(), shown.end());
  facts.first = shown.front();
  facts.times_grow = facts.times_grow && std::adjacent_find(shown.begin(), shown.end()) == shown.end();
  return facts;
}

std::optional<std::int64_t> inspect_duration(rtp::CodecName codec, ByteView head) {
  return codec == rtp::CodecName::h264 ? mp4_duration(head) : webm_duration(head);
}

}  // namespace amphi::recording
