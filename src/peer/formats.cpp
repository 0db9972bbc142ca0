#include "peer/formats.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace amphi::peer {
namespace {

using rtp::CodecName;

constexpr std::string_view kTakes = "VP8, H264 (packetization-mode 0 or 1) and opus/48000/2";
constexpr std::string_view kDefaultProfile = "42e01f";  // what WebRTC endpoints assume where none is given
constexpr std::size_t kMaxNamed = 8;                    // codecs in a refusal
constexpr std::size_t kMaxNameLength = 64;

std::string lowercase(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

bool has_feedback(const sdp::PayloadFormat& format, std::string_view what) {
  return std::find(format.feedback.begin(), format.feedback.end(), what) != format.feedback.end();
}

bool is_rtx(const sdp::PayloadFormat& format) { return lowercase(format.encoding) == "rtx"; }

/// RFC 5761 4: with the marker bit, these payload types read as RTCP.
bool collides_with_rtcp(std::uint8_t payload_type) { return payload_type >= 64 && payload_type < 96; }

/// Six hexadecimal digits, lower case: profile_idc, constraint flags, level (RFC 6184 8.1).
std::string profile_level_id(const rtp::Codec& codec) {
  std::string id = lowercase(sdp::fmtp_value(codec.fmtp, "profile-level-id"));
  const bool hex = id.size() == 6 && std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
  return hex ? id : std::string(kDefaultProfile);
}

/// The profiles, beside the stream's own, whose decoders decode it. Constrained High stands in for Main and High, because
/// what it excludes (interlacing, B slices) is absent from live streams.
std::vector<std::string_view> superset_profiles(std::string_view id) {
  const std::string_view profile = id.substr(0, 2);
  const int constraints = std::stoi(std::string(id.substr(2, 2)), nullptr, 16);
  if (profile == "42" && (constraints & 0x40) == 0) return {"42e0"};  // Baseline: FMO and ASO are not used in practice
  if (profile == "4d") return {"6400", "640c", "f400"};
  if (profile == "64") return constraints == 0x0c ? std::vector<std::string_view>{"6400", "f400"} : std::vector<std::string_view>{"640c", "f400"};
  return {};
}

std::string h264_fmtp(std::string_view profile_level_id, std::string_view mode, std::string_view sprop) {
  std::string fmtp = "level-asymmetry-allowed=1;packetization-mode=" + std::string(mode) + ";profile-level-id=" + std::string(profile_level_id);
  if (!sprop.empty()) fmtp += ";sprop-parameter-sets=" + std::string(sprop);
  return fmtp;
}

/// Whether a decoder of profile `taken` decodes a stream of profile `sent` (H.264 A.2). A profile that this table does not have is believed.
bool profile_decodes(std::string_view taken, std::string_view sent) {
  constexpr std::array<std::string_view, 6> kRising{"42", "4d", "64", "6e", "7a", "f4"};
  const auto rank = [&](std::string_view id) { return std::find(kRising.begin(), kRising.end(), id.substr(0, 2)); };
  return rank(taken) >= rank(sent) || rank(sent) == kRising.end();
}

std::string packetization_mode(const rtp::Codec& codec) {
  const std::string mode = sdp::fmtp_value(codec.fmtp, "packetization-mode");
  return mode.empty() ? "0" : mode;  // RFC 6184 8.1
}

std::optional<rtp::Codec> known_codec(const sdp::PayloadFormat& format, sdp::MediaKind kind) {
  const auto name = rtp::codec_from_text(format.encoding);
  if (!name) return std::nullopt;
  rtp::Codec codec{*name, format.clock_rate, 0, format.fmtp};
  if (codec.kind() != (kind == sdp::MediaKind::audio ? rtp::Kind::audio : rtp::Kind::video)) return std::nullopt;
  if (codec.clock_rate != (*name == CodecName::opus ? 48'000u : 90'000u)) return std::nullopt;
  if (*name == CodecName::opus) codec.channels = 2;  // RFC 7587 7: always
  if (*name == CodecName::h264) {
    const std::string mode = packetization_mode(codec);
    if (mode != "0" && mode != "1") return std::nullopt;
  }
  return codec;
}

}  // namespace

std::vector<Format> common_formats(const sdp::Media& media) {
  std::vector<Format> common;
  if (!media.is_rtp()) return common;
  for (const auto& candidate : media.formats) {
    auto codec = known_codec(candidate, media.kind);
    if (!codec || collides_with_rtcp(candidate.payload_type)) continue;
    Format format;
    format.codec = std::move(*codec);
    format.payload_type = candidate.payload_type;
    format.nack = has_feedback(candidate, "nack");
    format.transport_cc = has_feedback(candidate, "transport-cc");
    format.remb = has_feedback(candidate, "goog-remb");
    format.pli = has_feedback(candidate, "nack pli");
    format.fir = has_feedback(candidate, "ccm fir");
    const std::string apt = std::to_string(candidate.payload_type);
    for (const auto& rtx : media.formats)
      if (is_rtx(rtx) && rtx.fmtp_value("apt") == apt && !collides_with_rtcp(rtx.payload_type)) format.rtx_payload_type = rtx.payload_type;
    common.push_back(std::move(format));
  }
  return common;
}

std::vector<Format> offered_formats(const rtp::Codec& codec, bool transport_feedback) {
  const bool video = codec.kind() == rtp::Kind::video;
  Format format{codec, 0, std::nullopt, true, transport_feedback, false, video, video};
  switch (codec.name) {
    case CodecName::opus:
      format.payload_type = 111;
      format.rtx_payload_type = 112;
      format.codec.channels = 2;
      return {format};
    case CodecName::vp8:
      format.payload_type = 96;
      format.rtx_payload_type = 97;
      return {format};
    case CodecName::h264:
      break;
  }
  const std::string id = profile_level_id(codec);
  const std::string sprop = sdp::fmtp_value(codec.fmtp, "sprop-parameter-sets");
  std::vector<Format> formats;
  const auto add = [&](std::string_view profile_level, std::string_view mode) {
    // All types of a BUNDLE group differ (RFC 8843 9.1): five types from 102 on would reach 111, which is Opus.
    format.payload_type = static_cast<std::uint8_t>(mode == "0" ? 98 : 102 + 2 * formats.size());
    format.rtx_payload_type = static_cast<std::uint8_t>(format.payload_type + 1);
    format.codec.fmtp = h264_fmtp(profile_level, mode, sprop);
    formats.push_back(format);
  };
  add(id, "1");  // a receiver of mode 1 takes the single NAL unit packets of mode 0 too (RFC 6184 6.3)
  for (const std::string_view profile : superset_profiles(id)) add(std::string(profile) + id.substr(4), "1");
  if (packetization_mode(codec) == "0") add(id, "0");
  return formats;
}

std::optional<Format> answered_format(const sdp::Media& answer, const std::vector<Format>& offered) {
  std::vector<Format> answered = common_formats(answer);
  for (Format& taken : answered) {
    const auto same_type = std::find_if(offered.begin(), offered.end(), [&](const Format& f) { return f.payload_type == taken.payload_type; });
    const Format& ours = same_type == offered.end() ? offered.front() : *same_type;  // RFC 3264 5.1: an answerer may use its own types
    if (ours.codec.name != taken.codec.name) continue;
    const std::string mode = sdp::fmtp_value(taken.codec.fmtp, "packetization-mode");
    if (ours.codec.name == CodecName::h264 && !mode.empty() && mode != packetization_mode(ours.codec)) continue;
    const bool names_profile = !sdp::fmtp_value(taken.codec.fmtp, "profile-level-id").empty();
    if (ours.codec.name == CodecName::h264 && names_profile && !profile_decodes(profile_level_id(taken.codec), profile_level_id(offered.front().codec))) continue;
    taken.codec = ours.codec;
    return taken;
  }
  return std::nullopt;
}

void add_format(sdp::Media& media, const Format& format) {
  sdp::PayloadFormat main;
  main.payload_type = format.payload_type;
  main.encoding = std::string(text(format.codec.name));
  main.clock_rate = format.codec.clock_rate;
  main.channels = format.codec.channels;
  main.fmtp = format.codec.fmtp;
  if (format.nack) main.feedback.push_back("nack");
  if (format.pli) main.feedback.push_back("nack pli");
  if (format.fir) main.feedback.push_back("ccm fir");
  if (format.transport_cc) main.feedback.push_back("transport-cc");
  if (format.remb) main.feedback.push_back("goog-remb");
  media.formats.push_back(std::move(main));
  if (!format.rtx_payload_type) return;
  sdp::PayloadFormat rtx;
  rtx.payload_type = *format.rtx_payload_type;
  rtx.encoding = "rtx";
  rtx.clock_rate = format.codec.clock_rate;
  rtx.fmtp = "apt=" + std::to_string(format.payload_type);
  media.formats.push_back(std::move(rtx));
}

std::string without_sender_properties(const std::string& fmtp) {
  std::string kept;
  for (std::size_t at = 0; at < fmtp.size();) {
    const std::size_t end = std::min(fmtp.find(';', at), fmtp.size());
    const std::string parameter = fmtp.substr(at, end - at);
    at = end + 1;
    const std::size_t name = parameter.find_first_not_of(' ');
    if (name == std::string::npos || lowercase(parameter.substr(name, 6)) == "sprop-") continue;
    kept += (kept.empty() ? "" : ";") + parameter.substr(name);
  }
  return kept;
}

std::string no_common_format(const sdp::Media& media) {
  std::vector<std::string> names;
  for (const auto& format : media.formats) {
    if (is_rtx(format)) continue;
    std::string name = format.encoding.substr(0, kMaxNameLength) + "/" + std::to_string(format.clock_rate);
    if (format.channels > 1) name += "/" + std::to_string(format.channels);
    if (const std::string mode = format.fmtp_value("packetization-mode"); !mode.empty())
      name += " (packetization-mode " + mode.substr(0, kMaxNameLength) + ")";
    if (collides_with_rtcp(format.payload_type)) name += " (payload type " + std::to_string(format.payload_type) + " belongs to RTCP: RFC 5761 4)";
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  std::string offered;
  for (std::size_t i = 0; i < std::min(names.size(), kMaxNamed); ++i) offered += (i ? ", " : "") + names[i];
  if (names.size() > kMaxNamed) offered += " and " + std::to_string(names.size() - kMaxNamed) + " more";
  if (offered.empty()) offered = "no codec with a=rtpmap";
  return "the line offers " + offered + "; the server takes " + std::string(kTakes);
}

std::string describe(const rtp::Codec& codec) {
  std::string name(text(codec.name));
  if (codec.name == CodecName::h264) name += " (profile-level-id " + profile_level_id(codec) + ")";
  return name;
}

}  // namespace amphi::peer
