// The parser of session descriptions (RFC 8866): line by line into a value, hostile text included. Lines that are not
// understood are ignored; lines that are understood and make no sense are an error with their number.
// The time taken is bounded by the text's length: everything searched while parsing has a small limit.
#include <algorithm>

#include "sdp/bundle.h"
#include "sdp/parser.h"
#include "sdp/text.h"

namespace amphi::sdp {
namespace {

constexpr std::size_t kMaxText = 256 * 1024;
constexpr std::size_t kMaxFormatText = 1024;

/// The order in which fingerprint algorithms are preferred; 0: not supported.
int strength(std::string_view algorithm) {
  return algorithm == "sha-512" ? 3 : algorithm == "sha-384" ? 2 : algorithm == "sha-256" ? 1 : 0;
}

/// They have no business in any value that is kept, and would not survive the writer.
bool has_control_character(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\t') return true;
  }
  return false;
}

}  // namespace

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
    if (algorithm != level.algorithm) {
      if (!level.algorithm.empty() && strength(algorithm) <= strength(level.algorithm)) return true;
      level.algorithm = std::move(algorithm);
      level.values.clear();
    }
    std::string print = uppered(trimmed(value));
    const bool known = std::find(level.values.begin(), level.values.end(), print) != level.values.end();
    if (!print.empty() && !known && level.values.size() < kMaxFingerprints) level.values.push_back(std::move(print));
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

Result<SessionDescription> parse(std::string_view text) {
  return Parser().run(text);
}

}  // namespace amphi::sdp
