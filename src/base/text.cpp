#include "base/text.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace amphi {
namespace {

/// The next character, and `text` behind it; -1: not UTF-8 (RFC 3629: no surrogates, nothing longer than necessary, at most U+10FFFF).
std::int32_t take_character(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  const std::size_t size = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (size == 0 || text.size() < size) return -1;
  std::int32_t value = size == 1 ? first : first & (0x7f >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return -1;
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr std::int32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return -1;
  text.remove_prefix(size);
  return value;
}

}  // namespace

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

bool is_plain_text(std::string_view text) {
  while (!text.empty()) {
    const std::int32_t c = take_character(text);
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return false;
    if (c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x206f)) return false;
    if (c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f)) return false;
  }
  return true;
}

bool has_visible_character(std::string_view text) {
  struct Range {
    std::int32_t first, last;
  };
  static constexpr Range kBlank[] = {{0x20, 0x20},     {0xa0, 0xa0},     {0xad, 0xad},     {0x34f, 0x34f},   {0x115f, 0x1160}, {0x1680, 0x1680}, {0x17b4, 0x17b5},   {0x180b, 0x180f},
                                     {0x2000, 0x200d}, {0x202f, 0x202f}, {0x205f, 0x2064}, {0x2800, 0x2800}, {0x3000, 0x3000}, {0x3164, 0x3164}, {0xfe00, 0xfe0f},   {0xffa0, 0xffa0},
                                     {0xe0100, 0xe01ef}};
  while (!text.empty()) {
    const std::int32_t c = take_character(text);
    if (c < 0) return false;
    if (std::none_of(std::begin(kBlank), std::end(kBlank), [&](const Range& range) { return c >= range.first && c <= range.last; })) return true;
  }
  return false;
}

bool is_printable_ascii(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace amphi
