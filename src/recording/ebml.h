// Writes EBML (RFC 8794): element ids, sizes, and the value types that Matroska needs. Grows a byte string.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace amphi::recording {

class EbmlWriter {
 public:
  using Master = std::size_t;  // where an open element's size field lies
  static constexpr std::uint64_t kUnknownSize = 0x00ff'ffff'ffff'ffff;

  std::size_t size() const { return data_.size(); }
  Bytes take() { return std::move(data_); }

  void id(std::uint32_t element) {
    number(element, element > 0xffffff ? 4 : element > 0xffff ? 3 : element > 0xff ? 2 : 1);
  }
  /// A size in exactly `width` bytes.
  void length(std::uint64_t value, int width) { number(value | std::uint64_t{1} << (7 * width), width); }

  Master begin(std::uint32_t element) {
    id(element);
    length(0, 4);
    return data_.size() - 4;
  }
  void end(Master master) {
    const std::uint64_t value = (data_.size() - master - 4) | std::uint64_t{1} << 28;
    for (std::size_t i = 0; i < 4; ++i) data_[master + i] = static_cast<std::byte>(value >> (24 - 8 * i));
  }

  void unsigned_integer(std::uint32_t element, std::uint64_t value) {
    int width = 1;
    while (width < 8 && value >> (8 * width) != 0) ++width;
    id(element);
    length(static_cast<std::uint64_t>(width), 1);
    number(value, width);
  }
  void floating(std::uint32_t element, double value) {
    id(element);
    length(8, 1);
    number(std::bit_cast<std::uint64_t>(value), 8);
  }
  void binary(std::uint32_t element, ByteView value) {
    id(element);
    length(value.size(), 4);
    bytes(value);
  }
  void text(std::uint32_t element, std::string_view value) { binary(element, as_bytes(value)); }
  /// A Void element that fills `total` bytes, 2 to 128.
  void padding(std::size_t total) {
    id(0xec);
    length(total - 2, 1);
    data_.resize(data_.size() + total - 2);
  }
  void bytes(ByteView value) { data_.insert(data_.end(), value.begin(), value.end()); }
  void number(std::uint64_t value, int width) {
    for (int i = width - 1; i >= 0; --i) data_.push_back(static_cast<std::byte>(value >> (8 * i)));
  }

 private:
  Bytes data_;
};

}  // namespace amphi::recording
