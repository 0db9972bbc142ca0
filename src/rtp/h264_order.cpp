#include "rtp/h264_order.h"

#include <algorithm>

#include "rtp/h264_bits.h"
#include "rtp/h264_wire.h"

namespace amphi::rtp {
namespace {

using h264::BitReader;

constexpr std::uint32_t kMostReferences = 32;
constexpr std::int64_t kMostPictures = std::int64_t{1} << 30;  // of type 1, without an IDR picture
constexpr std::int64_t kMostCount = std::int64_t{1} << 61;     // sums and differences of counts stay within 64 bits

void skip_list_modification(BitReader& in) {  // 7.3.3.1
  if (!in.bit()) return;
  while (in.ok() && in.unsigned_golomb() < 3) in.unsigned_golomb();
}

void skip_weights(BitReader& in, std::uint32_t references, bool chroma) {  // 7.3.3.2
  for (std::uint32_t i = 0; i < references && in.ok(); ++i) {
    if (in.bit()) in.signed_golomb(), in.signed_golomb();
    if (!chroma || !in.bit()) continue;
    for (int k = 0; k < 4; ++k) in.signed_golomb();
  }
}

/// Whether a reference picture that is no IDR picture has memory_management_control_operation 5 (7.3.3.3).
bool read_marking(BitReader& in) {
  if (!in.bit()) return false;
  while (in.ok()) {
    const std::uint32_t operation = in.unsigned_golomb();
    if (operation == 0) return false;
    if (operation == 5) return in.ok();
    in.unsigned_golomb();
    if (operation == 3) in.unsigned_golomb();
  }
  return false;
}

}  // namespace

struct H264OrderCounter::Header {
  bool idr = false, reference = false;
  bool bottom = false;           // a bottom field
  std::int64_t number = 0;       // frame_num
  std::int64_t lsb = 0;          // pic_order_cnt_lsb
  std::int64_t delta[2] = {};    // of type 0: the second, delta_pic_order_cnt_bottom; of type 1: delta_pic_order_cnt
  bool anew = false;             // memory_management_control_operation 5
};

std::optional<H264OrderCounter::Header> H264OrderCounter::parse(ByteView slice, const H264Sps& sps, const H264Pps& pps) {
  if (slice.empty() || sps.order_type > 1 || sps.number_bits == 0 || (sps.order_type == 0 && sps.order_bits == 0)) return std::nullopt;
  Header header;
  header.idr = (static_cast<unsigned>(slice[0]) & h264::kTypeMask) == h264::kIdr;
  header.reference = (static_cast<unsigned>(slice[0]) & 0x60u) != 0;
  BitReader in(slice.subspan(1));
  in.unsigned_golomb();  // first_mb_in_slice
  const std::uint32_t type = in.unsigned_golomb() % 5;
  in.unsigned_golomb();                 // pic_parameter_set_id
  if (sps.separate_planes) in.bits(2);  // colour_plane_id
  header.number = in.bits(sps.number_bits);
  const bool field = sps.fields && in.bit();
  header.bottom = field && in.bit();
  if (header.idr) in.unsigned_golomb();  // idr_pic_id
  if (sps.order_type == 0) {
    header.lsb = in.bits(sps.order_bits);
    if (pps.field_order && !field) header.delta[1] = in.signed_golomb();
  } else if (sps.cycle.deltas) {
    header.delta[0] = in.signed_golomb();
    if (pps.field_order && !field) header.delta[1] = in.signed_golomb();
  }
  if (!in.ok()) return std::nullopt;
  header.anew = header.reference && !header.idr && pps.complete && begins_anew(in, type, sps, pps);
  return header;
}

/// The rest of a slice header of a reference picture, up to its marking.
bool H264OrderCounter::begins_anew(h264::BitReader& in, std::uint32_t type, const H264Sps& sps, const H264Pps& pps) {
  const bool is_p = type == 0 || type == 3, is_b = type == 1;
  if (pps.redundant) in.unsigned_golomb();  // redundant_pic_cnt
  if (is_b) in.bit();                       // direct_spatial_mv_pred_flag
  auto references = pps.references;
  if ((is_p || is_b) && in.bit()) {
    references[0] = 1 + in.unsigned_golomb();
    if (is_b) references[1] = 1 + in.unsigned_golomb();
  }
  if (std::max(references[0], references[1]) > kMostReferences) return false;
  if (is_p || is_b) skip_list_modification(in);
  if (is_b) skip_list_modification(in);
  if ((is_p && pps.weighted) || (is_b && pps.weighted_bidirectional)) {
    in.unsigned_golomb();
    if (sps.chroma) in.unsigned_golomb();
    skip_weights(in, references[0], sps.chroma);
    if (is_b) skip_weights(in, references[1], sps.chroma);
  }
  return read_marking(in);
}

/// 8.2.1.1, without the wrap.
std::int64_t H264OrderCounter::count_lsb(const Header& header, const H264Sps& sps) {
  const std::int64_t modulus = std::int64_t{1} << sps.order_bits;
  if (header.idr) reference_ = 0;
  const std::int64_t ahead = (header.lsb - reference_) & (modulus - 1);
  const std::int64_t top = header.idr ? header.lsb : reference_ + (ahead > modulus / 2 ? ahead - modulus : ahead);
  const std::int64_t count = std::min(top, top + header.delta[1]);
  if (header.reference) reference_ = header.anew ? (header.bottom ? 0 : top - count) : top;
  return count;
}

/// 8.2.1.2.
std::int64_t H264OrderCounter::count_cycle(const Header& header, const H264Sps& sps) {
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
  const auto header = parse(slice, sps, pps);
  if (!header) return std::nullopt;
  const std::int64_t count = sps.order_type == 0 ? count_lsb(*header, sps) : count_cycle(*header, sps);
  const auto reordered = static_cast<std::uint8_t>(sps.reordered * (sps.fields ? 2 : 1));
  return H264Order{header->anew ? 0 : std::clamp(count, -kMostCount, kMostCount), header->idr || header->anew, reordered};
}

}  // namespace amphi::rtp
