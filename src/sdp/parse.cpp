// The parser of session descriptions (RFC 8866): line by line into a value, hostile text included. Lines that are not
// understood are ignored; lines that are understood and make no sense are an error with their number.
// The time taken is bounded by the text's length: everything searched while parsing has a small limit.
#include <array>

#include "sdp/bundle.h"
#include "sdp/session_description.h"
#include "sdp/text.h"

namespace amphi::sdp {
namespace {

constexpr std::size_t kMaxText = 256 * 1024;
constexpr std::size_t kMaxMedia = 512;
constexpr std::size_t kMaxOfAKind = 256;  // ssrcs, groups, candidates, extensions, rids of one m-line
constexpr std::size_t kMaxFeedback = 32;  // of one format
constexpr std::size_t kMaxFormatText = 1024;

/// What a line does to the description; a text is the reason why it is wrong.
using Complaint = const char*;
constexpr Complaint kFine = nullptr;
constexpr Complaint kTooMany = "too many lines of one kind";

/// Transport attributes at one level, before the levels are joined.
struct Transport {
  std::string ufrag, pwd, algorithm, value;
  Setup setup = Setup::unset;
  bool end_of_candidates = false;
};

/// The order in which fingerprint algorithms are preferred; 0: not supported.
int strength(std::string_view algorithm) {
  return algorithm == "sha-512" ? 3 : algorithm == "sha-384" ? 2 : algorithm == "sha-256" ? 1 : 0;
}

class Parser {
 public:
  Result<SessionDescription> run(std::string_view text);

 private:
  Complaint line(char type, std::string_view value);
  Complaint origin(std::string_view value);
  Complaint media_line(std::string_view value);
  Complaint attribute(std::string_view value);
  bool transport_attribute(std::string_view name, std::string_view value);
  bool direction_attribute(std::string_view name);
  Complaint media_attribute(std::string_view name, std::string_view value);
  Complaint rtpmap(std::string_view value);
  Complaint fmtp(std::string_view value);
  Complaint feedback(std::string_view value);
  Complaint extmap(std::string_view value);
  Complaint ssrc(std::string_view value);
  Complaint ssrc_group(std::string_view value);
  Complaint rid(std::string_view value);
  void msid(std::string_view value);

  PayloadFormat* format(std::string_view payload_type, bool& is_number);
  void finish_media();

  SessionDescription out_;
  Transport session_;
  std::vector<Extension> session_extensions_;
  bool allow_mixed_ = false;
  bool has_bundle_ = false;
  std::optional<Direction> session_direction_;

  // Of the m-line being read.
  Media* media_ = nullptr;
  Transport own_;
  bool mux_ = false;
  bool media_msid_ = false;                   // a=msid wins over a=ssrc:... msid:, whichever comes first
  std::array<std::int16_t, 128> index_of_{};  // of a payload type in media_->formats; -1: none
  std::vector<std::string> wildcard_feedback_;
};

/// They have no business in any value that is kept, and would not survive the writer.
bool has_control_character(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\t') return true;
  }
  return false;
}

void add_feedback(PayloadFormat& format, const std::string& what) {
  for (const std::string& have : format.feedback) {
    if (have == what) return;
  }
  if (format.feedback.size() < kMaxFeedback) format.feedback.push_back(what);
}

Result<SessionDescription> Parser::run(std::string_view text) {
  if (text.size() > kMaxText) return fail(ErrorCode::limit_exceeded, "a session description of more than 256 kB");
  std::size_t line_number = 0;
  bool begun = false;
  while (!text.empty()) {
    ++line_number;
    std::string_view current = cut(text, '\n');
    if (current.ends_with('\r')) current.remove_suffix(1);
    if (current.empty()) continue;
    Complaint complaint = kFine;
    if (has_control_character(current)) {
      complaint = "a control character inside the line";
    } else if (current.size() < 2 || current[1] != '=') {
      complaint = "not <letter>=<value>";
    } else if (!begun && current != "v=0") {
      complaint = "a session description begins with v=0";
    } else {
      begun = true;
      complaint = line(current[0], current.substr(2));
    }
    if (complaint != kFine) {
      return fail(complaint == kTooMany ? ErrorCode::limit_exceeded : ErrorCode::malformed,
                  "line " + std::to_string(line_number) + ": " + complaint);
    }
  }
  if (!begun) return fail(ErrorCode::malformed, "line 1: the session description is empty");
  finish_media();
  share_bundle_transport(out_);
  return std::move(out_);
}

Complaint Parser::line(char type, std::string_view value) {
  switch (type) {
    case 'o':
      return media_ ? "o= after m=" : origin(value);
    case 'm':
      return media_line(value);
    case 'a':
      return attribute(value);
    default:
      return kFine;
  }
}

Complaint Parser::origin(std::string_view value) {
  next_word(value);
  const std::string_view id = next_word(value);
  const auto version = number<std::uint64_t>(next_word(value));
  if (id.empty() || !version) return "o= needs a name, an id and a version";
  out_.session_id = id;
  out_.version = *version;
  return kFine;
}

Complaint Parser::media_line(std::string_view value) {
  finish_media();
  if (out_.media.size() == kMaxMedia) return kTooMany;
  Media media;
  const std::string_view kind = next_word(value);
  if (kind == "audio") {
    media.kind = MediaKind::audio;
  } else if (kind == "video") {
    media.kind = MediaKind::video;
  } else if (kind == "application") {
    media.kind = MediaKind::application;
  } else {
    media.kind = MediaKind::other;
    media.other_kind = kind;
    if (kind.empty()) return "m= without a kind";
  }
  std::string_view ports = next_word(value);
  const auto port = number<std::uint16_t>(cut(ports, '/'));
  media.protocol = next_word(value);
  if (!port || media.protocol.empty()) return "m= needs a port and a protocol";
  media.port = *port;

  index_of_.fill(-1);
  media.format_text = trimmed(value).substr(0, kMaxFormatText);
  if (media.is_rtp()) {
    for (std::string_view word = next_word(value); !word.empty(); word = next_word(value)) {
      const auto payload_type = number<std::uint8_t>(word);
      if (!payload_type || *payload_type > 127) return "m= with a payload type that is not 0 to 127";
      if (index_of_[*payload_type] >= 0) continue;
      index_of_[*payload_type] = static_cast<std::int16_t>(media.formats.size());
      media.formats.emplace_back().payload_type = *payload_type;
    }
  }
  out_.media.push_back(std::move(media));
  media_ = &out_.media.back();
  media_->direction = session_direction_.value_or(Direction::sendrecv);
  own_ = {};
  mux_ = media_msid_ = false;
  wildcard_feedback_.clear();
  return kFine;
}

Complaint Parser::attribute(std::string_view value) {
  const std::string_view name = cut(value, ':');
  if (transport_attribute(name, value) || direction_attribute(name)) return kFine;
  if (media_) return media_attribute(name, value);
  if (name == "ice-lite") out_.ice_lite = true;
  if (name == "extmap") return extmap(value);
  if (name == "extmap-allow-mixed") allow_mixed_ = true;
  if (name == "group" && next_word(value) == "BUNDLE" && !has_bundle_) {
    has_bundle_ = true;
    for (std::string_view mid = next_word(value); !mid.empty(); mid = next_word(value)) {
      if (out_.bundle.size() == kMaxMedia) return kTooMany;
      out_.bundle.emplace_back(mid);
    }
  }
  return kFine;
}

bool Parser::transport_attribute(std::string_view name, std::string_view value) {
  Transport& level = media_ ? own_ : session_;
  value = trimmed(value);
  if (name == "ice-ufrag") {
    level.ufrag = value;
  } else if (name == "ice-pwd") {
    level.pwd = value;
  } else if (name == "fingerprint") {
    std::string algorithm = lowered(next_word(value));
    if (!level.algorithm.empty() && strength(algorithm) <= strength(level.algorithm)) return true;
    level.algorithm = std::move(algorithm);
    level.value = uppered(trimmed(value));
  } else if (name == "setup") {
    level.setup = value == "actpass"   ? Setup::actpass
                  : value == "active"  ? Setup::active
                  : value == "passive" ? Setup::passive
                  : value == "holdconn" ? Setup::holdconn
                                       : Setup::unset;
  } else if (name == "end-of-candidates") {
    level.end_of_candidates = true;
  } else {
    return false;
  }
  return true;
}

bool Parser::direction_attribute(std::string_view name) {
  Direction direction;
  if (name == "sendrecv") {
    direction = Direction::sendrecv;
  } else if (name == "sendonly") {
    direction = Direction::sendonly;
  } else if (name == "recvonly") {
    direction = Direction::recvonly;
  } else if (name == "inactive") {
    direction = Direction::inactive;
  } else {
    return false;
  }
  if (media_) {
    media_->direction = direction;
  } else {
    session_direction_ = direction;
  }
  return true;
}

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
  media.fingerprint_value = print.value;
  media.setup = own_.setup == Setup::unset ? session_.setup : own_.setup;
  media.end_of_candidates = own_.end_of_candidates || session_.end_of_candidates;
  media_ = nullptr;
}

}  // namespace

Result<SessionDescription> parse(std::string_view text) {
  return Parser().run(text);
}

}  // namespace amphi::sdp
