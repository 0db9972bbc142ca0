// Reads a journal back. Every line is checked against the one before it; the first that is torn, out of place or makes no sense
// ends what is believed.
#include <algorithm>

#include "recording/journal.h"
#include "recording/json_fields.h"

namespace amphi::recording {
namespace {

constexpr std::string_view kReasons[] = {"loss", "overflow", "damaged", "restart", "absent", "silent", "bad_timestamps"};

std::string_view known_reason(const std::string& text) {
  for (const std::string_view reason : kReasons)
    if (text == reason) return reason;
  for (std::size_t i = 0; i < static_cast<std::size_t>(FeedReason::count_); ++i) {
    const std::string_view reason = wire_name(static_cast<FeedReason>(i));
    if (text == reason && loses_media(static_cast<FeedReason>(i))) return reason;
  }
  return "other";
}

Seal read_seal(Fields& fields) {
  Seal seal;
  fields.hex("nonce", seal.nonce);
  fields.hex("tag", seal.tag);
  return seal;
}

Extent read_extent(Fields& fields) {
  Extent extent;
  extent.at = static_cast<std::uint64_t>(fields.signed_count("at"));
  extent.size = static_cast<std::uint64_t>(fields.signed_count("size"));
  fields.hex("sha256", extent.sha256);
  if (fields.has("nonce")) extent.seal = read_seal(fields);
  return extent;
}

Extent read_extent(Fields& fields, const char* name) {
  const Json* json = fields.find(name, Json::value_t::object);
  if (json == nullptr) return {};
  Fields inner(*json);
  const Extent extent = read_extent(inner);
  if (!inner.ok()) fields.refuse();
  return extent;
}

std::vector<Bytes> read_sets(Fields& fields, const char* name) {
  std::vector<Bytes> sets;
  const Json* json = fields.find(name, Json::value_t::array);
  if (json == nullptr) return sets;
  for (const Json& entry : *json) {
    const std::string text = entry.is_string() ? entry.get<std::string>() : std::string();
    Bytes set(text.size() / 2);
    if (set.size() < 4 && std::string_view(name) == "sps") fields.refuse();  // what a header is made from
    if (set.empty() || !from_hex(text, set)) fields.refuse();
    sets.push_back(std::move(set));
  }
  if (sets.empty()) fields.refuse();
  return sets;
}

/// What the pieces tell.
void account(JournalTrack& track) {
  TrackRecord& record = track.record;
  const Piece& last = track.pieces.back();
  record.bytes += last.extent.size;
  record.summary.frames += last.frames;
  record.summary.duration_ms = last.to * 1'000 / ticks_per_second(record.feed.codec.name);
}

class Reader {
 public:
  explicit Reader(JournalContent& out) : out_(out) {}

  /// False: the line does not belong here.
  bool read(const Json& json) {
    Fields fields(json);
    const std::string event = fields.text("event");
    const std::int64_t ms = fields.signed_count("ms");
    if (out_.lines == 0 && event != "begin") return false;
    if (event == "begin") begin(fields);
    else if (event == "feed") feed(fields);
    else if (event == "withoutTrack") without_track(fields);
    else if (event == "track") track(fields);
    else if (event == "piece") piece(fields);
    else if (event == "gap") gap(fields);
    else if (event == "gapOpen") gap_open(fields);
    else if (event == "unlisted") unlisted(fields);
    else if (event == "away") away(fields, ms);
    else if (event == "back") away(fields, std::nullopt);
    else if (event == "marker") marker(fields);
    else if (event == "trackEnd") track_end(fields);
    else if (event == "cut") cut(fields);
    else if (event == "sendingOrder") sending_order(fields);
    else if (event == "repair") repair(fields);
    else if (event == "end") end(fields);
    out_.last_ms = std::max(out_.last_ms, ms);
    return fields.ok();  // `alive` says no more than that; an event of a later version is passed over
  }

 private:
  void begin(Fields& fields) {
    if (out_.lines != 0 || fields.count("version") != 1) return fields.refuse();
    out_.info.id = RecordingId(fields.text("recordingId"));
    out_.info.session = SessionId(fields.text("sessionId"));
    out_.info.requested_by = fields.text("requestedBy");
    const auto started = parse_iso8601(fields.text("startedAt"));
    if (!started) return fields.refuse();
    out_.info.started_at = *started;
    out_.info.pre_roll = milliseconds(fields.signed_count("preRollMs"));
    out_.info.continues = RecordingId(fields.text("continues"));
    read_signer(fields);
    if (!fields.has("encryption")) return;
    const Json* json = fields.find("encryption", Json::value_t::object);
    if (json == nullptr) return;
    Fields inner(*json);
    WrappedKey key;
    key.version = inner.has("version") ? inner.count("version") : 1;
    if (inner.text("algorithm") != "AES-256-GCM") inner.refuse();
    key.key_id = inner.text("keyId");
    inner.hex("wrappedKey", key.key);
    key.seal = read_seal(inner);
    if (!inner.ok()) return fields.refuse();
    out_.key = std::move(key);
  }

  void read_signer(Fields& fields) {
    out_.signed_by.reset();
    if (fields.has("signedBy")) fields.hex("signedBy", out_.signed_by.emplace());
  }

  void feed(Fields& fields) {
    TrackRecord record;
    record.feed = read_feed(fields);
    record.counted = false;  // its end says
    if (!fields.ok()) return;
    out_.feeds.push_back(std::move(record));
  }

  /// The last line of that id: an earlier one was about the same feed in another codec.
  void without_track(Fields& fields) {
    const std::string id = fields.text("feedId");
    for (TrackRecord& record : out_.feeds)
      if (record.feed.id.value == id) read_without_track(fields, record);
  }

  void track(Fields& fields) {
    JournalTrack track;
    track.file = static_cast<FileNumber>(fields.count("file"));
    track.record.feed = read_feed(fields);
    track.record.counted = false;  // its end says
    TrackSummary& summary = track.record.summary;
    summary.path = fields.text("path");
    summary.feed = track.record.feed.id;
    summary.codec = track.record.feed.codec;
    summary.width = track.first.width = static_cast<std::uint32_t>(fields.count("width"));
    summary.height = track.first.height = static_cast<std::uint32_t>(fields.count("height"));
    summary.offset_ms = fields.signed_count("offsetMs");
    track.first.keyframe = true;
    if (summary.codec.name == rtp::CodecName::h264) {
      track.first.sps = read_sets(fields, "sps");
      track.first.pps = read_sets(fields, "pps");
    }
    track.head = read_extent(fields, "head");
    track.record.bytes = track.head.size;
    const bool is_next = track.file == out_.tracks.size() + 1;
    if (!is_safe_path_name(summary.path) || !is_next) fields.refuse();
    if (!fields.ok()) return;
    out_.tracks.push_back(std::move(track));
  }

  JournalTrack* open_track(Fields& fields) {
    const std::uint64_t file = fields.count("file");
    if (file >= 1 && file <= out_.tracks.size() && !out_.tracks[file - 1].end) return &out_.tracks[file - 1];
    fields.refuse();
    return nullptr;
  }

  void piece(Fields& fields) {
    JournalTrack* track = open_track(fields);
    if (track == nullptr) return;
    Piece piece;
    piece.extent = read_extent(fields);
    piece.from = fields.signed_count("from");
    piece.to = fields.signed_count("to");
    piece.frames = fields.count("frames");
    piece.keyframe = fields.flag("keyframe");
    const bool follows = piece.extent.at == track->record.bytes && piece.from <= piece.to;
    if (!fields.ok() || !follows) return fields.refuse();
    track->pieces.push_back(piece);
    account(*track);
  }

  void gap(Fields& fields) {
    JournalTrack* track = open_track(fields);
    if (track == nullptr) return;
    Gap gap{fields.signed_count("fromMs"), fields.signed_count("toMs"), known_reason(fields.text("reason")), fields.count("packets")};
    if (!fields.ok()) return;
    track->record.lost_packets += gap.packets;
    track->record.gaps.push_back(gap);
    track->open_gap.reset();
  }

  void gap_open(Fields& fields) {
    if (JournalTrack* track = open_track(fields))
      track->open_gap = Gap{fields.signed_count("fromMs"), 0, known_reason(fields.text("reason")), fields.count("packets")};
  }

  void unlisted(Fields& fields) {
    JournalTrack* track = open_track(fields);
    if (track == nullptr) return;
    UnlistedGaps& known = track->record.unlisted;
    const UnlistedGaps told = read_unlisted(fields);
    if (!fields.ok() || told.gaps < known.gaps || told.packets < known.packets) return fields.refuse();
    track->record.lost_packets += told.packets - known.packets;
    known = told;
    if (track->open_gap && told.to_ms >= track->open_gap->from_ms) track->open_gap.reset();
  }

  void sending_order(Fields& fields) {
    if (JournalTrack* track = open_track(fields)) track->record.sending_order = true;
  }

  void away(Fields& fields, std::optional<std::int64_t> at_ms) {
    if (JournalTrack* track = open_track(fields)) track->away_at_ms = at_ms;
  }

  void marker(Fields& fields) {
    Marker marker{fields.signed_count("atMs"), fields.text("label"), fields.text("by")};
    if (fields.ok()) out_.markers.push_back(std::move(marker));
  }

  void track_end(Fields& fields) {
    JournalTrack* track = open_track(fields);
    if (track == nullptr) return;
    TrackEnd end{read_extent(fields, "head"), read_extent(fields, "tail")};
    TrackRecord& record = track->record;
    record.summary.duration_ms = fields.signed_count("durationMs");
    record.summary.frames = fields.count("frames");
    record.lost_packets = fields.count("lostPackets");
    record.counted = fields.has("packets");
    if (record.counted) {
      record.packets = fields.count("packets");
      if (fields.has("recordedPackets")) record.recorded_packets = fields.count("recordedPackets");
      record.overflow_packets = fields.count("overflowPackets");
    }
    if (fields.has("dropped")) {
      if (const Json* dropped = fields.find("dropped", Json::value_t::object)) record.drops = read_drops(*dropped);
    }
    record.bytes += end.tail.size;
    if (fields.ok()) track->end = std::move(end);
  }

  void cut(Fields& fields) {
    JournalTrack* track = open_track(fields);
    if (track == nullptr) return;
    const std::uint64_t size = fields.count("size");
    out_.lost += words_of_lost(*track, size);
    cut_track(*track, size);
  }

  void repair(Fields& fields) {
    out_.repaired_at = parse_iso8601(fields.text("at"));
    if (!out_.repaired_at) fields.refuse();
    read_signer(fields);
    ++out_.repairs;
    if (out_.end) out_.end_before_repair = std::exchange(out_.end, std::nullopt);
  }

  void end(Fields& fields) {
    JournalContent::End end;
    end.duration_ms = fields.signed_count("durationMs");
    const auto stopped = parse_iso8601(fields.text("stoppedAt"));
    if (!stopped) return fields.refuse();
    end.stopped_at = *stopped;
    end.state = fields.text("state");
    if (const Json* dropped = fields.find("dropped", Json::value_t::object)) end.drops = read_drops(*dropped);
    if (fields.has("error")) {
      const Json* json = fields.find("error", Json::value_t::object);
      if (json == nullptr) return;
      Fields inner(*json);
      end.error = Error{error_code_from_wire(inner.text("code")), inner.text("message")};
    }
    if (fields.ok()) out_.end = std::move(end);
  }

  JournalContent& out_;
};

}  // namespace

std::int64_t ticks_per_second(rtp::CodecName codec) { return codec == rtp::CodecName::h264 ? 90'000 : 1'000; }

std::optional<std::int64_t> newest_ms(std::string_view text) {
  const auto end = text.find_last_of('\n');
  if (end == std::string_view::npos || end == 0) return std::nullopt;
  const auto before = text.find_last_of('\n', end - 1);
  const std::size_t from = before == std::string_view::npos ? 0 : before + 1;
  const Json line = Json::parse(text.substr(from, end - from), nullptr, false);
  if (!line.is_object() || !line.contains("ms") || !line["ms"].is_number_integer()) return std::nullopt;
  return line["ms"].get<std::int64_t>();
}

std::string words_of_lost(const JournalTrack& track, std::uint64_t size) {
  return " " + track.record.summary.path + ": " + std::to_string(track.record.bytes - std::min(size, track.record.bytes)) + " bytes that had been synced are gone.";
}

void cut_track(JournalTrack& track, std::uint64_t size) {
  std::vector<Piece> pieces = std::move(track.pieces);
  track.pieces.clear();
  track.record.bytes = track.head.size;
  track.record.summary.frames = 0;
  track.record.summary.duration_ms = 0;
  for (const Piece& piece : pieces) {
    if (piece.extent.at + piece.extent.size > size) break;
    track.pieces.push_back(piece);
    account(track);
  }
}

void JournalReader::read(std::string_view text) {
  JournalContent& content = content_;
  Reader reader(content);
  content.invalid_why.clear();
  while (content.valid_bytes < text.size()) {
    const std::string_view rest = text.substr(content.valid_bytes);
    const std::size_t size = rest.find('\n');
    if (size == std::string_view::npos) {
      content.invalid_why = "the last line is torn";
      break;
    }
    const std::string_view line = rest.substr(0, size);
    const Json json = Json::parse(line, nullptr, false);
    Fields fields(json);
    Sha256Digest previous{};
    fields.hex("prev", previous);
    if (json.is_discarded() || !fields.ok()) {
      content.invalid_why = "line " + std::to_string(content.lines + 1) + " is no line of a journal";
      break;
    }
    if (previous != content.head) {
      content.invalid_why = "line " + std::to_string(content.lines + 1) + " does not follow the line before it: one of the two was changed";
      break;
    }
    if (!reader.read(json)) {
      content.invalid_why = "line " + std::to_string(content.lines + 1) + " makes no sense where it stands";
      break;
    }
    content.head = sha256(as_bytes(line));
    content.valid_bytes += size + 1;
    ++content.lines;
  }
  content.invalid_bytes = text.size() - content.valid_bytes;
}

Result<JournalContent> parse_journal(std::string_view text) {
  JournalReader reader;
  reader.read(text);
  const JournalContent& content = reader.content();
  if (content.lines == 0) return fail(ErrorCode::malformed, "the journal does not begin like one" + (content.invalid_why.empty() ? "" : ": " + content.invalid_why));
  return reader.take();
}

}  // namespace amphi::recording
