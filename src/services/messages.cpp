// Reading and writing by nlohmann-json, whose exceptions are never switched on; its types stay in this file.
#include "services/messages.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace amphi::services {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kMaxInteger = 9007199254740991;  // 2^53 - 1: what JavaScript's numbers hold exactly
constexpr std::size_t kMaxId = 128;
constexpr std::size_t kMaxRequestId = 64;
constexpr std::size_t kMaxText = 1024;
constexpr std::size_t kMaxToken = 8192;
constexpr std::size_t kMaxServices = 64;
constexpr std::size_t kMaxListed = 256;  // feeds, warnings
// Together with the rest of a state less than kMaxMessageSize.
constexpr std::size_t kFeedsBytes = 8 * 1024, kWarningsBytes = 4 * 1024, kMaxShortText = 300;

std::string shortened(std::string_view text, std::size_t limit) {
  std::size_t end = 0;
  for (std::size_t seen = 0; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && ++seen > limit) break;
  }
  return std::string(text.substr(0, end));
}

/// Reads the fields of one object. The first field that does not fit is remembered; the values read after it are worthless.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  std::string text(const char* name, std::size_t least, std::size_t most) {
    const Json* value = find(name);
    if (value == nullptr || !value->is_string()) return wrong(name), std::string();
    const auto& text = value->get_ref<const std::string&>();
    const std::size_t length = characters(text);
    if (length < least || length > most) wrong(name);
    return text;
  }
  std::string optional_text(const char* name, std::size_t least, std::size_t most) {
    return find(name) == nullptr ? std::string() : text(name, least, most);
  }
  bool boolean(const char* name) {
    const Json* value = find(name);
    if (value == nullptr || !value->is_boolean()) return wrong(name), false;
    return value->get<bool>();
  }
  std::int64_t integer(const char* name, std::int64_t least, std::int64_t most) {
    const Json* value = find(name);
    if (value == nullptr) return wrong(name), 0;
    if (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(most)) {
      return wrong(name), 0;
    }
    std::int64_t number = 0;
    if (value->is_number_integer()) {
      number = value->get<std::int64_t>();
    } else if (value->is_number_float()) {  // 1.0 is an integer to JSON
      const double real = value->get<double>();
      if (!(std::abs(real) <= static_cast<double>(kMaxInteger)) || real != std::floor(real)) return wrong(name), 0;
      number = static_cast<std::int64_t>(real);
    } else {
      return wrong(name), 0;
    }
    if (number < least || number > most) wrong(name);
    return number;
  }
  std::vector<std::string> texts(const char* name, std::size_t most, std::size_t longest) {
    std::vector<std::string> list;
    const Json* value = find(name);
    if (value == nullptr || !value->is_array() || value->size() > most) return wrong(name), list;
    for (const Json& item : *value) {
      if (!item.is_string()) return wrong(name), list;
      const auto& text = item.get_ref<const std::string&>();
      if (text.empty() || characters(text) > longest) return wrong(name), list;
      list.push_back(text);
    }
    return list;
  }
  Error error_here() {
    const std::string code = text("code", 1, 64);
    const bool readable = std::all_of(code.begin(), code.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
    if (!readable) wrong("code");
    return Error{error_code_from_wire(code), text("message", 0, kMaxText)};
  }
  std::optional<Error> optional_error(const char* name) {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_object()) return wrong(name), std::nullopt;
    Fields inner(*value);
    Error error = inner.error_here();
    if (!inner.wrong_.empty()) wrong(name);
    return error;
  }
  Warning warning_here() {
    Warning warning{text("code", 1, 64), text("message", 0, kMaxText)};
    if (has("minutesLeft")) warning.minutes_left = integer("minutesLeft", 0, kMaxInteger);
    warning.feed_id = optional_text("feedId", 1, kMaxId);
    warning.participant_id = optional_text("participantId", 1, kMaxId);
    return warning;
  }
  FeedState feed_here() {
    FeedState feed{text("feedId", 1, kMaxId), text("participantId", 1, kMaxId), text("label", 0, kMaxText), text("kind", 1, 16), boolean("recorded")};
    if (feed.kind != "audio" && feed.kind != "video") wrong("kind");
    feed.reason = optional_text("reason", 1, 64);
    feed.message = optional_text("message", 0, kMaxText);
    if (has("sinceMs")) feed.since_ms = integer("sinceMs", 0, kMaxInteger);
    if (feed.recorded != feed.reason.empty()) wrong("reason");
    return feed;
  }
  std::optional<Warning> optional_warning(const char* name) {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_object()) return wrong(name), std::nullopt;
    Fields inner(*value);
    Warning warning = inner.warning_here();
    if (!inner.wrong_.empty()) wrong(name);
    return warning;
  }
  /// `read(Fields&)` for each entry of a list of objects.
  template <class Read>
  void each(const char* name, Read read) {
    const Json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_array() || value->size() > kMaxListed) return wrong(name);
    for (const Json& entry : *value) {
      Fields inner(entry);
      if (entry.is_object()) read(inner);
      else inner.wrong(name);
      if (!inner.wrong_.empty()) return wrong(name);
    }
  }
  std::string label(const char* name) {
    std::string text = this->text(name, 1, kMaxLabel);
    if (!is_label(text)) wrong(name);
    return text;
  }
  bool has(const char* name) const { return find(name) != nullptr; }
  void wrong(std::string_view name) {
    if (wrong_.empty()) wrong_ = name;
  }
  const std::string& wrong_field() const { return wrong_; }

 private:
  const Json* find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }

  const Json& object_;
  std::string wrong_;
};

Message read_state(Fields& in) {
  RecordingStateMessage message;
  RecordingSnapshot& state = message.snapshot;
  state.revision = static_cast<std::uint64_t>(in.integer("revision", 0, kMaxInteger));
  state.on = in.boolean("on");
  const std::string phase = in.text("phase", 1, 16);
  if (phase == "off") {
    state.phase = Phase::off;
  } else if (phase == "recording") {
    state.phase = Phase::recording;
  } else if (phase == "stopping") {
    state.phase = Phase::stopping;
  } else {
    in.wrong("phase");
  }
  if (state.on != (state.phase != Phase::off)) in.wrong("on");
  state.total_ms = in.integer("totalMs", 0, kMaxInteger);
  state.recording_id = in.optional_text("recordingId", 1, kMaxId);
  state.changed_by = in.optional_text("changedBy", 1, kMaxId);
  state.error = in.optional_error("error");
  if (in.has("waitingForMedia")) state.waiting_for_media = in.boolean("waitingForMedia");
  if (in.has("preRollMs")) state.pre_roll_ms = in.integer("preRollMs", 0, kMaxInteger);
  in.each("warnings", [&](Fields& fields) { state.warnings.push_back(fields.warning_here()); });
  in.each("feeds", [&](Fields& fields) { state.feeds.push_back(fields.feed_here()); });
  if (in.has("warningsNotListed")) state.warnings_not_listed = static_cast<std::uint64_t>(in.integer("warningsNotListed", 0, kMaxInteger));
  if (in.has("feedsNotListed")) state.feeds_not_listed = static_cast<std::uint64_t>(in.integer("feedsNotListed", 0, kMaxInteger));
  const auto first = in.optional_warning("warning");
  if (first && state.warnings.empty()) state.warnings.push_back(*first);
  message.request_id = in.optional_text("requestId", 1, kMaxRequestId);
  return message;
}

void check_version(Fields& in) {
  if (in.integer("version", 0, kMaxInteger) != kVersion) in.wrong("version");
}

/// nullopt: the type is not known.
std::optional<Message> read(std::string_view type, Fields& in) {
  if (type == "recording.request") {
    std::string id = in.text("requestId", 1, kMaxRequestId);
    return RecordingRequest{std::move(id), in.boolean("on")};
  }
  if (type == "recording.marker.add") {
    std::string id = in.text("requestId", 1, kMaxRequestId);
    return MarkerAdd{std::move(id), in.label("label")};
  }
  if (type == "recording.marker") {
    Marker marker{in.text("recordingId", 1, kMaxId), static_cast<std::uint64_t>(in.integer("index", 1, kMaxInteger)),
                  in.integer("atMs", 0, kMaxInteger), in.label("label"), {}};
    marker.by = in.optional_text("by", 1, kMaxId);
    return MarkerMessage{std::move(marker)};
  }
  if (type == "recording.response") {
    RecordingResponse response{in.text("requestId", 1, kMaxRequestId), in.optional_error("error")};
    if (in.boolean("ok") == response.error.has_value()) in.wrong("error");
    return response;
  }
  if (type == "recording.state") return read_state(in);
  if (type == "beat") {
    const auto revision = static_cast<std::uint64_t>(in.integer("revision", 0, kMaxInteger));
    return Beat{revision, in.integer("totalMs", 0, kMaxInteger)};
  }
  if (type == "ping") return Ping{};
  if (type == "pong") return Pong{};
  if (type == "hello") {
    check_version(in);
    std::string token = in.text("token", 1, kMaxToken);
    return Hello{std::move(token), in.text("participantId", 1, kMaxId)};
  }
  if (type == "welcome") {
    check_version(in);
    Welcome welcome{in.text("sessionId", 1, kMaxId), in.texts("services", kMaxServices, 64), {}};
    welcome.heartbeat = milliseconds(in.integer("heartbeatMs", 100, 8000));
    return welcome;
  }
  if (type == "closing") return Closing{in.text("reason", 0, kMaxText)};
  if (type == "error") {
    ErrorMessage message{in.error_here(), in.boolean("fatal"), {}};
    message.in_reply_to = in.optional_text("inReplyTo", 0, 64);
    return message;
  }
  return std::nullopt;
}

// ------------------------------------------------------------------------------------------------------------ writing

Json json_of(const Error& error) {
  return {{"code", wire_name(error.code)}, {"message", shortened(error.message, kMaxText)}};
}

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::off: return "off";
    case Phase::recording: return "recording";
    case Phase::stopping: return "stopping";
  }
  return "off";
}

Json json_of(const Hello& m) {
  return {{"type", "hello"}, {"version", kVersion}, {"token", m.token}, {"participantId", m.participant_id}};
}
Json json_of(const Welcome& m) {
  return {{"type", "welcome"},
          {"version", kVersion},
          {"sessionId", m.session_id},
          {"services", m.services},
          {"heartbeatMs", to_ms(m.heartbeat)}};
}
Json json_of(const RecordingRequest& m) {
  return {{"type", "recording.request"}, {"requestId", m.request_id}, {"on", m.on}};
}
Json json_of(const MarkerAdd& m) {
  return {{"type", "recording.marker.add"}, {"requestId", m.request_id}, {"label", m.label}};
}
Json json_of(const RecordingResponse& m) {
  Json json = {{"type", "recording.response"}, {"requestId", m.request_id}, {"ok", !m.error.has_value()}};
  if (m.error) json["error"] = json_of(*m.error);
  return json;
}
Json json_of(const Warning& warning) {
  Json json = {{"code", warning.code}, {"message", shortened(warning.message, kMaxText)}};
  if (warning.minutes_left) json["minutesLeft"] = *warning.minutes_left;
  if (!warning.feed_id.empty()) json["feedId"] = warning.feed_id;
  if (!warning.participant_id.empty()) json["participantId"] = warning.participant_id;
  return json;
}
Json json_of(const FeedState& feed) {
  Json json = {{"feedId", feed.feed_id}, {"participantId", feed.participant_id}, {"label", shortened(feed.label, kMaxText)}, {"kind", feed.kind}, {"recorded", feed.recorded}};
  if (!feed.reason.empty()) json["reason"] = feed.reason;
  if (!feed.message.empty()) json["message"] = shortened(feed.message, kMaxText);
  json["sinceMs"] = feed.since_ms;
  return json;
}
Json json_of(const RecordingStateMessage& m) {
  const RecordingSnapshot& s = m.snapshot;
  Json json = {{"type", "recording.state"}, {"revision", s.revision}, {"on", s.on}, {"phase", name_of(s.phase)}};
  json["totalMs"] = s.total_ms;
  if (!s.recording_id.empty()) json["recordingId"] = s.recording_id;
  if (!s.changed_by.empty()) json["changedBy"] = shortened(s.changed_by, kMaxId);
  if (s.error) json["error"] = json_of(*s.error);
  if (s.waiting_for_media) json["waitingForMedia"] = true;
  if (s.pre_roll_ms > 0) json["preRollMs"] = s.pre_roll_ms;
  if (!s.warnings.empty()) json["warning"] = json_of(s.warnings.front());
  for (const Warning& warning : s.warnings) json["warnings"].push_back(json_of(warning));
  for (const FeedState& feed : s.feeds) json["feeds"].push_back(json_of(feed));
  if (s.warnings_not_listed > 0) json["warningsNotListed"] = s.warnings_not_listed;
  if (s.feeds_not_listed > 0) json["feedsNotListed"] = s.feeds_not_listed;
  if (!m.request_id.empty()) json["requestId"] = m.request_id;
  return json;
}
Json json_of(const MarkerMessage& m) {
  Json json = {{"type", "recording.marker"}, {"recordingId", m.marker.recording_id}, {"index", m.marker.index},
               {"atMs", m.marker.at_ms},     {"label", m.marker.label}};
  if (!m.marker.by.empty()) json["by"] = shortened(m.marker.by, kMaxId);
  return json;
}
Json json_of(const Beat& m) { return {{"type", "beat"}, {"revision", m.revision}, {"totalMs", m.total_ms}}; }
Json json_of(const Ping&) { return {{"type", "ping"}}; }
Json json_of(const Pong&) { return {{"type", "pong"}}; }
Json json_of(const Closing& m) { return {{"type", "closing"}, {"reason", shortened(m.reason, kMaxText)}}; }
Json json_of(const ErrorMessage& m) {
  Json json = json_of(m.error);
  json["type"] = "error";
  json["fatal"] = m.fatal;
  if (!m.in_reply_to.empty()) json["inReplyTo"] = shortened(m.in_reply_to, 64);
  return json;
}

}  // namespace

namespace {

/// How many of `list` fit into `most` bytes of JSON; the first always does.
template <class Entry>
std::uint64_t keep_what_fits(std::vector<Entry>& list, std::size_t most) {
  std::size_t bytes = 0, kept = 0;
  for (Entry& entry : list) {
    entry.message = shortened(entry.message, kMaxShortText);
    bytes += json_of(entry).dump(-1, ' ', false, Json::error_handler_t::replace).size() + 1;
    if (kept == kMaxListed || (kept > 0 && bytes > most)) break;
    ++kept;
  }
  const std::uint64_t left_out = list.size() - kept;
  list.resize(kept);
  return left_out;
}

}  // namespace

void fit(RecordingSnapshot& state) {
  for (FeedState& feed : state.feeds) feed.label = shortened(feed.label, kMaxShortText);
  state.feeds_not_listed = keep_what_fits(state.feeds, kFeedsBytes);
  state.warnings_not_listed = keep_what_fits(state.warnings, kWarningsBytes);
}

bool is_label(std::string_view text) {
  const std::size_t length = characters(text);
  return length >= 1 && length <= kMaxLabel && is_plain_text(text);
}

Decoded decode(std::string_view text) {
  if (text.size() > kMaxMessageSize) return Malformed{"A message is at most 16 KiB.", {}};
  const Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Malformed{"A message is a JSON object.", {}};
  const auto type = json.find("type");
  if (type == json.end() || !type->is_string()) return Malformed{"A message has a `type`.", {}};
  const auto& name = type->get_ref<const std::string&>();
  Fields fields(json);
  std::optional<Message> message = read(name, fields);
  if (!message) return UnknownType{shortened(name, 64)};
  if (!fields.wrong_field().empty()) return Malformed{"`" + fields.wrong_field() + "` is missing or wrong.", name};
  return std::move(*message);
}

std::string encode(const Message& message) {
  return std::visit(
      [](const auto& m) { return json_of(m).dump(-1, ' ', false, Json::error_handler_t::replace); }, message);
}

}  // namespace amphi::services
