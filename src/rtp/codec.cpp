#include "rtp/codec.h"

#include <algorithm>
#include <array>

namespace amphi::rtp {

std::string_view text(Kind kind) noexcept {
  return kind == Kind::audio ? "audio" : "video";
}

std::string_view text(CodecName codec) noexcept {
  switch (codec) {
    case CodecName::opus:
      return "opus";
    case CodecName::vp8:
      return "VP8";
    case CodecName::h264:
      return "H264";
  }
  return "";
}

std::optional<CodecName> codec_from_text(std::string_view sdp_name) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  for (CodecName codec : std::array{CodecName::opus, CodecName::vp8, CodecName::h264}) {
    const std::string_view name = text(codec);
    if (std::equal(name.begin(), name.end(), sdp_name.begin(), sdp_name.end(),
                   [&](char a, char b) { return lower(a) == lower(b); })) {
      return codec;
    }
  }
  return std::nullopt;
}

}  // namespace amphi::rtp
