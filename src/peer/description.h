// Between session descriptions and lines: what our offers hold, what our answers take, what an answer settled.
// Payload types and extension ids of our own offers are fixed; in answers the offerer's are kept (RFC 8829 5.3.1).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dtls/transport.h"
#include "ice/agent.h"
#include "peer/formats.h"
#include "peer/peer.h"
#include "rtp/packet.h"
#include "sdp/session_description.h"

namespace amphi::peer {

/// A source that an offer names. `repairs`: it is the retransmission stream (RTX) of that source.
struct DeclaredSource {
  std::uint32_t ssrc = 0;
  std::optional<std::uint32_t> repairs;
};

/// What both ends must agree on for one m-line.
struct NegotiatedLine {
  std::string mid;
  rtp::Kind kind = rtp::Kind::video;
  bool active = false;
  std::optional<Error> refused;        // receiver: why the line is not taken
  bool rejected = false;               // with port 0: what comes next on this m-line is another one (RFC 8829 5.2.2)
  bool declined = false;               // sender: the answer takes none of our formats
  std::vector<Format> formats;         // sender: as offered; receiver: all that are taken, in the offer's order
  std::optional<Format> format;        // sender: the one in use; receiver: the first of them
  std::string stream_id, track_id;
  std::optional<std::uint32_t> ssrc, rtx_ssrc;  // of our own offer's line
  std::vector<DeclaredSource> sources;          // of an offer that was read
};

struct RemoteTransport {
  ice::Credentials credentials;
  std::vector<ice::Candidate> candidates;
  dtls::Fingerprints fingerprints;
  sdp::Setup setup = sdp::Setup::unset;
};

struct LocalTransport {
  End end = End::server;
  ice::Credentials credentials;
  std::vector<ice::Candidate> candidates;
  dtls::Fingerprint fingerprint;
  std::string cname;
  std::string session_id;
  std::uint64_t version = 0;
  dtls::Role role = dtls::Role::server;  // in answers; our offers leave the choice to the other end (RFC 8842 5.2)
};

/// Our DTLS role by the a=setup of the other end's description. `current`: the role of the association there is, which
/// lasts (RFC 8842 5); `preferred` where the choice is ours. Errors: unsupported, invalid_argument.
Result<dtls::Role> role_by_offer(sdp::Setup theirs, std::optional<dtls::Role> current, dtls::Role preferred);
Result<dtls::Role> role_by_answer(sdp::Setup theirs, std::optional<dtls::Role> current, dtls::Role preferred);

/// `transport_feedback`: whether to offer the transport-wide sequence number.
/// `transport_line`: the line that is first in the BUNDLE group.
std::string write_offer(const LocalTransport& local, const std::vector<NegotiatedLine>& lines, std::size_t transport_line, bool transport_feedback);

struct ReadOffer {
  std::vector<NegotiatedLine> lines;   // those that cannot be taken say why in `refused`
  rtp::ExtensionIds extensions;
  std::optional<RemoteTransport> remote;  // nullopt: no line is taken
  sdp::SessionDescription description;
};
constexpr std::size_t kMaxMid = 64;    // characters: room for a UUID
/// Reads an offer of sending lines. An m-line without a=mid is named by its index. Errors: malformed, limit_exceeded,
/// invalid_argument.
Result<ReadOffer> read_offer(std::string_view offer);
/// Takes what is active in `offer.lines` by now.
std::string write_answer(const ReadOffer& offer, const LocalTransport& local);

struct ReadAnswer {
  std::vector<NegotiatedLine> lines;   // same order as offered
  rtp::ExtensionIds extensions;
  std::optional<RemoteTransport> remote;  // nullopt: no line is taken
};
/// Reads the answer to `offered`, which may take some lines or none. Errors: malformed, unsupported, invalid_argument
/// where the m-lines differ.
Result<ReadAnswer> read_answer(std::string_view answer, const std::vector<NegotiatedLine>& offered);

}  // namespace amphi::peer
