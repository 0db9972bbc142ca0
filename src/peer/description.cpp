#include "peer/description.h"

#include <algorithm>

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
  media.fingerprint_value = local.fingerprint.value;
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

/// The formats of a line: the codec and, where there is one, its retransmission.
void add_formats(sdp::Media& media, const Format& format, bool transport_feedback) {
  sdp::PayloadFormat main;
  main.payload_type = format.payload_type;
  main.encoding = std::string(text(format.codec.name));
  main.clock_rate = format.codec.clock_rate;
  main.channels = format.codec.channels;
  main.fmtp = format.codec.fmtp;
  if (format.nack) main.feedback.push_back("nack");
  if (format.codec.kind() == rtp::Kind::video) {
    main.feedback.push_back("nack pli");
    main.feedback.push_back("ccm fir");
  }
  if (transport_feedback) main.feedback.push_back("transport-cc");
  media.formats.push_back(main);
  if (!format.rtx_payload_type) return;
  sdp::PayloadFormat rtx;
  rtx.payload_type = *format.rtx_payload_type;
  rtx.encoding = "rtx";
  rtx.clock_rate = format.codec.clock_rate;
  rtx.fmtp = "apt=" + std::to_string(format.payload_type);
  media.formats.push_back(rtx);
}

/// An m-line that is over: it has a number among the others, and a name, and nothing else.
sdp::Media rejected_media(const NegotiatedLine& line) {
  sdp::Media media;
  media.kind = media_kind(line.kind);
  media.mid = line.mid;
  media.port = 0;
  media.direction = sdp::Direction::inactive;
  return media;
}

bool has_feedback(const sdp::PayloadFormat& format, std::string_view what) {
  return std::find(format.feedback.begin(), format.feedback.end(), what) != format.feedback.end();
}

/// The first format that we know; H.264 only in packetization mode 1 (or 0 without interleaving), never mode 2.
std::optional<Format> choose_format(const sdp::Media& media) {
  for (const auto& candidate : media.formats) {
    const auto name = rtp::codec_from_text(candidate.encoding);
    if (!name) continue;
    Format format;
    format.codec = {*name, candidate.clock_rate, candidate.channels, candidate.fmtp};
    if (format.codec.clock_rate != (*name == rtp::CodecName::opus ? 48'000u : 90'000u)) continue;
    if (format.codec.kind() != (media.kind == sdp::MediaKind::audio ? rtp::Kind::audio : rtp::Kind::video)) continue;
    if (*name == rtp::CodecName::h264 && candidate.fmtp_value("packetization-mode") != "1") continue;
    format.payload_type = candidate.payload_type;
    format.nack = has_feedback(candidate, "nack");
    const std::string apt = std::to_string(candidate.payload_type);
    for (const auto& rtx : media.formats)
      if (rtx.encoding == "rtx" && rtx.fmtp_value("apt") == apt) format.rtx_payload_type = rtx.payload_type;
    return format;
  }
  return std::nullopt;
}

bool wants_transport_feedback(const sdp::Media& media, std::uint8_t payload_type) {
  for (const auto& format : media.formats)
    if (format.payload_type == payload_type) return has_feedback(format, "transport-cc");
  return false;
}

Result<RemoteTransport> read_transport(const sdp::SessionDescription& description) {
  for (const auto& media : description.media) {
    if (media.rejected() || media.ice_ufrag.empty()) continue;
    if (media.ice_ufrag.size() < 4 || media.ice_pwd.size() < 22 || media.ice_ufrag.size() > 256 || media.ice_pwd.size() > 256)
      return fail(ErrorCode::invalid_argument, "ICE credentials have the wrong length (RFC 8445 5.3)");
    if (media.fingerprint_value.empty())
      return fail(ErrorCode::invalid_argument, "the description has no a=fingerprint: DTLS cannot be checked");
    RemoteTransport remote;
    remote.credentials = {media.ice_ufrag, media.ice_pwd};
    remote.fingerprint = {media.fingerprint_algorithm, media.fingerprint_value};
    remote.setup = media.setup;
    for (const auto& candidate : media.candidates) {
      if (candidate.transport != "udp") continue;
      if (const auto address = Address::parse(candidate.address, candidate.port))
        remote.candidates.push_back({*address, candidate.priority, candidate.foundation});
    }
    return remote;
  }
  return fail(ErrorCode::invalid_argument, "the description has no ICE credentials");
}

void read_sources(const sdp::Media& media, NegotiatedLine& line) {
  for (const auto& group : media.ssrc_groups)
    if (group.semantics == "FID" && group.ssrcs.size() == 2) {
      line.ssrc = group.ssrcs[0];
      line.rtx_ssrc = group.ssrcs[1];
    }
  if (!line.ssrc && !media.ssrcs.empty()) line.ssrc = media.ssrcs.front();
}

}  // namespace

namespace {

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

Format offered_format(const rtp::Codec& codec) {
  Format format{codec, 0, std::nullopt, true};
  switch (codec.name) {
    case rtp::CodecName::opus:
      format.payload_type = 111;
      format.rtx_payload_type = 112;
      format.codec.channels = 2;  // RFC 7587 7: always
      break;
    case rtp::CodecName::vp8:
      format.payload_type = 96;
      format.rtx_payload_type = 97;
      break;
    case rtp::CodecName::h264:
      format.payload_type = 102;
      format.rtx_payload_type = 103;
      break;
  }
  return format;
}

std::string write_offer(const LocalTransport& local, const std::vector<NegotiatedLine>& lines, bool transport_feedback) {
  sdp::SessionDescription offer = blank(local);
  for (const auto& line : lines) {
    if (line.rejected) {
      offer.media.push_back(rejected_media(line));
      continue;
    }
    sdp::Media media;
    media.kind = media_kind(line.kind);
    media.mid = line.mid;
    media.direction = line.active ? sdp::Direction::sendonly : sdp::Direction::inactive;
    if (line.format) add_formats(media, *line.format, transport_feedback);
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
    offer.bundle.push_back(line.mid);
    offer.media.push_back(std::move(media));
  }
  return sdp::write(offer);
}

Result<ReadOffer> read_offer(std::string_view text) {
  auto offer = sdp::parse(text);
  if (!offer) return tl::unexpected(offer.error());
  if (offer->media.empty()) return fail(ErrorCode::invalid_argument, "the offer has no m-line");
  auto remote = read_transport(*offer);
  if (!remote) return tl::unexpected(remote.error());

  ReadOffer result;
  result.remote = std::move(*remote);
  for (const auto& media : offer->media) {
    if (media.mid.empty()) return fail(ErrorCode::invalid_argument, "an m-line has no a=mid");
    if (!media.rejected() && !media.rtcp_mux) return fail(ErrorCode::unsupported, "an m-line has no a=rtcp-mux");
    for (const auto& other : result.lines)
      if (other.mid == media.mid) return fail(ErrorCode::invalid_argument, "two m-lines share the mid " + media.mid);
    if (offer->media.size() > 1 && !media.rejected() &&
        std::find(offer->bundle.begin(), offer->bundle.end(), media.mid) == offer->bundle.end())
      return fail(ErrorCode::unsupported, "the m-line " + media.mid + " is not in a=group:BUNDLE");

    NegotiatedLine line;
    line.mid = media.mid;
    line.kind = media.kind == sdp::MediaKind::audio ? rtp::Kind::audio : rtp::Kind::video;
    line.stream_id = media.stream_id;
    line.track_id = media.track_id;
    if (media.kind != sdp::MediaKind::application && !media.rejected()) line.format = choose_format(media);
    line.rejected = !line.format;
    line.active = line.format && (media.direction == sdp::Direction::sendonly || media.direction == sdp::Direction::sendrecv);
    read_sources(media, line);
    if (line.format)
      for (const auto& extension : media.extensions)
        if (std::uint8_t* id = id_of(result.extensions, extension.uri)) *id = extension.id;
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
    reply.mid = media.mid;
    reply.protocol = media.protocol;
    reply.direction = line.active ? sdp::Direction::recvonly : sdp::Direction::inactive;
    if (!line.format) {
      reply.port = 0;
      reply.formats = media.formats;
      if (reply.formats.size() > 1) reply.formats.resize(1);
    } else {
      add_formats(reply, *line.format, wants_transport_feedback(media, line.format->payload_type));
      for (const auto& extension : media.extensions)
        if (id_of(known, extension.uri)) reply.extensions.push_back(extension);
      reply.rtcp_rsize = media.rtcp_rsize;
      answer.bundle.push_back(media.mid);
    }
    set_transport(reply, local, local.role == dtls::Role::server ? sdp::Setup::passive : sdp::Setup::active);
    answer.media.push_back(std::move(reply));
  }
  return sdp::write(answer);
}

Result<ReadAnswer> read_answer(std::string_view text, const std::vector<NegotiatedLine>& offered) {
  auto answer = sdp::parse(text);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->media.size() != offered.size())
    return fail(ErrorCode::invalid_argument, "the answer has " + std::to_string(answer->media.size()) +
                                                 " m-lines, the offer had " + std::to_string(offered.size()));
  ReadAnswer result;
  for (std::size_t i = 0; i < offered.size(); ++i) {
    const auto& media = answer->media[i];
    NegotiatedLine line = offered[i];
    if (media.mid != line.mid) return fail(ErrorCode::invalid_argument, "the answer's m-lines are in another order");
    const bool takes = !media.rejected() &&
                       (media.direction == sdp::Direction::recvonly || media.direction == sdp::Direction::sendrecv);
    line.active = line.active && takes;
    if (line.active) {
      const auto chosen = choose_format(media);
      if (!chosen || chosen->codec.name != line.format->codec.name)
        return fail(ErrorCode::invalid_argument, "the answer takes a codec that was not offered on m-line " + line.mid);
      line.format->payload_type = chosen->payload_type;
      line.format->rtx_payload_type = chosen->rtx_payload_type;
      line.format->nack = chosen->nack;
      for (const auto& extension : media.extensions)
        if (std::uint8_t* id = id_of(result.extensions, extension.uri)) *id = extension.id;
    }
    result.lines.push_back(std::move(line));
  }
  auto remote = read_transport(*answer);
  if (!remote) return tl::unexpected(remote.error());
  result.remote = std::move(*remote);
  return result;
}

}  // namespace amphi::peer
