#include "recording/json_fields.h"

#include <algorithm>
#include <utility>

namespace amphi::recording {
namespace {

void put_readable(std::string& out, const Json& json, std::size_t depth, bool in_list) {
  const auto is_structured = [](const Json& inner) { return inner.is_structured(); };
  if (json.empty() || !json.is_structured() || (in_list && std::none_of(json.begin(), json.end(), is_structured))) {
    out += text_of(json);
    return;
  }
  char before = json.is_object() ? '{' : '[';
  const char end = json.is_object() ? '}' : ']';
  for (auto at = json.begin(); at != json.end(); ++at) {
    (out += std::exchange(before, ',')) += '\n';
    out.append(2 * (depth + 1), ' ');
    if (json.is_object()) out += text_of(Json(at.key())) + ": ";
    put_readable(out, *at, depth + 1, json.is_array());
  }
  out += '\n';
  out.append(2 * depth, ' ') += end;
}

}  // namespace

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string readable_text(const Json& json) {
  std::string text;
  put_readable(text, json, 0, false);
  return text;
}

const Json* Fields::find(const char* name, Json::value_t type) {
  const auto at = json_.is_object() ? json_.find(name) : json_.end();
  if (at != json_.end() && at->type() == type) return &*at;
  ok_ = false;
  return nullptr;
}

std::string Fields::text(const char* name) {
  const Json* value = find(name, Json::value_t::string);
  return value != nullptr ? value->get<std::string>() : std::string();
}

std::uint64_t Fields::count(const char* name) {
  const Json* value = find(name, Json::value_t::number_unsigned);
  return value != nullptr ? value->get<std::uint64_t>() : 0;
}

std::int64_t Fields::signed_count(const char* name) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
  const std::uint64_t value = count(name);
  if (value > kMost) ok_ = false;
  return ok_ ? static_cast<std::int64_t>(value) : 0;
}

bool Fields::flag(const char* name) {
  const Json* value = find(name, Json::value_t::boolean);
  return value != nullptr && value->get<bool>();
}

void Fields::hex(const char* name, MutableBytes out) {
  if (!from_hex(text(name), out)) ok_ = false;
}

void put_feed(Json& json, const FeedInfo& feed) {
  json["feedId"] = feed.id.value;
  json["participantId"] = feed.participant.value;
  json["participantIdentity"] = feed.participant_identity;
  json["label"] = feed.label;
  json["kind"] = rtp::text(feed.codec.kind());
  json["codec"] = rtp::text(feed.codec.name);
  json["clockRate"] = feed.codec.clock_rate;
  if (feed.codec.channels != 0) json["channels"] = feed.codec.channels;
}

FeedInfo read_feed(Fields& fields) {
  FeedInfo feed;
  feed.id = FeedId(fields.text("feedId"));
  feed.participant = ParticipantId(fields.text("participantId"));
  feed.participant_identity = fields.text("participantIdentity");
  feed.label = fields.text("label");
  const auto codec = rtp::codec_from_text(fields.text("codec"));
  if (!codec) fields.refuse();
  feed.codec.name = codec.value_or(rtp::CodecName::vp8);
  feed.codec.clock_rate = static_cast<std::uint32_t>(fields.count("clockRate"));
  if (feed.codec.kind() == rtp::Kind::audio) feed.codec.channels = static_cast<std::uint8_t>(fields.count("channels"));
  return feed;
}

void put_without_track(Json& json, const TrackRecord& feed) {
  json["reason"] = wire_name(feed.without_track);
  json["packets"] = feed.packets;
  json["dropped"] = drops_json(feed.drops);
}

void read_without_track(Fields& fields, TrackRecord& feed) {
  const std::string reason = fields.text("reason");
  feed.without_track = FeedReason::no_valid_frame;
  for (std::size_t i = 0; i < static_cast<std::size_t>(FeedReason::count_); ++i)
    if (wire_name(static_cast<FeedReason>(i)) == reason) feed.without_track = static_cast<FeedReason>(i);
  feed.packets = fields.count("packets");
  if (const Json* dropped = fields.find("dropped", Json::value_t::object)) feed.drops = read_drops(*dropped);
  feed.counted = true;
}

void put_unlisted(Json& json, const UnlistedGaps& unlisted) {
  json["gaps"] = unlisted.gaps;
  json["packets"] = unlisted.packets;
  json["missingMs"] = unlisted.missing_ms;
  json["fromMs"] = unlisted.from_ms;
  json["toMs"] = unlisted.to_ms;
}

UnlistedGaps read_unlisted(Fields& fields) {
  return {fields.count("gaps"), fields.count("packets"), fields.signed_count("missingMs"), fields.signed_count("fromMs"), fields.signed_count("toMs")};
}

Json drops_json(const Drops& drops) {
  Json json = Json::object();
  drops.for_each([&](std::string_view name, std::uint64_t value) {
    if (value != 0) json[std::string(name)] = value;
  });
  return json;
}

Drops read_drops(const Json& json) {
  Drops drops;
  for (std::size_t i = 0; i < Drops::kSize; ++i) {
    const auto drop = static_cast<Drop>(i);
    const auto at = json.is_object() ? json.find(std::string(counter_name(drop))) : json.end();
    if (at != json.end() && at->is_number_unsigned()) drops.add(drop, at->get<std::uint64_t>());
  }
  return drops;
}

}  // namespace amphi::recording
