// What a payload type stands for: the media kind, the codec, its clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace amphi::rtp {

enum class Kind : std::uint8_t { audio, video };
enum class CodecName : std::uint8_t { opus, vp8, h264 };

std::string_view text(Kind kind) noexcept;        // "audio", "video"
std::string_view text(CodecName codec) noexcept;  // the SDP spelling: "opus", "VP8", "H264"
std::optional<CodecName> codec_from_text(std::string_view sdp_name) noexcept;  // case-insensitive

struct Codec {
  CodecName name = CodecName::vp8;
  std::uint32_t clock_rate = 90'000;  // Hz
  std::uint8_t channels = 0;          // 0 for video
  std::string fmtp;                   // the SDP format parameters, as negotiated

  Kind kind() const { return name == CodecName::opus ? Kind::audio : Kind::video; }
  bool operator==(const Codec&) const = default;
};

}  // namespace amphi::rtp
