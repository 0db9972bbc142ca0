// Codecs between session descriptions and lines: which formats of an m-line both ends have, which formats our offers
// list, and what a refusal says about them (RFC 3264 6.1, RFC 6184 8.2.2, RFC 7742). Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rtp/codec.h"
#include "sdp/session_description.h"

namespace amphi::peer {

/// How one codec of a line travels.
struct Format {
  rtp::Codec codec;
  std::uint8_t payload_type = 0;
  std::optional<std::uint8_t> rtx_payload_type;
  bool nack = false;
  bool transport_cc = false;  // a=rtcp-fb transport-cc
  bool remb = false;          // a=rtcp-fb goog-remb
  bool pli = false;           // a=rtcp-fb nack pli
  bool fir = false;           // a=rtcp-fb ccm fir
};

/// The formats of an m-line that Amphi takes, in the m-line's order. H.264 in packetization mode 0 or 1.
std::vector<Format> common_formats(const sdp::Media& media);

/// Our formats for a codec, the codec itself first. H.264 adds the profiles whose decoders decode this one too: their
/// payload types carry the same stream.
std::vector<Format> offered_formats(const rtp::Codec& codec, bool transport_feedback);

/// Of the formats we offered, the first that an answer's m-line takes, under the answer's payload types.
std::optional<Format> answered_format(const sdp::Media& answer, const std::vector<Format>& offered);

/// Writes a format, and its retransmission where there is one, into an m-line.
void add_format(sdp::Media& media, const Format& format);

/// Format parameters without those that describe the sender's own stream (sprop-...): for an answer.
std::string without_sender_properties(const std::string& fmtp);

/// "the line offers H265/90000; the server takes VP8, H264 (packetization-mode 0 or 1) and opus/48000/2".
std::string no_common_format(const sdp::Media& media);
/// "H264 (profile-level-id 640028)", "VP8", "opus".
std::string describe(const rtp::Codec& codec);

}  // namespace amphi::peer
