#include "recording/opus.h"

#include <cstddef>
#include <optional>

namespace amphi::recording {
namespace {

constexpr std::size_t kMostFrameBytes = 1275;

/// A frame length of one or two bytes (3.2.1). nullopt: cut off, or more than what follows.
std::optional<std::size_t> read_length(ByteReader& in) {
  std::size_t length = in.u8();
  if (length >= 252) length += std::size_t{4} * in.u8();
  if (!in.ok() || length > in.remaining()) return std::nullopt;
  return length;
}

/// An arbitrary number of frames (3.2.5): their count, padding, and lengths.
bool is_code_3(ByteReader in) {
  const unsigned head = in.u8();
  const std::size_t frames = head & 0x3f;
  std::size_t padding = 0;
  for (unsigned more = head & 0x40 ? 255 : 0; more == 255;) {
    more = in.u8();
    padding += more == 255 ? 254 : more;
  }
  std::size_t sum = 0;
  for (std::size_t i = 1; head & 0x80 && i < frames; ++i) {
    const auto length = read_length(in);
    if (!length || *length > kMostFrameBytes) return false;
    sum += *length;
  }
  if (!in.ok() || padding + sum > in.remaining()) return false;
  const std::size_t rest = in.remaining() - padding - sum;
  return head & 0x80 ? rest <= kMostFrameBytes : rest % frames == 0 && rest / frames <= kMostFrameBytes;
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

bool is_opus_packet(ByteView packet) {
  if (opus_samples(packet) == 0) return false;
  ByteReader in(packet);
  const unsigned code = in.u8() & 3u;
  if (code == 0) return in.remaining() <= kMostFrameBytes;
  if (code == 1) return in.remaining() % 2 == 0 && in.remaining() / 2 <= kMostFrameBytes;
  if (code == 3) return is_code_3(in);
  const auto first = read_length(in);
  return first && *first <= kMostFrameBytes && in.remaining() - *first <= kMostFrameBytes;
}

}  // namespace amphi::recording
