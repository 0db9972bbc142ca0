// Byte strings, and a bounded big-endian reader and writer: the only way that wire formats touch raw bytes.
// A read past the end fails once and for all (`ok()` turns false, every later read gives zero), so a parser
// reads straight through and checks once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace amphi {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes to_bytes(ByteView view) { return {view.begin(), view.end()}; }

std::string to_hex(ByteView bytes);
/// Exactly `out.size()` bytes in hexadecimal digits of either case; false, and `out` of no use, for anything else.
bool from_hex(std::string_view text, MutableBytes out);

class ByteReader {
 public:
  explicit ByteReader(ByteView data) : data_(data) {}

  bool ok() const { return ok_; }
  std::size_t remaining() const { return ok_ ? data_.size() - at_ : 0; }
  std::size_t position() const { return at_; }

  std::uint8_t u8() { return static_cast<std::uint8_t>(unsigned_of(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(unsigned_of(2)); }
  std::uint32_t u24() { return static_cast<std::uint32_t>(unsigned_of(3)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(unsigned_of(4)); }
  std::uint64_t u64() { return unsigned_of(8); }

  ByteView bytes(std::size_t count) {
    if (!take(count)) return {};
    return data_.subspan(at_ - count, count);
  }
  void skip(std::size_t count) { take(count); }
  ByteView rest() { return bytes(remaining()); }

 private:
  bool take(std::size_t count) {
    if (!ok_ || data_.size() - at_ < count) return ok_ = false;
    at_ += count;
    return true;
  }
  std::uint64_t unsigned_of(std::size_t count) {
    if (!take(count)) return 0;
    std::uint64_t value = 0;
    for (std::size_t i = at_ - count; i < at_; ++i) value = value << 8 | static_cast<std::uint8_t>(data_[i]);
    return value;
  }

  ByteView data_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

/// Writes into memory that the caller owns; never grows. A write past the end turns `ok()` false.
class ByteWriter {
 public:
  explicit ByteWriter(MutableBytes out) : out_(out) {}

  bool ok() const { return ok_; }
  std::size_t size() const { return at_; }
  MutableBytes written() const { return out_.first(at_); }

  void u8(std::uint64_t v) { unsigned_of(v, 1); }
  void u16(std::uint64_t v) { unsigned_of(v, 2); }
  void u24(std::uint64_t v) { unsigned_of(v, 3); }
  void u32(std::uint64_t v) { unsigned_of(v, 4); }
  void u64(std::uint64_t v) { unsigned_of(v, 8); }
  void bytes(ByteView data) {
    if (!take(data.size())) return;
    if (!data.empty()) std::memcpy(out_.data() + at_ - data.size(), data.data(), data.size());
  }
  void zeros(std::size_t count) {
    if (take(count)) std::memset(out_.data() + at_ - count, 0, count);
  }
  /// Overwrites two bytes already written (a length field filled in afterwards).
  void patch_u16(std::size_t position, std::uint16_t v) {
    if (!ok_ || position + 2 > at_) return;
    out_[position] = static_cast<std::byte>(v >> 8);
    out_[position + 1] = static_cast<std::byte>(v);
  }

 private:
  bool take(std::size_t count) {
    if (!ok_ || out_.size() - at_ < count) return ok_ = false;
    at_ += count;
    return true;
  }
  void unsigned_of(std::uint64_t v, std::size_t count) {
    if (!take(count)) return;
    for (std::size_t i = 0; i < count; ++i) out_[at_ - 1 - i] = static_cast<std::byte>(v >> (8 * i));
  }

  MutableBytes out_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace amphi
