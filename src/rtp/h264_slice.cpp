#include "rtp/h264_slice.h"

#include <algorithm>

#include "rtp/h264_bits.h"
#include "rtp/h264_wire.h"

namespace amphi::rtp {
namespace {

using h264::BitReader;

constexpr std::uint32_t kMostReferences = 32;

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

/// The rest of a slice header of a reference picture, up to its marking.
bool begins_anew(BitReader& in, std::uint32_t type, const H264Sps& sps, const H264Pps& pps) {
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

}  // namespace

std::optional<H264SliceHeader> parse_slice_header(ByteView slice, const H264Sps& sps, const H264Pps& pps) {
  if (slice.empty() || sps.number_bits == 0 || (sps.order_type == 0 && sps.order_bits == 0)) return std::nullopt;
  H264SliceHeader header;
  header.idr = (static_cast<unsigned>(slice[0]) & h264::kTypeMask) == h264::kIdr;
  header.reference = (static_cast<unsigned>(slice[0]) & h264::kReferenceMask) != 0;
  BitReader in(slice.subspan(1));
  in.unsigned_golomb();  // first_mb_in_slice
  const std::uint32_t type = in.unsigned_golomb() % 5;
  in.unsigned_golomb();                 // pic_parameter_set_id
  if (sps.separate_planes) in.bits(2);  // colour_plane_id
  header.number = in.bits(sps.number_bits);
  header.field = sps.fields && in.bit();
  header.bottom = header.field && in.bit();
  if (header.idr) in.unsigned_golomb();  // idr_pic_id
  if (sps.order_type == 0) {
    header.lsb = in.bits(sps.order_bits);
    if (pps.field_order && !header.field) header.delta[1] = in.signed_golomb();
  } else if (sps.order_type == 1 && sps.cycle.deltas) {
    header.delta[0] = in.signed_golomb();
    if (pps.field_order && !header.field) header.delta[1] = in.signed_golomb();
  }
  if (!in.ok()) return std::nullopt;
  header.anew = header.reference && !header.idr && pps.complete && begins_anew(in, type, sps, pps);
  return header;
}

}  // namespace amphi::rtp
