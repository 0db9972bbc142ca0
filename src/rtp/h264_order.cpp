#include "rtp/h264_order.h"

#include <algorithm>

namespace amphi::rtp {
namespace {

constexpr std::int64_t kMostPictures = std::int64_t{1} << 30;  // of type 1, without an IDR picture
constexpr std::int64_t kMostCount = std::int64_t{1} << 61;     // sums and differences of counts stay within 64 bits

}  // namespace

/// 8.2.1.1, without the wrap.
std::int64_t H264OrderCounter::count_lsb(const H264SliceHeader& header, const H264Sps& sps) {
  const std::int64_t modulus = std::int64_t{1} << sps.order_bits;
  if (header.idr) reference_ = 0;
  const std::int64_t ahead = (header.lsb - reference_) & (modulus - 1);
  const std::int64_t top = header.idr ? header.lsb : reference_ + (ahead > modulus / 2 ? ahead - modulus : ahead);
  const std::int64_t count = std::min(top, top + header.delta[1]);
  if (header.reference) reference_ = header.anew ? (header.bottom ? 0 : top - count) : top;
  return count;
}

/// 8.2.1.2.
std::int64_t H264OrderCounter::count_cycle(const H264SliceHeader& header, const H264Sps& sps) {
  const H264OrderCycle& cycle = sps.cycle;
  if (header.idr) offset_ = 0;
  else if (number_ > header.number) offset_ = (offset_ + (std::int64_t{1} << sps.number_bits)) % kMostPictures;
  number_ = header.anew ? 0 : header.number;
  const auto size = static_cast<std::int64_t>(cycle.references.size());
  std::int64_t pictures = size == 0 ? 0 : offset_ + header.number;
  if (!header.reference && pictures > 0) --pictures;
  std::int64_t count = 0;
  if (pictures > 0) {
    std::int64_t whole = 0;
    for (const std::int32_t step : cycle.references) whole += step;
    count = (pictures - 1) / size * whole;
    for (std::int64_t i = 0; i <= (pictures - 1) % size; ++i) count += cycle.references[static_cast<std::size_t>(i)];
  }
  if (!header.reference) count += cycle.non_reference;
  if (header.bottom) count += cycle.top_to_bottom;
  count += header.delta[0];
  if (header.anew) offset_ = 0;
  return count;
}

std::optional<H264Order> H264OrderCounter::next(ByteView slice, const H264Sps& sps, const H264Pps& pps) {
  const auto header = parse_slice_header(slice, sps, pps);
  return header ? next(*header, sps) : std::nullopt;
}

std::optional<H264Order> H264OrderCounter::next(const H264SliceHeader& header, const H264Sps& sps) {
  if (sps.order_type > 1) return std::nullopt;
  const std::int64_t count = sps.order_type == 0 ? count_lsb(header, sps) : count_cycle(header, sps);
  const auto reordered = static_cast<std::uint8_t>(sps.reordered * (sps.fields ? 2 : 1));
  return H264Order{header.anew ? 0 : std::clamp(count, -kMostCount, kMostCount), header.idr || header.anew, reordered};
}

}  // namespace amphi::rtp
