#include <algorithm>
#include <array>

#include "rtp/h264.h"
#include "rtp/h264_wire.h"

namespace amphi::rtp {
namespace {

constexpr std::uint32_t kMaxMacroblocks = 1024;  // in each direction: 16384 pixels, twice what level 6.2 needs

/// Bits of an RBSP: the emulation prevention byte of 00 00 03 is passed over (7.4.1). A read past the end fails for
/// good, and gives zero.
class BitReader {
 public:
  explicit BitReader(ByteView data) : data_(data) {}

  bool ok() const { return ok_; }

  std::uint32_t bit() {
    if (left_ == 0 && !next_byte()) return 0;
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
  std::size_t at_ = 0;
  unsigned byte_ = 0;
  int left_ = 0;
  int zeros_ = 0;
  bool ok_ = true;
};

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
std::uint32_t read_chroma_fields(BitReader& in) {
  std::uint32_t chroma_format = in.unsigned_golomb();
  const bool separate_planes = chroma_format == 3 && in.bit();
  in.unsigned_golomb();  // bit_depth_luma_minus8
  in.unsigned_golomb();  // bit_depth_chroma_minus8
  in.bit();              // qpprime_y_zero_transform_bypass_flag
  if (in.bit()) {        // seq_scaling_matrix_present_flag
    const int lists = chroma_format == 3 ? 12 : 8;
    for (int i = 0; i < lists && in.ok(); ++i) {
      if (in.bit()) skip_scaling_list(in, i < 6 ? 16 : 64);
    }
  }
  return separate_planes ? 0 : chroma_format;
}

bool skip_picture_order(BitReader& in) {
  const std::uint32_t type = in.unsigned_golomb();
  if (type == 0) {
    in.unsigned_golomb();  // log2_max_pic_order_cnt_lsb_minus4
  } else if (type == 1) {
    in.bit();            // delta_pic_order_always_zero_flag
    in.signed_golomb();  // offset_for_non_ref_pic
    in.signed_golomb();  // offset_for_top_to_bottom_field
    const std::uint32_t count = in.unsigned_golomb();
    if (count > 255) return false;
    for (std::uint32_t i = 0; i < count; ++i) in.signed_golomb();
  }
  return type <= 2;
}

}  // namespace

std::optional<H264Sps> parse_sps(ByteView nal) {
  if (nal.size() < 4 || (static_cast<unsigned>(nal[0]) & h264::kTypeMask) != h264::kSps) return std::nullopt;
  BitReader in(nal.subspan(1));
  H264Sps sps;
  sps.profile_idc = static_cast<std::uint8_t>(in.bits(8));
  sps.constraint_flags = static_cast<std::uint8_t>(in.bits(8));
  sps.level_idc = static_cast<std::uint8_t>(in.bits(8));
  if (in.unsigned_golomb() > 31) return std::nullopt;  // seq_parameter_set_id
  const std::uint32_t chroma = has_chroma_fields(sps.profile_idc) ? read_chroma_fields(in) : 1;
  if (chroma > 3) return std::nullopt;
  in.unsigned_golomb();  // log2_max_frame_num_minus4
  if (!skip_picture_order(in)) return std::nullopt;
  in.unsigned_golomb();  // max_num_ref_frames
  in.bit();              // gaps_in_frame_num_value_allowed_flag

  const std::uint64_t columns = std::uint64_t{in.unsigned_golomb()} + 1;
  const std::uint64_t rows =
      std::uint64_t{in.unsigned_golomb()} + 1;  // of map units: pairs of macroblocks if interlaced
  const std::uint32_t fields = in.bit() ? 1 : 2;
  if (fields == 2) in.bit();            // mb_adaptive_frame_field_flag
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
  sps.width = static_cast<std::uint16_t>(columns * 16 - crop_x);
  sps.height = static_cast<std::uint16_t>(rows * fields * 16 - crop_y);
  return sps;
}

}  // namespace amphi::rtp
