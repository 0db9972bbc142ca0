// The messages of the services protocol, version 1 (docs/protocol.md, protocol/services/*.schema.json), as values.
// Contract: `decode` takes any bytes at all and never throws; what does not match its schema is Malformed.
// Text that `encode` cannot write as it is (broken UTF-8 from elsewhere) is repaired, never refused.
// Thread: any; these are pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"
#include "services/recording_state.h"

namespace amphi::services {

inline constexpr int kVersion = 1;
inline constexpr std::size_t kMaxMessageSize = 16 * 1024;
inline constexpr std::string_view kRecordingService = "recording";
inline constexpr std::size_t kMaxLabel = 200;  // characters

/// Leaves as many feeds and warnings as the message of a state has room for, counts the others, and shortens their texts.
void fit(RecordingSnapshot& state);

/// Whether a marker may be called that: 1 to kMaxLabel characters, none of them a control character.
bool is_label(std::string_view text);

struct Hello {
  std::string token;
  std::string participant_id;
};
struct Welcome {
  std::string session_id;
  std::vector<std::string> services;
  Duration heartbeat{};
};
struct RecordingRequest {
  std::string request_id;
  bool on = false;
};
struct MarkerAdd {
  std::string request_id;
  std::string label;
};
struct RecordingResponse {
  std::string request_id;
  std::optional<Error> error;  // empty: ok
};
struct RecordingStateMessage {
  RecordingSnapshot snapshot;
  std::string request_id;  // the reader's own request that this state fulfils; empty: none
};
struct MarkerMessage {
  Marker marker;
};
struct Beat {
  std::uint64_t revision = 0;
  std::int64_t total_ms = 0;
};
struct Ping {};
struct Pong {};
struct Closing {
  std::string reason;
};
struct ErrorMessage {
  Error error;
  bool fatal = false;
  std::string in_reply_to;
};

using Message = std::variant<Hello, Welcome, RecordingRequest, MarkerAdd, RecordingResponse, RecordingStateMessage, MarkerMessage, Beat, Ping, Pong,
                             Closing, ErrorMessage>;

struct Malformed {
  std::string why;   // for the answer to the peer
  std::string type;  // the message's type, where it has one that is known
};
struct UnknownType {
  std::string type;  // at most 64 characters of it
};
using Decoded = std::variant<Malformed, UnknownType, Message>;

Decoded decode(std::string_view text);
std::string encode(const Message& message);

}  // namespace amphi::services
