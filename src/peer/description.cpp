#include "peer/description.h"

#include <algorithm>

#include "base/text.h"

namespace amphi::peer {
namespace {

constexpr std::string_view kMidUri = "urn:ietf:params:rtp-hdrext:sdes:mid";
constexpr std::string_view kTransportSeqUri =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
constexpr std::string_view kAudioLevelUri = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
constexpr std::string_view kRidUri = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
constexpr std::string_view kRepairedRidUri = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
constexpr std::uint8_t kMidId = 1, kTransportSeqId = 2;

sdp::MediaKind media_kind(rtp::Kind kind) {
  return kind == rtp::Kind::audio ? sdp::MediaKind::audio : sdp::MediaKind::video;
}

std::uint8_t* id_of(rtp::ExtensionIds& ids, std::string_view uri) {
  if (uri == kMidUri) return &ids.mid;
  if (uri == kTransportSeqUri) return &ids.transport_seq;
  if (uri == kRidUri) return &ids.rid;
  if (uri == kRepairedRidUri) return &ids.repaired_rid;
  if (uri == kAudioLevelUri) return &ids.audio_level;
  return nullptr;
}

void set_transport(sdp::Media& media, const LocalTransport& local, sdp::Setup setup) {
  media.ice_ufrag = local.credentials.ufrag;
  media.ice_pwd = local.credentials.password;
  media.fingerprint_algorithm = local.fingerprint.algorithm;
  media.fingerprint_values = {local.fingerprint.value};
  media.setup = setup;
  for (const auto& candidate : local.candidates) {
    auto& line = media.candidates.emplace_back();
    line.foundation = candidate.foundation;
    line.transport = "udp";
    line.priority = candidate.priority;
    line.address = candidate.address.ip_text();
    line.port = candidate.address.port;
    line.type = "host";
  }
  media.end_of_candidates = true;
}

sdp::SessionDescription blank(const LocalTransport& local) {
  sdp::SessionDescription description;
  description.session_id = local.session_id;
  description.version = local.version;
  description.ice_lite = local.end == End::server;
  return description;
}

/// An m-line that is over: its place and its mid, with the formats and the transport, which aiortc requires even here.
sdp::Media rejected_media(const NegotiatedLine& line, const LocalTransport& local) {
  sdp::Media media;
  media.kind = media_kind(line.kind);
  media.mid = line.mid;
  media.port = 0;
  media.direction = sdp::Direction::inactive;
  for (const Format& format : line.formats) add_format(media, format);
  set_transport(media, local, sdp::Setup::actpass);
  media.candidates.clear();
  return media;
}

bool has_extension(const sdp::Media& media, std::string_view uri) {
  return std::any_of(media.extensions.begin(), media.extensions.end(), [&](const auto& extension) { return extension.uri == uri; });
}

bool is_bundled(const sdp::SessionDescription& description, const std::string& mid) {
  return std::find(description.bundle.begin(), description.bundle.end(), mid) != description.bundle.end();
}

std::optional<Error> transport_error(const sdp::Media& media) {
  if (media.ice_ufrag.empty()) return Error{ErrorCode::invalid_argument, "the description has no ICE credentials"};
  if (media.ice_ufrag.size() < 4 || media.ice_pwd.size() < 22 || media.ice_ufrag.size() > 256 || media.ice_pwd.size() > 256)
    return Error{ErrorCode::invalid_argument, "ICE credentials have the wrong length (RFC 8445 5.3)"};
  if (media.fingerprint_values.empty())
    return Error{ErrorCode::invalid_argument, "the description has no a=fingerprint: DTLS cannot be checked"};
  const std::string& algorithm = media.fingerprint_algorithm;
  if (algorithm != "sha-256" && algorithm != "sha-384" && algorithm != "sha-512")
    return Error{ErrorCode::unsupported, "a=fingerprint is " + algorithm.substr(0, 32) + " only; the server takes sha-256, sha-384 and sha-512"};
  return std::nullopt;
}

RemoteTransport transport_of(const sdp::Media& media) {
  RemoteTransport remote;
  remote.credentials = {media.ice_ufrag, media.ice_pwd};
  remote.fingerprints = {media.fingerprint_algorithm, media.fingerprint_values};
  std::sort(remote.fingerprints.values.begin(), remote.fingerprints.values.end());  // their order has no meaning
  remote.setup = media.setup;
  for (const auto& candidate : media.candidates) {
    if (candidate.transport != "udp") continue;
    if (const auto address = Address::parse(candidate.address, candidate.port))
      remote.candidates.push_back({*address, candidate.priority, candidate.foundation});
  }
  return remote;
}

/// Why an m-line cannot be taken at all; nullopt: it can.
std::optional<Error> refusal(const sdp::Media& media, const std::vector<Format>& common) {
  const auto unsupported = [](std::string why) { return Error{ErrorCode::unsupported, std::move(why)}; };
  if (media.kind == sdp::MediaKind::application) return unsupported("the server has no data channels: m=application is not taken");
  if (media.kind == sdp::MediaKind::other)
    return unsupported("m=" + media.other_kind.substr(0, 32) + " is not taken: the server takes m=audio and m=video");
  if (!media.rtcp_mux) return unsupported("the m-line has no a=rtcp-mux: the server has one port for RTP and RTCP");
  if (common.empty()) return unsupported(no_common_format(media));
  return transport_error(media);
}

/// Transport-wide feedback needs its header extension; REMB is the substitute where that is missing.
void settle_feedback(const sdp::Media& media, std::vector<Format>& formats) {
  for (Format& format : formats) {
    format.transport_cc = format.transport_cc && has_extension(media, kTransportSeqUri);
    format.remb = format.remb && !format.transport_cc;
  }
}

bool uses_transport_feedback(const std::vector<Format>& formats) {
  return std::any_of(formats.begin(), formats.end(), [](const Format& format) { return format.transport_cc; });
}

void read_extensions(const sdp::Media& media, bool transport_feedback, rtp::ExtensionIds& ids) {
  for (const auto& extension : media.extensions) {
    if (extension.uri == kTransportSeqUri && !transport_feedback) continue;
    if (std::uint8_t* id = id_of(ids, extension.uri)) *id = extension.id;
  }
}

void read_sources(const sdp::Media& media, NegotiatedLine& line) {
  constexpr std::size_t kMost = 16;  // three layers with their retransmissions are six
  const auto is_repair = [&](std::uint32_t ssrc) {
    return std::any_of(media.ssrc_groups.begin(), media.ssrc_groups.end(), [&](const auto& group) {
      return group.semantics == "FID" && group.ssrcs.size() == 2 && group.ssrcs[1] == ssrc;
    });
  };
  for (const auto& group : media.ssrc_groups)
    if (group.semantics == "FID" && group.ssrcs.size() == 2 && line.sources.size() + 2 <= kMost) {
      line.sources.push_back({group.ssrcs[0], std::nullopt});
      line.sources.push_back({group.ssrcs[1], group.ssrcs[0]});
    }
  for (const std::uint32_t ssrc : media.ssrcs)
    if (!is_repair(ssrc) && line.sources.size() < kMost) line.sources.push_back({ssrc, std::nullopt});
}

/// The line as offered, before anything else is known of the offer.
NegotiatedLine read_line(const sdp::Media& media, std::string mid) {
  NegotiatedLine line;
  line.mid = std::move(mid);
  line.kind = media.kind == sdp::MediaKind::audio ? rtp::Kind::audio : rtp::Kind::video;
  line.stream_id = media.stream_id;
  line.track_id = media.track_id;
  if (!media.rejected()) {
    std::vector<Format> common = common_formats(media);
    line.refused = refusal(media, common);
    if (!line.refused) line.formats = std::move(common);
  }
  return line;
}

Result<dtls::Role> same_association(dtls::Role role, std::optional<dtls::Role> current) {
  if (current && *current != role)
    return fail(ErrorCode::invalid_argument, "a later description changes the DTLS role (a=setup), which needs a new DTLS association");
  return role;
}

}  // namespace

Result<dtls::Role> role_by_offer(sdp::Setup theirs, std::optional<dtls::Role> current, dtls::Role preferred) {
  switch (theirs) {
    case sdp::Setup::active: return same_association(dtls::Role::server, current);
    case sdp::Setup::passive: return same_association(dtls::Role::client, current);
    case sdp::Setup::holdconn: return fail(ErrorCode::unsupported, "the offer says a=setup:holdconn, which lets no connection begin");
    case sdp::Setup::actpass:
    case sdp::Setup::unset: break;
  }
  return current.value_or(preferred);
}

Result<dtls::Role> role_by_answer(sdp::Setup theirs, std::optional<dtls::Role> current, dtls::Role preferred) {
  switch (theirs) {
    case sdp::Setup::active: return same_association(dtls::Role::server, current);
    case sdp::Setup::passive: return same_association(dtls::Role::client, current);
    case sdp::Setup::actpass: return fail(ErrorCode::invalid_argument, "the answer says a=setup:actpass, but must choose active or passive (RFC 5763 5)");
    case sdp::Setup::holdconn: return fail(ErrorCode::unsupported, "the answer says a=setup:holdconn, which lets no connection begin");
    case sdp::Setup::unset: break;
  }
  return current.value_or(preferred);
}

std::string write_offer(const LocalTransport& local, const std::vector<NegotiatedLine>& lines, std::size_t transport_line, bool transport_feedback) {
  sdp::SessionDescription offer = blank(local);
  for (const auto& line : lines) {
    if (line.rejected) {
      offer.media.push_back(rejected_media(line, local));
      continue;
    }
    sdp::Media media;
    media.kind = media_kind(line.kind);
    media.mid = line.mid;
    media.direction = line.active ? sdp::Direction::sendonly : sdp::Direction::inactive;
    for (const Format& format : line.formats) add_format(media, format);
    media.extensions.push_back({kMidId, std::string(kMidUri)});
    if (transport_feedback) media.extensions.push_back({kTransportSeqId, std::string(kTransportSeqUri)});
    if (line.active) {
      media.stream_id = line.stream_id;
      media.track_id = line.track_id;
      media.cname = local.cname;
      if (line.ssrc) media.ssrcs.push_back(*line.ssrc);
      if (line.rtx_ssrc && line.kind == rtp::Kind::video) {  // browsers refuse an offer that names one for audio
        media.ssrcs.push_back(*line.rtx_ssrc);
        media.ssrc_groups.push_back({"FID", {*line.ssrc, *line.rtx_ssrc}});
      }
    }
    media.rtcp_rsize = true;
    set_transport(media, local, sdp::Setup::actpass);
    offer.bundle.insert(&line == &lines[transport_line] ? offer.bundle.begin() : offer.bundle.end(), line.mid);
    offer.media.push_back(std::move(media));
  }
  return sdp::write(offer);
}

Result<ReadOffer> read_offer(std::string_view text) {
  auto offer = sdp::parse(text);
  if (!offer) return tl::unexpected(offer.error());
  if (offer->media.empty()) return fail(ErrorCode::invalid_argument, "the offer has no m-line");

  ReadOffer result;
  const sdp::Media* first_taken = nullptr;
  for (std::size_t i = 0; i < offer->media.size(); ++i) {
    const auto& media = offer->media[i];
    if (media.mid.size() > kMaxMid)
      return fail(ErrorCode::limit_exceeded, "the mid of m-line " + std::to_string(i) + " has more than " + std::to_string(kMaxMid) + " characters");
    if (!media.mid.empty() && !is_printable_ascii(media.mid))
      return fail(ErrorCode::invalid_argument, "the mid of m-line " + std::to_string(i) + " must be printable ASCII (RFC 5888 4)");
    NegotiatedLine line = read_line(media, media.mid.empty() ? std::to_string(i) : media.mid);
    for (const auto& other : result.lines)
      if (other.mid == line.mid) return fail(ErrorCode::invalid_argument, "two m-lines share the mid " + line.mid);
    if (!line.formats.empty() && first_taken && !(is_bundled(*offer, media.mid) && is_bundled(*offer, first_taken->mid))) {
      line.refused = Error{ErrorCode::unsupported, "the m-line is not in the same a=group:BUNDLE as m-line " + first_taken->mid +
                                                       ": the server has one transport per offer"};
      line.formats.clear();
    }
    if (!line.formats.empty()) {
      if (!first_taken) {
        first_taken = &media;
        result.remote = transport_of(media);
      }
      settle_feedback(media, line.formats);
      line.format = line.formats.front();
      read_extensions(media, uses_transport_feedback(line.formats), result.extensions);
    }
    line.rejected = !line.format;
    line.active = line.format && (media.direction == sdp::Direction::sendonly || media.direction == sdp::Direction::sendrecv);
    if (line.format && media.direction == sdp::Direction::recvonly)
      line.refused = Error{ErrorCode::invalid_argument, "the m-line is recvonly: the m-line of a feed is sendonly"};
    read_sources(media, line);
    result.lines.push_back(std::move(line));
  }
  result.description = std::move(*offer);
  return result;
}

std::string write_answer(const ReadOffer& offer, const LocalTransport& local) {
  sdp::SessionDescription answer = blank(local);
  rtp::ExtensionIds known;
  for (std::size_t i = 0; i < offer.lines.size(); ++i) {
    const NegotiatedLine& line = offer.lines[i];
    const sdp::Media& media = offer.description.media[i];
    sdp::Media reply;
    reply.kind = media.kind;
    reply.other_kind = media.other_kind;
    reply.mid = media.mid;
    reply.protocol = media.protocol;
    reply.direction = line.active ? sdp::Direction::recvonly : sdp::Direction::inactive;
    if (!line.format) {
      reply.port = 0;
      reply.format_text = media.format_text;
      reply.formats = media.formats;
      if (reply.formats.size() > 1) reply.formats.resize(1);
    } else {
      for (Format format : line.formats) {
        format.codec.fmtp = without_sender_properties(format.codec.fmtp);
        add_format(reply, format);
      }
      for (const auto& extension : media.extensions)
        if (id_of(known, extension.uri) && (extension.uri != kTransportSeqUri || uses_transport_feedback(line.formats)))
          reply.extensions.push_back(extension);
      reply.extmap_allow_mixed = media.extmap_allow_mixed;
      reply.rtcp_rsize = media.rtcp_rsize;
      if (!media.mid.empty()) answer.bundle.push_back(media.mid);
    }
    set_transport(reply, local, local.role == dtls::Role::server ? sdp::Setup::passive : sdp::Setup::active);
    answer.media.push_back(std::move(reply));
  }
  // In the offer's order: its first mid that is taken names the transport (RFC 9143 7.3.1).
  const auto& order = offer.description.bundle;
  const auto place = [&](const std::string& mid) { return std::find(order.begin(), order.end(), mid); };
  std::stable_sort(answer.bundle.begin(), answer.bundle.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
  return sdp::write(answer);
}

Result<ReadAnswer> read_answer(std::string_view text, const std::vector<NegotiatedLine>& offered) {
  auto answer = sdp::parse(text);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->media.size() != offered.size())
    return fail(ErrorCode::invalid_argument, "the answer has " + std::to_string(answer->media.size()) +
                                                 " m-lines, the offer had " + std::to_string(offered.size()));
  ReadAnswer result;
  bool any_active = false;
  for (std::size_t i = 0; i < offered.size(); ++i) {
    const auto& media = answer->media[i];
    NegotiatedLine line = offered[i];
    if (media.mid != line.mid && !(media.rejected() && media.mid.empty()))
      return fail(ErrorCode::invalid_argument, "the answer's m-lines are in another order");
    line.rejected = line.rejected || media.rejected();
    if (line.active) {
      const auto taken = media.rejected() ? std::nullopt : answered_format(media, line.formats);
      if (taken) line.format = taken;  // a declined line keeps a format: reports about it may still arrive
      line.declined = !taken;
      line.active = !line.declined && (media.direction == sdp::Direction::recvonly || media.direction == sdp::Direction::sendrecv);
    }
    if (line.active) read_extensions(media, true, result.extensions);
    any_active = any_active || line.active;
    if (!result.remote && !media.rejected() && !media.ice_ufrag.empty()) {
      if (auto error = transport_error(media)) return tl::unexpected(std::move(*error));
      result.remote = transport_of(media);
    }
    result.lines.push_back(std::move(line));
  }
  if (any_active && !result.remote) return fail(ErrorCode::invalid_argument, "the description has no ICE credentials");
  return result;
}

}  // namespace amphi::peer
