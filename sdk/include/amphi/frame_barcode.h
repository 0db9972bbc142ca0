// A number drawn into a picture so that it survives lossy coding: the test pattern's frame counter, read back by tests.
//
// The top rows of the luma plane hold 40 square blocks, black (16) or white (235), row by row from the left: 32 bits of the number, most
// significant first, then 8 check bits (CRC-8, polynomial 0x07, complemented, so that an all-black picture is no number).
// A block is 1/40 of the width, rounded down to even, and at least 16 pixels; as many fit in a row as there is width for.
// Header only, so that a test needs nothing but this file. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace amphi::barcode {

constexpr int kBits = 40;  // 32 of the number, 8 of the check

/// The luma plane of a picture; `stride` in bytes.
struct Luma {
  const std::uint8_t* pixels = nullptr;
  int width = 0;
  int height = 0;
  int stride = 0;
};

/// Where the blocks of a picture of this width lie.
struct Layout {
  int block = 16;    // pixels, both ways
  int columns = 0;   // blocks in a row
  int rows = 0;
  static constexpr Layout of(int width) {
    Layout layout;
    const int wanted = width / kBits / 2 * 2;
    layout.block = wanted < 16 ? 16 : wanted;
    layout.columns = width / layout.block < kBits ? width / layout.block : kBits;
    layout.rows = layout.columns > 0 ? (kBits + layout.columns - 1) / layout.columns : 0;
    return layout;
  }
  /// Whether the whole code fits into a picture of this height.
  constexpr bool fits(int height) const { return columns > 0 && rows * block <= height; }
};

constexpr std::uint8_t check_of(std::uint32_t number) {
  std::uint8_t crc = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    crc = static_cast<std::uint8_t>(crc ^ (number >> shift & 0xff));
    for (int i = 0; i < 8; ++i) crc = static_cast<std::uint8_t>(crc & 0x80 ? crc << 1 ^ 0x07 : crc << 1);
  }
  return static_cast<std::uint8_t>(~crc);
}

/// Draws `number` into the top of the luma plane. False: the picture is too small (nothing is drawn).
inline bool encode(std::uint32_t number, std::uint8_t* pixels, int width, int height, int stride) {
  const Layout layout = Layout::of(width);
  if (!layout.fits(height)) return false;
  const std::uint64_t bits = static_cast<std::uint64_t>(number) << 8 | check_of(number);
  for (int i = 0; i < kBits; ++i) {
    const std::uint8_t level = bits >> (kBits - 1 - i) & 1 ? 235 : 16;
    const int left = i % layout.columns * layout.block;
    const int top = i / layout.columns * layout.block;
    for (int y = top; y < top + layout.block; ++y)
      for (int x = left; x < left + layout.block; ++x) pixels[static_cast<std::ptrdiff_t>(y) * stride + x] = level;
  }
  return true;
}

/// Reads the number back. nullopt: no code, or its check bits do not match.
inline std::optional<std::uint32_t> decode(const Luma& luma) {
  const Layout layout = Layout::of(luma.width);
  if (!layout.fits(luma.height)) return std::nullopt;
  std::uint64_t bits = 0;
  for (int i = 0; i < kBits; ++i) {
    // The middle quarter of a block: coding blurs the edges.
    const int left = i % layout.columns * layout.block + layout.block / 4;
    const int top = i / layout.columns * layout.block + layout.block / 4;
    std::uint32_t sum = 0;
    for (int y = top; y < top + layout.block / 2; ++y)
      for (int x = left; x < left + layout.block / 2; ++x) sum += luma.pixels[static_cast<std::ptrdiff_t>(y) * luma.stride + x];
    const auto count = static_cast<std::uint32_t>(layout.block / 2 * (layout.block / 2));
    bits = bits << 1 | (sum / count >= 126 ? 1u : 0u);
  }
  const auto number = static_cast<std::uint32_t>(bits >> 8);
  if (static_cast<std::uint8_t>(bits) != check_of(number)) return std::nullopt;
  return number;
}

}  // namespace amphi::barcode
