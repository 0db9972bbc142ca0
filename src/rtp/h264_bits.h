// Bits of an H.264 RBSP, without the emulation prevention bytes (ITU-T H.264 7.4.1), and its exp-Golomb codes (9.1).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace amphi::rtp::h264 {

/// A read past the end fails for good, and returns zero.
class BitReader {
 public:
  explicit BitReader(ByteView data) : data_(data) {}

  bool ok() const { return ok_; }
  /// Bits that were read.
  std::size_t position() const { return position_; }

  std::uint32_t bit() {
    if (left_ == 0 && !next_byte()) return 0;
    ++position_;
    return static_cast<std::uint32_t>(byte_ >> --left_ & 1u);
  }
  std::uint32_t bits(int count) {
    std::uint32_t value = 0;
    while (count-- > 0) value = value << 1 | bit();
    return value;
  }
  std::uint32_t unsigned_golomb() {  // ue(v), 9.1
    int zeros = 0;
    while (ok_ && bit() == 0) {
      if (++zeros > 31) ok_ = false;
    }
    return ok_ ? (1u << zeros) - 1 + bits(zeros) : 0;
  }
  std::int32_t signed_golomb() {  // se(v), 9.1.1
    const std::uint32_t code = unsigned_golomb();
    const auto half = static_cast<std::int32_t>(code >> 1);
    return code & 1 ? half + 1 : -half;
  }

 private:
  bool next_byte() {
    if (at_ < data_.size() && zeros_ >= 2 && data_[at_] == std::byte{3}) {
      ++at_;
      zeros_ = 0;
    }
    if (!ok_ || at_ >= data_.size()) return ok_ = false;
    byte_ = static_cast<unsigned>(data_[at_++]);
    zeros_ = byte_ == 0 ? zeros_ + 1 : 0;
    left_ = 8;
    return true;
  }

  ByteView data_;
  std::size_t at_ = 0, position_ = 0;
  unsigned byte_ = 0;
  int left_ = 0;
  int zeros_ = 0;
  bool ok_ = true;
};

}  // namespace amphi::rtp::h264
