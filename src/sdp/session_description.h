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
enum class Setup { unset, actpass, active, passive, holdconn };
enum class MediaKind { audio, video, application, other };  // other: text, message, image, ...

/// A value of a=fmtp parameters ("apt=96;x=y"), whatever the key's case; empty: absent.
std::string fmtp_value(std::string_view fmtp, std::string_view key);

struct PayloadFormat {
  std::uint8_t payload_type = 0;
  std::string encoding;                // "VP8", "H264", "opus", "rtx", ...
  std::uint32_t clock_rate = 0;
  std::uint8_t channels = 0;           // 0: not given
  std::string fmtp;                    // everything after the payload type
  std::vector<std::string> feedback;   // "nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"; "*" lines are spread
  std::string fmtp_value(std::string_view key) const { return sdp::fmtp_value(fmtp, key); }
  bool operator==(const PayloadFormat&) const = default;
};

struct Extension {
  std::uint8_t id = 0;
  std::string uri;
  bool operator==(const Extension&) const = default;
};

struct SsrcGroup {
  std::string semantics;  // "FID", "SIM"
  std::vector<std::uint32_t> ssrcs;
  bool operator==(const SsrcGroup&) const = default;
};

struct Candidate {  // RFC 8839 5.1; component 1, UDP and TCP kept apart
  std::string foundation;
  std::string transport;  // "udp", "tcp"
  std::uint32_t priority = 0;
  std::string address;    // text: may be an mDNS name
  std::uint16_t port = 0;
  std::string type;       // "host", "srflx", "prflx", "relay"
  std::string tcp_type;   // "active", "passive", "so"; empty for udp
  bool operator==(const Candidate&) const = default;
};

struct Rid {
  std::string id;
  bool send = true;
  bool operator==(const Rid&) const = default;
};

struct Media {
  MediaKind kind = MediaKind::video;
  std::string other_kind;              // the m-line's first word where `kind` is other
  std::string mid;
  std::uint16_t port = 9;              // 0: rejected, unless bundle_only
  bool bundle_only = false;
  std::string protocol = "UDP/TLS/RTP/SAVPF";
  Direction direction = Direction::sendrecv;
  std::vector<PayloadFormat> formats;  // in order of preference
  std::string format_text;             // the m-line's formats as written, where `formats` does not tell them
  std::vector<Extension> extensions;
  bool extmap_allow_mixed = false;     // RFC 8285 6: one- and two-byte header extensions in one stream
  std::string stream_id;               // a=msid, first part
  std::string track_id;                // a=msid, second part
  std::vector<std::uint32_t> ssrcs;    // in order of appearance, each once
  std::vector<SsrcGroup> ssrc_groups;
  std::string cname;                   // of the first ssrc that gives one
  std::vector<Rid> rids;
  std::string simulcast;               // the raw a=simulcast value
  bool rtcp_mux = true;
  bool rtcp_rsize = false;

  // Transport: own value, else the session's, else that of the first m-line of the bundle that names it.
  std::string ice_ufrag;
  std::string ice_pwd;
  // Of several algorithms (RFC 8122 5), the strongest of sha-512, sha-384 and sha-256; else the first. One of its values is the certificate's.
  std::string fingerprint_algorithm;             // lower case
  std::vector<std::string> fingerprint_values;   // upper case, at most 32, each once
  Setup setup = Setup::unset;
  std::vector<Candidate> candidates;
  bool end_of_candidates = false;

  bool rejected() const { return port == 0 && !bundle_only; }
  bool is_rtp() const { return kind == MediaKind::audio || kind == MediaKind::video; }
  bool operator==(const Media&) const = default;
};

struct SessionDescription {
  std::string session_id = "0";        // the o= line's
  std::uint64_t version = 0;
  bool ice_lite = false;
  std::vector<std::string> bundle;     // mids of the first a=group:BUNDLE
  std::vector<Media> media;
  bool operator==(const SessionDescription&) const = default;
};

/// Errors: malformed with the line number; limit_exceeded past 256 kB, 512 m-lines, or more lines of one kind in an
/// m-line than any endpoint has. Formats that no rtpmap (and no static assignment) explains are left out.
Result<SessionDescription> parse(std::string_view text);
/// Control characters in any value are left out, so that no value can become a line of its own.
std::string write(const SessionDescription& description);

/// One candidate as trickled: "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host", with or without "a=".
/// nullopt: not one, or not of component 1.
std::optional<Candidate> parse_candidate(std::string_view text);
std::string write_candidate(const Candidate& candidate);  // without "a="

}  // namespace amphi::sdp
