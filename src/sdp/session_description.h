// Session descriptions (RFC 8866, RFC 8829) as values: parsed once, written once, nothing else. What WebRTC browsers,
// GStreamer and Amphi's own clients write is kept; unknown lines are ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/net.h"
#include "base/result.h"

namespace amphi::sdp {

enum class Direction { sendrecv, sendonly, recvonly, inactive };
enum class Setup { unset, actpass, active, passive };
enum class MediaKind { audio, video, application };

struct PayloadFormat {
  std::uint8_t payload_type = 0;
  std::string encoding;                // "VP8", "H264", "opus", "rtx", ...
  std::uint32_t clock_rate = 0;
  std::uint8_t channels = 0;           // 0: not given
  std::string fmtp;                    // everything after the payload type
  std::vector<std::string> feedback;   // "nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"; "*" lines are spread
  std::string fmtp_value(std::string_view key) const;  // "apt" -> "96"; empty: absent
};

struct Extension {
  std::uint8_t id = 0;
  std::string uri;
};

struct SsrcGroup {
  std::string semantics;  // "FID", "SIM"
  std::vector<std::uint32_t> ssrcs;
};

struct Candidate {  // RFC 8839 5.1; component 1, UDP and TCP kept apart
  std::string foundation;
  std::string transport;  // "udp", "tcp"
  std::uint32_t priority = 0;
  std::string address;    // text: may be an mDNS name
  std::uint16_t port = 0;
  std::string type;       // "host", "srflx", "prflx", "relay"
};

struct Rid {
  std::string id;
  bool send = true;
};

struct Media {
  MediaKind kind = MediaKind::video;
  std::string mid;
  std::uint16_t port = 9;              // 0: rejected, unless bundle_only
  bool bundle_only = false;
  std::string protocol = "UDP/TLS/RTP/SAVPF";
  Direction direction = Direction::sendrecv;
  std::vector<PayloadFormat> formats;  // in order of preference
  std::vector<Extension> extensions;
  std::string stream_id;               // a=msid, first part
  std::string track_id;                // a=msid, second part
  std::vector<std::uint32_t> ssrcs;    // in order of appearance, each once
  std::vector<SsrcGroup> ssrc_groups;
  std::string cname;                   // of the first ssrc that gives one
  std::vector<Rid> rids;
  std::string simulcast;               // the raw a=simulcast value
  bool rtcp_mux = true;
  bool rtcp_rsize = false;

  // Transport: own value, else the session's (the parser resolves it).
  std::string ice_ufrag;
  std::string ice_pwd;
  std::string fingerprint_algorithm;   // lower case
  std::string fingerprint_value;       // upper case
  Setup setup = Setup::unset;
  std::vector<Candidate> candidates;
  bool end_of_candidates = false;

  bool rejected() const { return port == 0 && !bundle_only; }
};

struct SessionDescription {
  std::string session_id = "0";        // the o= line's
  std::uint64_t version = 0;
  bool ice_lite = false;
  std::vector<std::string> bundle;     // mids of a=group:BUNDLE
  std::vector<Media> media;
};

/// Errors: malformed with the line number; limit_exceeded past 256 kB or 512 m-lines.
Result<SessionDescription> parse(std::string_view text);
std::string write(const SessionDescription& description);

}  // namespace amphi::sdp
