// Headers of H.264 NAL units: parameter sets and slices (ITU-T H.264 7.3.2.1.1, 7.3.2.2, 7.3.3).
#include <algorithm>
#include <array>

#include "rtp/h264.h"
#include "rtp/h264_bits.h"
#include "rtp/h264_wire.h"

namespace amphi::rtp {
namespace {

using h264::BitReader;

constexpr std::uint32_t kMaxMacroblocks = 1024;  // in each direction: 16384 pixels, twice what level 6.2 needs

bool has_chroma_fields(std::uint8_t profile_idc) {  // 7.3.2.1.1
  constexpr std::array<std::uint8_t, 13> kProfiles{100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};
  return std::find(kProfiles.begin(), kProfiles.end(), profile_idc) != kProfiles.end();
}

void skip_scaling_list(BitReader& in, int size) {  // 7.3.2.1.1.1
  int last = 8;
  int next = 8;
  for (int i = 0; i < size && next != 0 && in.ok(); ++i) {
    next = (last + in.signed_golomb() % 256 + 256) % 256;
    if (next != 0) last = next;
  }
}

/// Returns ChromaArrayType.
std::uint32_t read_chroma_fields(BitReader& in, H264Sps& sps) {
  std::uint32_t chroma_format = in.unsigned_golomb();
  sps.separate_planes = chroma_format == 3 && in.bit();
  in.unsigned_golomb();  // bit_depth_luma_minus8
  in.unsigned_golomb();  // bit_depth_chroma_minus8
  in.bit();              // qpprime_y_zero_transform_bypass_flag
  if (in.bit()) {        // seq_scaling_matrix_present_flag
    const int lists = chroma_format == 3 ? 12 : 8;
    for (int i = 0; i < lists && in.ok(); ++i) {
      if (in.bit()) skip_scaling_list(in, i < 6 ? 16 : 64);
    }
  }
  sps.chroma = chroma_format != 0 && !sps.separate_planes;
  return sps.separate_planes ? 0 : chroma_format;
}

/// What is 4 less than a width in bits; 0: more bits than the standard allows.
std::uint8_t read_bits_minus4(BitReader& in) {
  const std::uint32_t value = in.unsigned_golomb();
  return value <= 12 ? static_cast<std::uint8_t>(value + 4) : std::uint8_t{0};
}

bool read_picture_order(BitReader& in, H264Sps& sps) {
  const std::uint32_t type = in.unsigned_golomb();
  if (type == 0) {
    sps.order_bits = read_bits_minus4(in);
  } else if (type == 1) {
    sps.cycle.deltas = !in.bit();
    sps.cycle.non_reference = in.signed_golomb();
    sps.cycle.top_to_bottom = in.signed_golomb();
    const std::uint32_t count = in.unsigned_golomb();
    if (count > 255) return false;
    for (std::uint32_t i = 0; i < count; ++i) sps.cycle.references.push_back(in.signed_golomb());
  }
  sps.order_type = static_cast<std::uint8_t>(type);
  return type <= 2;
}

void skip_hrd(BitReader& in) {  // E.1.2
  const std::uint32_t count = in.unsigned_golomb();
  in.bits(8);  // bit_rate_scale, cpb_size_scale
  for (std::uint32_t i = 0; i <= count && in.ok(); ++i) {
    in.unsigned_golomb();
    in.unsigned_golomb();
    in.bit();
  }
  in.bits(20);  // lengths
}

/// max_num_reorder_frames; nullopt: not given.
std::optional<std::uint32_t> read_vui(BitReader& in) {  // E.1.1
  if (!in.bit()) return std::nullopt;
  if (in.bit() && in.bits(8) == 255) in.bits(32);  // aspect_ratio_idc; Extended_SAR
  if (in.bit()) in.bit();                          // overscan
  if (in.bit()) {                                  // video_signal_type
    in.bits(4);
    if (in.bit()) in.bits(24);
  }
  if (in.bit()) {  // chroma_loc_info
    in.unsigned_golomb();
    in.unsigned_golomb();
  }
  if (in.bit()) {  // timing_info
    in.bits(32);
    in.bits(32);
    in.bit();
  }
  const bool nal_hrd = in.bit();
  if (nal_hrd) skip_hrd(in);
  const bool vcl_hrd = in.bit();
  if (vcl_hrd) skip_hrd(in);
  if (nal_hrd || vcl_hrd) in.bit();  // low_delay_hrd_flag
  in.bit();                          // pic_struct_present_flag
  if (!in.bit()) return std::nullopt;
  in.bit();                                           // motion_vectors_over_pic_boundaries_flag
  for (int i = 0; i < 4; ++i) in.unsigned_golomb();  // bytes, bits, vector lengths
  const std::uint32_t reordered = in.unsigned_golomb();
  return in.ok() ? std::optional(reordered) : std::nullopt;
}

/// The profile and the bits behind the level, without the emulation prevention, up to this position.
Bytes first_bits(ByteView nal, std::size_t end) {
  BitReader in(nal.subspan(1));
  Bytes out;
  while (in.position() < end) {
    const auto count = static_cast<int>(std::min<std::size_t>(8, end - in.position()));
    const std::uint32_t value = in.bits(count);
    if (in.position() != 16 && in.position() != 24) out.push_back(static_cast<std::byte>(value));  // constraint flags, level
  }
  return out;
}

/// E.2.1: what is inferred where the stream does not say it; the baseline profile has no B slices (A.2.1).
std::uint32_t inferred_reordering(const H264Sps& sps) {
  const bool intra_only = (sps.constraint_flags & 0x10u) != 0 && (sps.profile_idc == 44 || sps.profile_idc == 86 || sps.profile_idc >= 100);
  return sps.profile_idc == 66 || intra_only ? 0 : 16;
}

}  // namespace

std::optional<H264Sps> parse_sps(ByteView nal) {
  if (nal.size() < 4 || (static_cast<unsigned>(nal[0]) & h264::kTypeMask) != h264::kSps) return std::nullopt;
  BitReader in(nal.subspan(1));
  H264Sps sps;
  sps.profile_idc = static_cast<std::uint8_t>(in.bits(8));
  sps.constraint_flags = static_cast<std::uint8_t>(in.bits(8));
  sps.level_idc = static_cast<std::uint8_t>(in.bits(8));
  const std::uint32_t id = in.unsigned_golomb();
  if (id > 31) return std::nullopt;
  sps.id = static_cast<std::uint8_t>(id);
  const std::uint32_t chroma = has_chroma_fields(sps.profile_idc) ? read_chroma_fields(in, sps) : 1;
  if (chroma > 3) return std::nullopt;
  sps.number_bits = read_bits_minus4(in);
  if (!read_picture_order(in, sps)) return std::nullopt;
  in.unsigned_golomb();  // max_num_ref_frames
  sps.number_gaps = in.bit();

  const std::uint64_t columns = std::uint64_t{in.unsigned_golomb()} + 1;
  const std::uint64_t rows =
      std::uint64_t{in.unsigned_golomb()} + 1;  // of map units: pairs of macroblocks if interlaced
  const std::uint32_t fields = in.bit() ? 1 : 2;
  sps.fields = fields == 2;
  if (sps.fields) in.bit();             // mb_adaptive_frame_field_flag
  in.bit();                             // direct_8x8_inference_flag
  std::array<std::uint64_t, 4> crop{};  // left, right, top, bottom
  if (in.bit()) {
    for (std::uint64_t& side : crop) side = in.unsigned_golomb();
  }
  if (!in.ok() || columns > kMaxMacroblocks || rows * fields > kMaxMacroblocks) return std::nullopt;

  const std::uint64_t unit_x = chroma == 1 || chroma == 2 ? 2 : 1;  // 7.4.2.1.1
  const std::uint64_t unit_y = (chroma == 1 ? 2 : 1) * fields;
  const std::uint64_t crop_x = (crop[0] + crop[1]) * unit_x;
  const std::uint64_t crop_y = (crop[2] + crop[3]) * unit_y;
  if (crop_x >= columns * 16 || crop_y >= rows * fields * 16) return std::nullopt;
  sps.decoding = first_bits(nal, in.position());
  sps.macroblocks = static_cast<std::uint32_t>(columns * rows * fields);
  sps.width = static_cast<std::uint16_t>(columns * 16 - crop_x);
  sps.height = static_cast<std::uint16_t>(rows * fields * 16 - crop_y);
  sps.reordered = static_cast<std::uint8_t>(std::min(read_vui(in).value_or(inferred_reordering(sps)), 16u));
  return sps;
}

std::optional<H264Pps> parse_pps(ByteView nal) {
  if (nal.size() < 2 || (static_cast<unsigned>(nal[0]) & h264::kTypeMask) != h264::kPps) return std::nullopt;
  BitReader in(nal.subspan(1));
  const std::uint32_t id = in.unsigned_golomb();
  const std::uint32_t sps = in.unsigned_golomb();
  in.bit();  // entropy_coding_mode_flag
  H264Pps pps;
  pps.field_order = in.bit();
  const std::uint32_t groups = in.unsigned_golomb();
  if (!in.ok() || id > 255 || sps > 31 || groups > 7) return std::nullopt;
  pps.id = static_cast<std::uint8_t>(id);
  pps.sps = static_cast<std::uint8_t>(sps);
  pps.slice_groups = groups > 0;
  bool possible = true;
  for (std::uint32_t& count : pps.references) {
    count = std::uint32_t{1} + in.unsigned_golomb();
    possible = possible && count <= 32;
  }
  pps.weighted = in.bit();
  const std::uint32_t weighted = in.bits(2);
  pps.weighted_bidirectional = weighted == 1;
  const std::int32_t quantizers[] = {in.signed_golomb(), in.signed_golomb()};
  for (const std::int32_t quantizer : quantizers) possible = possible && quantizer >= -62 && quantizer <= 25;  // of up to 14 bits
  const std::int32_t chroma = in.signed_golomb();
  if (in.ok() && groups == 0 && (!possible || weighted > 2 || chroma < -12 || chroma > 12)) return std::nullopt;
  in.bits(2);                                      // deblocking_filter_control_present_flag, constrained_intra_pred_flag
  pps.redundant = in.bit();
  pps.complete = in.ok() && groups == 0;
  return pps;
}

std::optional<H264Slice> parse_slice(ByteView nal) {
  const unsigned type = nal.empty() ? 0 : static_cast<unsigned>(nal[0]) & h264::kTypeMask;
  if (type != h264::kSlice && type != h264::kIdr) return std::nullopt;
  BitReader in(nal.subspan(1));
  H264Slice slice;
  slice.first_macroblock = in.unsigned_golomb();
  const std::uint32_t slice_type = in.unsigned_golomb();
  const std::uint32_t pps = in.unsigned_golomb();
  if (!in.ok() || slice_type > 9 || pps > 255) return std::nullopt;
  slice.reference = (static_cast<unsigned>(nal[0]) & h264::kReferenceMask) != 0;
  slice.bidirectional = slice_type % 5 == 1;
  slice.intra = slice_type % 5 == 2 || slice_type % 5 == 4;
  slice.pps = static_cast<std::uint8_t>(pps);
  return slice;
}

}  // namespace amphi::rtp
