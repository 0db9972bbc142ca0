// The writer of session descriptions: valid offers and answers as browsers and GStreamer take them (RFC 8829 5.2, 5.3).
#include "sdp/session_description.h"

namespace amphi::sdp {
namespace {

/// Collects "\r\n" lines; a value's control characters never reach the text.
class Lines {
 public:
  template <class... Parts>
  void add(const Parts&... parts) {
    (append(parts), ...);
    text_ += "\r\n";
  }
  std::string take() { return std::move(text_); }

 private:
  void append(std::string_view part) {
    for (const char c : part) {
      if (static_cast<unsigned char>(c) >= 0x20 || c == '\t') text_ += c;
    }
  }
  void append(std::uint64_t value) { text_ += std::to_string(value); }

  std::string text_;
};

std::string_view name(MediaKind kind) {
  switch (kind) {
    case MediaKind::audio:
      return "audio";
    case MediaKind::video:
      return "video";
    case MediaKind::application:
    case MediaKind::other:
      return "application";
  }
  return "application";
}

std::string_view name(Direction direction) {
  switch (direction) {
    case Direction::sendrecv:
      return "sendrecv";
    case Direction::sendonly:
      return "sendonly";
    case Direction::recvonly:
      return "recvonly";
    case Direction::inactive:
      return "inactive";
  }
  return "inactive";
}

std::string_view name(Setup setup) {
  switch (setup) {
    case Setup::unset:
      return "";
    case Setup::actpass:
      return "actpass";
    case Setup::active:
      return "active";
    case Setup::passive:
      return "passive";
    case Setup::holdconn:
      return "holdconn";
  }
  return "";
}

std::string format_list(const Media& media) {
  if (media.formats.empty() && !media.format_text.empty()) return " " + media.format_text;
  if (media.kind == MediaKind::application) return " webrtc-datachannel";
  if (media.formats.empty()) return " 0";  // the grammar needs one, even of a rejected m-line
  std::string list;
  for (const PayloadFormat& format : media.formats) list += " " + std::to_string(format.payload_type);
  return list;
}

void write_transport(Lines& out, const Media& media) {
  if (!media.ice_ufrag.empty()) out.add("a=ice-ufrag:", media.ice_ufrag);
  if (!media.ice_pwd.empty()) out.add("a=ice-pwd:", media.ice_pwd);
  if (!media.fingerprint_algorithm.empty())
    for (const std::string& value : media.fingerprint_values) out.add("a=fingerprint:", media.fingerprint_algorithm, " ", value);
  if (media.setup != Setup::unset) out.add("a=setup:", name(media.setup));
  for (const Candidate& candidate : media.candidates) out.add("a=", write_candidate(candidate));
  if (media.end_of_candidates) out.add("a=end-of-candidates");
}

void write_formats(Lines& out, const Media& media) {
  for (const PayloadFormat& format : media.formats) {
    const std::uint64_t type = format.payload_type;
    out.add("a=rtpmap:", type, " ", format.encoding, "/", std::uint64_t{format.clock_rate},
            format.channels ? "/" + std::to_string(format.channels) : std::string());
    for (const std::string& feedback : format.feedback) out.add("a=rtcp-fb:", type, " ", feedback);
    if (!format.fmtp.empty()) out.add("a=fmtp:", type, " ", format.fmtp);
  }
}

void write_sources(Lines& out, const Media& media) {
  for (const SsrcGroup& group : media.ssrc_groups) {
    std::string members;
    for (const std::uint32_t ssrc : group.ssrcs) members += " " + std::to_string(ssrc);
    out.add("a=ssrc-group:", group.semantics, members);
  }
  for (const std::uint32_t ssrc : media.ssrcs) {
    // The grammar wants an attribute after the number; a cname is what every endpoint expects there.
    out.add("a=ssrc:", std::uint64_t{ssrc}, " cname:", media.cname);
  }
}

void write_media(Lines& out, const Media& media) {
  const bool rtp = media.is_rtp();
  out.add("m=", media.kind == MediaKind::other ? std::string_view(media.other_kind) : name(media.kind), " ", std::uint64_t{media.port}, " ", media.protocol, format_list(media));
  out.add("c=IN IP4 0.0.0.0");
  if (rtp && !media.rejected()) out.add("a=rtcp:9 IN IP4 0.0.0.0");
  write_transport(out, media);
  if (!media.mid.empty()) out.add("a=mid:", media.mid);
  if (media.bundle_only) out.add("a=bundle-only");
  if (rtp || media.direction != Direction::sendrecv) out.add("a=", name(media.direction));
  if (media.extmap_allow_mixed) out.add("a=extmap-allow-mixed");
  for (const Extension& extension : media.extensions)
    out.add("a=extmap:", std::uint64_t{extension.id}, " ", extension.uri);
  if (!media.stream_id.empty() || !media.track_id.empty()) {
    const std::string stream = media.stream_id.empty() ? "-" : media.stream_id;
    out.add("a=msid:", stream, media.track_id.empty() ? "" : " " + media.track_id);
  }
  if (rtp && media.rtcp_mux) out.add("a=rtcp-mux");
  if (rtp && media.rtcp_rsize) out.add("a=rtcp-rsize");
  write_formats(out, media);
  for (const Rid& rid : media.rids) out.add("a=rid:", rid.id, rid.send ? " send" : " recv");
  if (!media.simulcast.empty()) out.add("a=simulcast:", media.simulcast);
  write_sources(out, media);
}

}  // namespace

std::string write(const SessionDescription& description) {
  Lines out;
  out.add("v=0");
  out.add("o=- ", description.session_id, " ", description.version, " IN IP4 127.0.0.1");
  out.add("s=-");
  out.add("t=0 0");
  if (!description.bundle.empty()) {
    std::string mids;
    for (const std::string& mid : description.bundle) mids += " " + mid;
    out.add("a=group:BUNDLE", mids);
  }
  if (description.ice_lite) out.add("a=ice-lite");
  for (const Media& media : description.media) write_media(out, media);
  return out.take();
}

}  // namespace amphi::sdp
