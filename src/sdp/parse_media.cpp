// The attributes of an m-line (RFC 8866 6, RFC 8829): formats, header extensions, sources.
#include "sdp/parser.h"
#include "sdp/text.h"

namespace amphi::sdp {
namespace {

void add_feedback(PayloadFormat& format, const std::string& what) {
  for (const std::string& have : format.feedback) {
    if (have == what) return;
  }
  if (format.feedback.size() < kMaxFeedback) format.feedback.push_back(what);
}

}  // namespace

Complaint Parser::media_attribute(std::string_view name, std::string_view value) {
  if (name == "rtpmap") return rtpmap(value);
  if (name == "fmtp") return fmtp(value);
  if (name == "rtcp-fb") return feedback(value);
  if (name == "extmap") return extmap(value);
  if (name == "ssrc") return ssrc(value);
  if (name == "ssrc-group") return ssrc_group(value);
  if (name == "rid") return rid(value);
  if (name == "mid") {
    media_->mid = next_word(value);
    return media_->mid.empty() ? "an empty mid" : kFine;
  }
  if (name == "msid" && !media_msid_) {
    msid(value);
    media_msid_ = true;
  } else if (name == "candidate") {
    if (media_->candidates.size() == kMaxOfAKind) return kTooMany;
    // One that is not understood is one path less, not an error (RFC 8839 5.1).
    if (auto candidate = parse_candidate(value)) media_->candidates.push_back(std::move(*candidate));
  } else if (name == "bundle-only") {
    media_->bundle_only = true;
  } else if (name == "rtcp-mux" || name == "rtcp-mux-only") {
    mux_ = true;
  } else if (name == "extmap-allow-mixed") {
    media_->extmap_allow_mixed = true;
  } else if (name == "rtcp-rsize") {
    media_->rtcp_rsize = true;
  } else if (name == "simulcast") {
    media_->simulcast = trimmed(value);
  }
  return kFine;
}

/// nullptr: not in the m-line; lines about such formats are ignored.
PayloadFormat* Parser::format(std::string_view payload_type, bool& is_number) {
  const auto parsed = number<std::uint8_t>(payload_type);
  is_number = parsed && *parsed < 128;
  if (!is_number || index_of_[*parsed] < 0) return nullptr;
  return &media_->formats[static_cast<std::size_t>(index_of_[*parsed])];
}

Complaint Parser::rtpmap(std::string_view value) {
  if (!media_->is_rtp()) return kFine;
  bool is_number = false;
  PayloadFormat* const found = format(next_word(value), is_number);
  std::string_view words = trimmed(value);
  const std::string_view encoding = cut(words, '/');
  const auto clock_rate = number<std::uint32_t>(cut(words, '/'));
  const auto channels = words.empty() ? std::uint8_t{0} : number<std::uint8_t>(words);
  if (!is_number || encoding.empty() || !clock_rate || !channels)
    return "rtpmap is not <type> <name>/<rate>[/<channels>]";
  if (!found) return kFine;
  found->encoding = encoding;
  found->clock_rate = *clock_rate;
  found->channels = *channels;
  return kFine;
}

Complaint Parser::fmtp(std::string_view value) {
  if (!media_->is_rtp()) return kFine;
  bool is_number = false;
  PayloadFormat* const found = format(next_word(value), is_number);
  if (!is_number) return "fmtp without a payload type";
  value = trimmed(value);
  if (!found || value.empty()) return kFine;
  if (!found->fmtp.empty()) found->fmtp += ';';
  found->fmtp += value;
  return kFine;
}

Complaint Parser::feedback(std::string_view value) {
  if (!media_->is_rtp()) return kFine;
  const std::string_view which = next_word(value);
  const std::string what(trimmed(value));
  if (what.empty()) return "rtcp-fb without a kind of feedback";
  if (which == "*") {
    if (wildcard_feedback_.size() == kMaxFeedback) return kTooMany;
    wildcard_feedback_.push_back(what);
    return kFine;
  }
  bool is_number = false;
  PayloadFormat* const found = format(which, is_number);
  if (!is_number) return "rtcp-fb without a payload type";
  if (found) add_feedback(*found, what);
  return kFine;
}

Complaint Parser::extmap(std::string_view value) {
  std::string_view ids = next_word(value);
  const auto id = number<std::uint16_t>(cut(ids, '/'));
  const std::string_view uri = next_word(value);
  if (!id || uri.empty()) return "extmap is not <id> <uri>";
  if (*id == 0 || *id > 255) return kFine;  // 4096 and up: only to be negotiated (RFC 8285 5), which nobody does
  std::vector<Extension>& level = media_ ? media_->extensions : session_extensions_;
  if (level.size() == kMaxOfAKind) return kTooMany;
  level.push_back({static_cast<std::uint8_t>(*id), std::string(uri)});
  return kFine;
}

Complaint Parser::ssrc(std::string_view value) {
  const auto ssrc = number<std::uint32_t>(next_word(value));
  if (!ssrc) return "ssrc without a number";
  bool known = false;
  for (const std::uint32_t have : media_->ssrcs) known = known || have == *ssrc;
  if (!known) {
    if (media_->ssrcs.size() == kMaxOfAKind) return kTooMany;
    media_->ssrcs.push_back(*ssrc);
  }
  value = trimmed(value);
  const std::string_view name = cut(value, ':');
  if (name == "cname" && media_->cname.empty()) media_->cname = trimmed(value);
  if (name == "msid" && !media_msid_ && media_->stream_id.empty() && media_->track_id.empty()) msid(value);
  return kFine;
}

Complaint Parser::ssrc_group(std::string_view value) {
  SsrcGroup group;
  group.semantics = next_word(value);
  for (std::string_view word = next_word(value); !word.empty(); word = next_word(value)) {
    const auto ssrc = number<std::uint32_t>(word);
    if (!ssrc) return "ssrc-group with what is no ssrc";
    if (group.ssrcs.size() == kMaxOfAKind) return kTooMany;
    group.ssrcs.push_back(*ssrc);
  }
  if (group.semantics.empty()) return "ssrc-group without semantics";
  if (media_->ssrc_groups.size() == kMaxOfAKind) return kTooMany;
  media_->ssrc_groups.push_back(std::move(group));
  return kFine;
}

Complaint Parser::rid(std::string_view value) {
  const std::string_view id = next_word(value);
  const std::string_view direction = next_word(value);
  if (id.empty() || (direction != "send" && direction != "recv")) return "rid is not <id> send or <id> recv";
  if (media_->rids.size() == kMaxOfAKind) return kTooMany;
  media_->rids.push_back({std::string(id), direction == "send"});
  return kFine;
}

void Parser::msid(std::string_view value) {
  const std::string_view stream = next_word(value);
  media_->stream_id = stream == "-" ? std::string_view{} : stream;  // RFC 8830 2: "-" is no stream
  media_->track_id = next_word(value);
}

void Parser::finish_media() {
  if (!media_) return;
  Media& media = *media_;
  for (PayloadFormat& entry : media.formats) {
    for (const std::string& what : wildcard_feedback_) add_feedback(entry, what);
    // RFC 3551 6: the static types that WebRTC endpoints may write without an rtpmap.
    if (entry.encoding.empty() && media.kind == MediaKind::audio && !media.rejected()) {
      entry.encoding = entry.payload_type == 0   ? "PCMU"
                       : entry.payload_type == 8 ? "PCMA"
                       : entry.payload_type == 9 ? "G722"
                                                 : "";
      entry.clock_rate = 8000;
    }
  }
  std::erase_if(media.formats, [](const PayloadFormat& entry) { return entry.encoding.empty(); });

  const std::string_view written_anyway = media.is_rtp() ? "0" : media.kind == MediaKind::application ? "webrtc-datachannel" : "";
  if (!media.formats.empty() || media.format_text == written_anyway) media.format_text.clear();
  if (media.is_rtp()) media.extensions.insert(media.extensions.end(), session_extensions_.begin(), session_extensions_.end());
  media.extmap_allow_mixed = media.extmap_allow_mixed || allow_mixed_;
  media.rtcp_mux = mux_ || !media.is_rtp();
  media.ice_ufrag = own_.ufrag.empty() ? session_.ufrag : own_.ufrag;
  media.ice_pwd = own_.pwd.empty() ? session_.pwd : own_.pwd;
  const Transport& print = own_.algorithm.empty() ? session_ : own_;
  media.fingerprint_algorithm = print.algorithm;
  media.fingerprint_values = print.values;
  media.setup = own_.setup == Setup::unset ? session_.setup : own_.setup;
  media.end_of_candidates = own_.end_of_candidates || session_.end_of_candidates;
  media_ = nullptr;
}

}  // namespace amphi::sdp
