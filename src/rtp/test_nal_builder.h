// For tests: builds an H.264 NAL unit bit by bit, with emulation prevention, as an encoder does.
#pragma once

#include <vector>

#include "base/bytes.h"

namespace amphi::rtp {

template <typename Self>
class NalBuilder {
 public:
  explicit NalBuilder(unsigned header) : header_(header) {}
  Self& put(unsigned value, int bits) {
    for (int i = bits - 1; i >= 0; --i) bits_.push_back(value >> i & 1);
    return static_cast<Self&>(*this);
  }
  Self& ue(unsigned value) {
    int width = 0;
    while ((value + 1) >> (width + 1)) ++width;
    put(0, width);
    return put(value + 1, width + 1);
  }
  Self& se(int value) { return ue(value > 0 ? static_cast<unsigned>(2 * value - 1) : static_cast<unsigned>(-2 * value)); }
  Bytes nal() {
    put(1, 1);
    while (bits_.size() % 8) put(0, 1);
    Bytes out{static_cast<std::byte>(header_)};
    int zeros = 0;
    for (std::size_t i = 0; i < bits_.size(); i += 8) {
      unsigned byte = 0;
      for (std::size_t b = 0; b < 8; ++b) byte = byte << 1 | bits_[i + b];
      if (zeros >= 2 && byte <= 3) {
        out.push_back(std::byte{3});
        zeros = 0;
      }
      out.push_back(static_cast<std::byte>(byte));
      zeros = byte == 0 ? zeros + 1 : 0;
    }
    return out;
  }

 private:
  unsigned header_;
  std::vector<unsigned> bits_;
};

}  // namespace amphi::rtp
