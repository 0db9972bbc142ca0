// The parser of session descriptions: its state between lines. Private to src/sdp; parse.cpp reads sessions and m-lines,
// parse_media.cpp the attributes of an m-line.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sdp/session_description.h"

namespace amphi::sdp {

constexpr std::size_t kMaxMedia = 512;
constexpr std::size_t kMaxOfAKind = 256;  // ssrcs, groups, candidates, extensions, rids of one m-line
constexpr std::size_t kMaxFeedback = 32;  // of one format
constexpr std::size_t kMaxFingerprints = 32;  // of one algorithm

/// What a line does to the description; a text is the reason why it is wrong.
using Complaint = const char*;
constexpr Complaint kFine = nullptr;
inline constexpr char kTooMany[] = "too many lines of one kind";  // one address in all files: it is compared

/// Transport attributes at one level, before the levels are joined.
struct Transport {
  std::string ufrag, pwd, algorithm;
  std::vector<std::string> values;
  Setup setup = Setup::unset;
  bool end_of_candidates = false;
};

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

}  // namespace amphi::sdp
