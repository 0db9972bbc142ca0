// Writes ISO base media boxes (ISO/IEC 14496-12 4.2). Grows a byte string.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace amphi::recording {

class BoxWriter {
 public:
  using Box = std::size_t;  // where an open box begins

  std::size_t size() const { return data_.size(); }
  Bytes take() { return std::move(data_); }

  Box begin(std::string_view type) {
    const Box at = data_.size();
    u32(0);
    text(type);
    return at;
  }
  Box begin_full(std::string_view type, std::uint8_t version, std::uint32_t flags) {
    const Box at = begin(type);
    u32(std::uint32_t{version} << 24 | flags);
    return at;
  }
  void end(Box box) { patch_u32(box, static_cast<std::uint32_t>(data_.size() - box)); }

  void u8(std::uint64_t v) { number(v, 1); }
  void u16(std::uint64_t v) { number(v, 2); }
  void u32(std::uint64_t v) { number(v, 4); }
  void u64(std::uint64_t v) { number(v, 8); }
  void zeros(std::size_t count) { data_.resize(data_.size() + count); }
  void text(std::string_view value) { bytes(as_bytes(value)); }
  void bytes(ByteView value) { data_.insert(data_.end(), value.begin(), value.end()); }
  void patch_u32(std::size_t position, std::uint32_t v) {
    for (std::size_t i = 0; i < 4; ++i) data_[position + i] = static_cast<std::byte>(v >> (24 - 8 * i));
  }
  /// The nine values of a matrix that leaves everything as it is.
  void unity_matrix() {
    for (const std::uint32_t value : {0x10000u, 0u, 0u, 0u, 0x10000u, 0u, 0u, 0u, 0x40000000u}) u32(value);
  }

 private:
  void number(std::uint64_t v, int width) {
    for (int i = width - 1; i >= 0; --i) data_.push_back(static_cast<std::byte>(v >> (8 * i)));
  }
  Bytes data_;
};

}  // namespace amphi::recording
