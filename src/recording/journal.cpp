// Writing; journal_reader.cpp reads it back.
#include "recording/journal.h"

#include <utility>

#include "recording/json_fields.h"

namespace amphi::recording {
namespace {

void put_seal(Json& json, const Seal& seal) {
  json["nonce"] = to_hex(seal.nonce);
  json["tag"] = to_hex(seal.tag);
}

Json extent_json(const Extent& extent) {
  Json json{{"at", extent.at}, {"size", extent.size}, {"sha256", to_hex(extent.sha256)}};
  if (extent.seal) put_seal(json, *extent.seal);
  return json;
}

void put_signer(Json& json, const Safekeeping& safekeeping) {
  if (safekeeping.signing) json["signedBy"] = to_hex(safekeeping.signing->public_key());
}

Json sets_json(const std::vector<Bytes>& sets) {
  Json json = Json::array();
  for (const Bytes& set : sets) json.push_back(to_hex(set));
  return json;
}

}  // namespace

struct Journal::Line {
  Json json;
  Line(const Journal& journal, std::string_view event) {
    json["prev"] = to_hex(journal.head_);
    json["event"] = event;
    json["ms"] = journal.now_ms_;
  }
};

void Journal::append(Line& line) {
  append_unsynced(line);
  sync();
}

void Journal::append_unsynced(Line& line) {
  std::string text = text_of(line.json);
  head_ = sha256(as_bytes(text));
  text += '\n';
  const std::uint64_t at = size_;
  size_ += text.size();
  ++lines_;
  last_ms_ = now_ms_;
  out_.emplace_back(FileOp(WriteFile{kJournalFile, at, to_bytes(as_bytes(text))}));
  if (!unsynced_ms_) unsynced_ms_ = now_ms_;
}

void Journal::sync() {
  if (!std::exchange(unsynced_ms_, std::nullopt)) return;
  out_.emplace_back(FileOp(SyncFile{kJournalFile}));
}

std::optional<Duration> Journal::sync_at() const {
  return unsynced_ms_ ? std::optional<Duration>(milliseconds(*unsynced_ms_ + kShareSyncMs)) : std::nullopt;
}

void Journal::resume(std::uint64_t size, std::uint64_t lines, const Sha256Digest& head) {
  size_ = size;
  lines_ = lines;
  head_ = head;
}

void Journal::begin(const RecordingInfo& info, const Safekeeping& safekeeping) {
  Line line(*this, "begin");
  line.json["version"] = 1;
  line.json["recordingId"] = info.id.value;
  line.json["sessionId"] = info.session.value;
  line.json["requestedBy"] = info.requested_by;
  line.json["startedAt"] = iso8601(info.started_at);
  line.json["preRollMs"] = to_ms(info.pre_roll);
  line.json["continues"] = info.continues.value;
  put_signer(line.json, safekeeping);
  if (safekeeping.sealer) {
    const WrappedKey& key = safekeeping.sealer->wrapped();
    Json& json = line.json["encryption"];
    json["version"] = key.version;
    json["algorithm"] = "AES-256-GCM";
    json["keyId"] = key.key_id;
    json["wrappedKey"] = to_hex(key.key);
    put_seal(json, key.seal);
  }
  append(line);
}

void Journal::feed(const FeedInfo& feed, std::int64_t offset_ms) {
  Line line(*this, "feed");
  put_feed(line.json, feed);
  line.json["offsetMs"] = offset_ms;
  append_unsynced(line);
}

void Journal::without_track(const TrackRecord& feed) {
  Line line(*this, "withoutTrack");
  line.json["feedId"] = feed.feed.id.value;
  put_without_track(line.json, feed);
  append_unsynced(line);
}

void Journal::track(FileNumber file, const TrackRecord& track, const Frame& first, const Extent& head) {
  ++tracks_;
  Line line(*this, "track");
  line.json["file"] = file;
  line.json["path"] = track.summary.path;
  put_feed(line.json, track.feed);
  line.json["width"] = first.width;
  line.json["height"] = first.height;
  line.json["offsetMs"] = track.summary.offset_ms;
  if (track.feed.codec.name == rtp::CodecName::h264) {
    line.json["sps"] = sets_json(first.sps);
    line.json["pps"] = sets_json(first.pps);
  }
  line.json["head"] = extent_json(head);
  append(line);
}

void Journal::piece(FileNumber file, const Piece& piece) {
  ++pieces_;
  Line line(*this, "piece");
  line.json["file"] = file;
  line.json.update(extent_json(piece.extent));
  line.json["from"] = piece.from;
  line.json["to"] = piece.to;
  line.json["frames"] = piece.frames;
  line.json["keyframe"] = piece.keyframe;
  append(line);
}

void Journal::gap(FileNumber file, const Gap& gap) {
  Line line(*this, "gap");
  line.json["file"] = file;
  line.json["fromMs"] = gap.from_ms;
  line.json["toMs"] = gap.to_ms;
  line.json["reason"] = gap.reason;
  line.json["packets"] = gap.packets;
  append_unsynced(line);
}

void Journal::unlisted(FileNumber file, const UnlistedGaps& unlisted) {
  Line line(*this, "unlisted");
  line.json["file"] = file;
  put_unlisted(line.json, unlisted);
  append_unsynced(line);
}

void Journal::sending_order(FileNumber file) {
  Line line(*this, "sendingOrder");
  line.json["file"] = file;
  append_unsynced(line);
}

void Journal::gap_open(FileNumber file, const Gap& gap) {
  Line line(*this, "gapOpen");
  line.json["file"] = file;
  line.json["fromMs"] = gap.from_ms;
  line.json["reason"] = gap.reason;
  line.json["packets"] = gap.packets;
  append(line);
}

void Journal::marker(const Marker& marker) {
  Line line(*this, "marker");
  line.json["atMs"] = marker.at_ms;
  line.json["label"] = marker.label;
  line.json["by"] = marker.by;
  append(line);
}

void Journal::away(FileNumber file) {
  Line line(*this, "away");
  line.json["file"] = file;
  append_unsynced(line);
}

void Journal::back(FileNumber file) {
  Line line(*this, "back");
  line.json["file"] = file;
  append_unsynced(line);
}

void Journal::alive() {
  Line line(*this, "alive");
  append(line);
}

void Journal::track_end(FileNumber file, const TrackRecord& track, const TrackEnd& end) {
  Line line(*this, "trackEnd");
  line.json["file"] = file;
  line.json["durationMs"] = track.summary.duration_ms;
  line.json["frames"] = track.summary.frames;
  line.json["lostPackets"] = track.lost_packets;
  if (track.counted) {
    line.json["packets"] = track.packets;
    if (track.recorded_packets) line.json["recordedPackets"] = *track.recorded_packets;
    line.json["overflowPackets"] = track.overflow_packets;
    line.json["dropped"] = drops_json(track.drops);
  }
  line.json["head"] = extent_json(end.head);
  line.json["tail"] = extent_json(end.tail);
  append(line);
}

void Journal::repair(WallTime at, std::uint64_t bytes_removed, const Safekeeping& safekeeping) {
  Line line(*this, "repair");
  line.json["at"] = iso8601(at);
  line.json["journalBytesRemoved"] = bytes_removed;
  put_signer(line.json, safekeeping);
  append(line);
}

void Journal::cut(FileNumber file, std::uint64_t size) {
  Line line(*this, "cut");
  line.json["file"] = file;
  line.json["size"] = size;
  append(line);
}

void Journal::end(std::int64_t duration_ms, WallTime stopped_at, std::string_view state, const std::optional<Error>& error,
                  const Drops& drops) {
  Line line(*this, "end");
  line.json["durationMs"] = duration_ms;
  line.json["stoppedAt"] = iso8601(stopped_at);
  line.json["state"] = state;
  line.json["dropped"] = drops_json(drops);
  if (error) line.json["error"] = {{"code", wire_name(error->code)}, {"message", error->message}};
  append(line);
}

}  // namespace amphi::recording
