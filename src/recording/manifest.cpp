#include "recording/manifest.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "recording/journal.h"
#include "recording/json_fields.h"

namespace amphi::recording {
namespace {

constexpr std::string_view kSignatureAlgorithm = "Ed25519";

Json track_json(const TrackRecord& track) {
  Json json;
  json["path"] = track.summary.path;
  put_feed(json, track.feed);
  json["width"] = track.summary.width;
  json["height"] = track.summary.height;
  json["offsetMs"] = track.summary.offset_ms;
  json["durationMs"] = track.summary.duration_ms;
  json["frames"] = track.summary.frames;
  json["bytes"] = track.bytes;
  json["sha256"] = track.summary.sha256;
  json["lostPackets"] = track.lost_packets;
  if (track.counted) {
    json["packets"] = track.packets;
    if (track.recorded_packets) json["recordedPackets"] = *track.recorded_packets;
    json["overflowPackets"] = track.overflow_packets;
    json["dropped"] = drops_json(track.drops);
  }
  if (track.sending_order) json["pictureOrder"] = "sending";
  json["gaps"] = Json::array();
  for (const Gap& gap : track.gaps) {
    json["gaps"].push_back(
        {{"fromMs", gap.from_ms}, {"toMs", gap.to_ms}, {"reason", gap.reason}, {"packets", gap.packets}});
  }
  if (track.unlisted.gaps > 0) put_unlisted(json["unlistedGaps"], track.unlisted);
  return json;
}

Json evidence_json(const RecordingId& id, const Evidence& evidence) {
  Json json{{"journal", kJournalName}, {"lines", evidence.lines}, {"head", to_hex(evidence.head)}};
  std::optional<SignedHead> signature = evidence.signature;
  if (evidence.signing) signature = {evidence.signing->public_key(), evidence.signing->sign(signed_text(id, evidence.head))};
  if (signature) json["signature"] = {{"algorithm", kSignatureAlgorithm}, {"publicKey", to_hex(signature->key)}, {"value", to_hex(signature->value)}};
  return json;
}

bool read_track(const Json& json, Manifest::Track& track) {
  Fields fields(json);
  track.path = fields.text("path");
  track.feed = FeedId(fields.text("feedId"));
  const auto codec = rtp::codec_from_text(fields.text("codec"));
  track.codec.name = codec.value_or(rtp::CodecName::vp8);
  track.codec.clock_rate = static_cast<std::uint32_t>(fields.count("clockRate"));
  track.codec.channels =
      track.codec.kind() == rtp::Kind::audio ? static_cast<std::uint8_t>(fields.count("channels")) : std::uint8_t{0};
  track.width = static_cast<std::uint32_t>(fields.count("width"));
  track.height = static_cast<std::uint32_t>(fields.count("height"));
  track.offset_ms = static_cast<std::int64_t>(fields.count("offsetMs"));
  track.duration_ms = static_cast<std::int64_t>(fields.count("durationMs"));
  track.frames = fields.count("frames");
  track.sha256 = fields.text("sha256");
  track.participant_identity = fields.text("participantIdentity");
  track.label = fields.text("label");
  if (fields.has("gaps")) {
    const Json* gaps = fields.find("gaps", Json::value_t::array);
    for (const Json& entry : gaps != nullptr ? *gaps : Json::array()) {
      Fields gap(entry);
      if (gap.text("reason") == "absent") track.absent_ms.emplace_back(gap.signed_count("fromMs"), gap.signed_count("toMs"));
      if (!gap.ok()) return false;
    }
  }
  return fields.ok() && codec && is_safe_path_name(track.path);
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

}  // namespace

bool is_safe_path_name(std::string_view name) {
  if (name.empty() || name.size() > 200 || name.front() == '.') return false;
  for (const char c : name) {
    if (!is_plain(c)) return false;
  }
  return true;
}

std::string iso8601(WallTime time) {
  using namespace std::chrono;
  const sys_time<milliseconds> at{milliseconds(time.unix_ms)};
  const auto day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss<milliseconds> clock(at - day);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return text;
}

std::optional<WallTime> parse_iso8601(std::string_view text) {
  using namespace std::chrono;
  constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd.dddZ";
  if (text.size() != kShape.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kShape[i] == 'd' ? !digit : text[i] != kShape[i]) return std::nullopt;
  }
  const auto number = [&](std::size_t at, std::size_t count) {
    int value = 0;
    for (std::size_t i = at; i < at + count; ++i) value = value * 10 + (text[i] - '0');
    return value;
  };
  const year_month_day date{year(number(0, 4)), month(static_cast<unsigned>(number(5, 2))),
                            day(static_cast<unsigned>(number(8, 2)))};
  if (!date.ok() || number(11, 2) > 23 || number(14, 2) > 59 || number(17, 2) > 59) return std::nullopt;
  const auto at = sys_days(date) + hours(number(11, 2)) + minutes(number(14, 2)) + seconds(number(17, 2)) +
                  milliseconds(number(20, 3));
  return WallTime{at.time_since_epoch().count()};
}

void UnlistedGaps::add(const Gap& gap) {
  if (gaps++ == 0) from_ms = gap.from_ms;
  packets += gap.packets;
  missing_ms += gap.to_ms - gap.from_ms;
  to_ms = gap.to_ms;
}

void ManifestContent::list_if_without_media(const TrackRecord& feed) {
  for (; listed_tracks < tracks.size(); ++listed_tracks) listed_feeds.insert(tracks[listed_tracks]->feed.id.value);
  if (listed_feeds.insert(feed.feed.id.value).second) feeds_without_media.push_back(&feed);
}

Bytes signed_text(const RecordingId& id, const Sha256Digest& head) {
  return to_bytes(as_bytes("amphi recording, version 1\n" + id.value + "\n" + to_hex(head) + "\n"));
}

std::optional<Evidence> read_evidence(std::string_view manifest) {
  const Json json = Json::parse(manifest, nullptr, false);
  Fields whole(json);
  const Json* found = whole.find("evidence", Json::value_t::object);
  if (found == nullptr) return std::nullopt;
  Fields fields(*found);
  Evidence evidence;
  evidence.lines = fields.count("lines");
  fields.hex("head", evidence.head);
  if (fields.text("journal") != kJournalName) fields.refuse();
  if (fields.has("signature")) {
    const Json* signature = fields.find("signature", Json::value_t::object);
    if (signature == nullptr) return std::nullopt;
    Fields inner(*signature);
    inner.hex("publicKey", evidence.signature.emplace().key);
    inner.hex("value", evidence.signature->value);
    if (inner.text("algorithm") != kSignatureAlgorithm || !inner.ok()) fields.refuse();
  }
  return fields.ok() ? std::optional(evidence) : std::nullopt;
}

Bytes write_manifest(const ManifestContent& content) {
  Json json;
  json["version"] = 1;
  json["recordingId"] = content.info.id.value;
  json["sessionId"] = content.info.session.value;
  json["requestedBy"] = content.info.requested_by;
  json["state"] = content.state;
  json["startedAt"] = iso8601(content.info.started_at);
  if (content.stopped_at) json["stoppedAt"] = iso8601(*content.stopped_at);
  json["durationMs"] = content.duration_ms;
  json["preRollMs"] = to_ms(content.info.pre_roll);
  if (!content.info.continues.value.empty()) json["continues"] = content.info.continues.value;
  if (content.error) json["error"] = {{"code", wire_name(content.error->code)}, {"message", content.error->message}};
  if (content.repaired)
    json["repaired"] = {{"at", iso8601(content.repaired->at)}, {"times", content.repaired->times}, {"note", content.repaired->note}};
  if (content.encrypted) json["encrypted"] = true;
  json["tracks"] = Json::array();
  for (const TrackRecord* track : content.tracks) json["tracks"].push_back(track_json(*track));
  json["feedsWithoutMedia"] = Json::array();
  for (const TrackRecord* feed : content.feeds_without_media) {
    Json entry;
    put_feed(entry, feed->feed);
    if (feed->counted) put_without_track(entry, *feed);
    json["feedsWithoutMedia"].push_back(std::move(entry));
  }
  json["markers"] = Json::array();
  for (const Marker& marker : content.markers)
    json["markers"].push_back({{"atMs", marker.at_ms}, {"label", marker.label}, {"by", marker.by}});
  json["dropped"] = drops_json(content.drops);
  if (content.evidence) json["evidence"] = evidence_json(content.info.id, *content.evidence);
  return to_bytes(as_bytes(readable_text(json) + "\n"));
}

Result<Manifest> parse_manifest(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return fail(ErrorCode::malformed, "manifest.json is not a JSON object");
  Fields fields(json);
  if (fields.count("version") != 1) return fail(ErrorCode::unsupported, "manifest.json is not of version 1");
  Manifest manifest;
  manifest.id = RecordingId(fields.text("recordingId"));
  manifest.session = SessionId(fields.text("sessionId"));
  manifest.requested_by = fields.text("requestedBy");
  manifest.state = fields.text("state");
  manifest.duration_ms = static_cast<std::int64_t>(fields.count("durationMs"));
  const auto started = parse_iso8601(fields.text("startedAt"));
  const auto stopped = json.contains("stoppedAt") ? parse_iso8601(fields.text("stoppedAt")) : WallTime{};
  const Json* tracks = fields.find("tracks", Json::value_t::array);
  const Json* markers = fields.has("markers") ? fields.find("markers", Json::value_t::array) : nullptr;
  manifest.encrypted = fields.has("encrypted") && fields.flag("encrypted");
  if (!fields.ok() || !started || !stopped)
    return fail(ErrorCode::malformed, "manifest.json lacks a field, or has one of a wrong type");
  manifest.started_at = *started;
  manifest.stopped_at = *stopped;
  for (const Json& entry : *tracks) {
    Manifest::Track track;
    if (!read_track(entry, track)) return fail(ErrorCode::malformed, "manifest.json has a malformed track");
    manifest.tracks.push_back(std::move(track));
  }
  if (markers != nullptr) {
    for (const Json& entry : *markers) {
      Fields marker(entry);
      manifest.markers.push_back({marker.signed_count("atMs"), marker.text("label"), marker.text("by")});
      if (!marker.ok()) return fail(ErrorCode::malformed, "manifest.json has a malformed marker");
    }
  }
  return manifest;
}

}  // namespace amphi::recording
