#include "recording/verify.h"

#include <algorithm>
#include <set>

#include "recording/inspect.h"
#include "recording/json_fields.h"
#include "recording/recorder.h"
#include "recording/repair.h"

namespace amphi::recording {
namespace {

constexpr std::uint64_t kLargestHead = 16 * 1024;

class Verifier {
 public:
  Verifier(const FolderReader& folder, const VerifyOptions& options) : folder_(folder), options_(options) {}

  VerifyReport run() {
    const auto manifest = whole("manifest.json");
    const auto text = whole(std::string(kJournalName));
    if (!manifest || !text) return std::move(report_);
    const Json json = Json::parse(as_text(*manifest), nullptr, false);
    if (const auto parsed = parse_manifest(as_text(*manifest))) {
      report_.recording_id = parsed->id.value;
      report_.session_id = parsed->session.value;
      report_.state = parsed->state;
      report_.duration_ms = parsed->duration_ms;
    } else {
      find("manifest.json", parsed.error().message);
    }
    const auto journal = parse_journal(as_text(*text));
    if (!journal) {
      find(std::string(kJournalName), 0, text->size(), journal.error().message);
      return std::move(report_);
    }
    report_.chain_head = to_hex(journal->head);
    report_.journal_lines = journal->lines;
    report_.finished = is_finished(json);
    // What is being written, or was being when it was cut off, ends in the middle of a line.
    const std::string_view rest = as_text(*text).substr(journal->valid_bytes);
    const bool torn = rest.find('\n') == std::string_view::npos;
    if (journal->invalid_bytes > 0 && (report_.finished || !torn))
      find(std::string(kJournalName), journal->valid_bytes, text->size(), journal->invalid_why);
    if (journal->key && options_.unwrap) unwrap(*journal);
    if (report_.finished && !journal->end) {
      find(std::string(kJournalName), "it has no end, and the manifest says that the recording is finished: one of the two was changed");
    } else if (report_.finished) {
      check_manifest(*journal, json);
      check_evidence(*journal, json);
    }
    check_files(*journal);
    for (const JournalTrack& track : journal->tracks) all_ += track.end || !report_.finished ? track.record.bytes : 0;
    for (const JournalTrack& track : journal->tracks) {
      if (track.end) check_track(*journal, track, json);
      else if (!report_.finished) check_growing(*journal, track);
    }
    return std::move(report_);
  }

 private:
  void find(std::string file, std::string what) { report_.findings.push_back({std::move(file), std::nullopt, std::move(what)}); }
  void find(std::string file, std::uint64_t from, std::uint64_t to, std::string what) {
    report_.findings.push_back({std::move(file), std::pair(from, to), std::move(what)});
  }

  /// A manifest that has evidence was written at the end, whatever it says.
  static bool is_finished(const Json& manifest) {
    Fields fields(manifest);
    const std::string state = fields.text("state");
    return fields.has("evidence") || (state != "recording" && state != "failed");
  }

  void unwrap(const JournalContent& journal) {
    sealer_ = options_.unwrap(*journal.key, journal.info);
    if (sealer_) return;
    find(std::string(kJournalName), journal.key->version == WrappedKey::kVersion
                                        ? "the key that was given is not the one it is encrypted with, or that one was wrapped for another recording"
                                        : "its key is wrapped in version " + std::to_string(journal.key->version) + ", which cannot be opened any more");
  }

  std::optional<Bytes> whole(const std::string& name) {
    const auto size = folder_.size(name);
    const auto data = size ? folder_.read(name, 0, *size) : Result<Bytes>(fail(ErrorCode::not_found, "it is missing"));
    if (data) return *data;
    find(name, data.error().message);
    return std::nullopt;
  }

  /// Each key that only one of both has, or that is not the same in both; `apart`: is looked at elsewhere, where both have it.
  void compare(const Json& actual, const Json& expected, const std::set<std::string>& apart, const std::string& of) {
    for (const auto& [key, value] : expected.items())
      if (!actual.is_object() || !actual.contains(key) || (!apart.contains(key) && actual[key] != value))
        find("manifest.json", of + "`" + key + "` is not what the journal tells");
    if (!actual.is_object()) return;
    for (const auto& [key, value] : actual.items())
      if (!expected.contains(key)) find("manifest.json", of + "`" + key + "`: the journal does not tell of it");
  }

  void check_manifest(const JournalContent& journal, const Json& actual) {
    const JournalManifest told(journal);
    const Json expected = Json::parse(as_text(write_manifest(told.content)));
    compare(actual, expected, {"tracks", "evidence", "repaired"}, "");
    if (expected.contains("repaired") && actual.is_object() && actual.contains("repaired")) compare(actual["repaired"], expected["repaired"], {}, "repaired: ");
    const Json& tracks = expected["tracks"];
    const bool same_count = actual.is_object() && actual.contains("tracks") && actual["tracks"].is_array() && actual["tracks"].size() == tracks.size();
    if (!same_count) return find("manifest.json", "`tracks` are not those of the journal");
    for (std::size_t i = 0; i < tracks.size(); ++i) compare(actual["tracks"][i], tracks[i], {"sha256"}, "track " + tracks[i]["path"].get<std::string>() + ": ");
  }

  /// What lies there and is none of the recording's. Hidden files are what systems leave wherever somebody looks.
  void check_files(const JournalContent& journal) {
    std::set<std::string> known{"manifest.json", "manifest.json.new", std::string(kJournalName)};
    for (const JournalTrack& track : journal.tracks)
      if (track.end || !journal.end) known.insert(track.record.summary.path);
    for (const std::string& name : folder_.names()) {
      if (known.contains(name) || name.starts_with(".")) continue;
      // Cut off between the opening of a file and the journal's line of it: a head without media.
      const bool is_head = (name.starts_with("audio-") || name.starts_with("video-")) && folder_.size(name).value_or(0) <= kLargestHead;
      if (!is_head || (journal.end && journal.repairs == 0)) find(name, "it is no file of the recording's: the journal does not tell of it");
    }
  }

  void check_evidence(const JournalContent& journal, const Json& actual) {
    const Json* evidence = actual.is_object() && actual.contains("evidence") ? &actual["evidence"] : nullptr;
    if (evidence == nullptr || !evidence->is_object()) return find("manifest.json", "it has no `evidence`");
    for (const auto& [key, value] : evidence->items())
      if (key != "journal" && key != "lines" && key != "head" && key != "signature") find("manifest.json", "evidence: `" + key + "` is none of it");
    Fields fields(*evidence);
    if (fields.text("journal") != kJournalName || fields.text("head") != report_.chain_head || fields.count("lines") != journal.lines)
      find("manifest.json", "the journal does not end as the manifest says: one of the two was changed");
    if (!fields.has("signature")) {
      if (options_.trusted || journal.signed_by) find("manifest.json", "it is not signed");
      return;
    }
    const Json* signature = fields.find("signature", Json::value_t::object);
    if (signature == nullptr) return find("manifest.json", "its signature is malformed");
    Fields inner(*signature);
    PublicKey key{};
    Signature value{};
    inner.hex("publicKey", key);
    inner.hex("value", value);
    report_.signature = SignatureState::invalid;
    report_.signed_by = inner.text("publicKey");
    if (!inner.ok() || inner.text("algorithm") != "Ed25519") return find("manifest.json", "its signature is malformed");
    if (journal.signed_by != key) find("manifest.json", "it is not signed by the key that the journal names");
    if (!is_signed_by(key, signed_text(journal.info.id, journal.head), value)) return find("manifest.json", "its signature does not fit");
    report_.signature = options_.trusted && key == *options_.trusted ? SignatureState::valid : SignatureState::valid_by_unknown_key;
    if (options_.trusted && key != *options_.trusted) {
      report_.signature = SignatureState::invalid;
      find("manifest.json", "it is signed by another key: " + report_.signed_by);
    }
  }

  /// The bytes of an extent as they were before sealing; nullopt: they are not those that were written, which is told once a file.
  std::optional<Bytes> extent(const std::string& path, const Extent& extent, Sha256& all, bool& told) {
    auto data = folder_.read(path, extent.at, extent.size);
    if (data) all.update(*data);
    done_ += extent.size;
    if (options_.progress) options_.progress(done_, all_);
    if (!data || sha256(*data) != extent.sha256) {
      if (!std::exchange(told, true))
        find(path, extent.at, extent.at + extent.size, data ? "these bytes were changed since they were written" : data.error().message);
      return std::nullopt;
    }
    if (!extent.seal) return std::move(*data);
    if (sealer_ && sealer_->open(*extent.seal, *data)) return std::move(*data);
    if (sealer_ && !std::exchange(told, true)) find(path, extent.at, extent.at + extent.size, "these bytes cannot be decrypted");
    return std::nullopt;
  }

  void check_track(const JournalContent& journal, const JournalTrack& track, const Json& manifest) {
    const TrackRecord& record = track.record;
    const std::string& path = record.summary.path;
    VerifiedTrack facts{path, 0, 0, record.bytes, true, !journal.key || sealer_.has_value(), is_hashed(path, manifest)};
    if (report_.finished && !facts.hashed && all_ <= Recorder::kHashedAtOnce) find("manifest.json", "track " + path + ": `sha256` is missing");
    const auto size = folder_.size(path);
    if (!size) return find(path, "it is missing");
    if (*size != record.bytes)
      find(path, std::min(*size, record.bytes), std::max(*size, record.bytes), *size > record.bytes ? "these bytes were added" : "these bytes are missing");
    Sha256 all;
    bool told = false;
    if (const auto head = extent(path, track.end->head, all, told)) {
      const auto duration = inspect_duration(record.feed.codec.name, *head);
      facts.duration_ms = duration.value_or(-1);
      if (duration != record.summary.duration_ms) find(path, "the duration in the file is not the manifest's");
    }
    check_pieces(track, facts, all, told);
    extent(path, track.end->tail, all, told);
    if (!told && facts.looked_inside && facts.frames != record.summary.frames)
      find(path, "it holds " + std::to_string(facts.frames) + " frames, not the " + std::to_string(record.summary.frames) + " of the manifest");
    if (!told) check_hash(path, to_hex(all.finish()), manifest);
    report_.tracks.push_back(std::move(facts));
  }

  /// A file without its end. Its head is not looked at: it is written anew at any moment, and a repair makes it from the journal.
  void check_growing(const JournalContent& journal, const JournalTrack& track) {
    const TrackRecord& record = track.record;
    VerifiedTrack facts{record.summary.path, 0, record.summary.duration_ms, record.bytes, false, !journal.key || sealer_.has_value(), false};
    const auto size = folder_.size(facts.path);
    if (!size) return find(facts.path, "it is missing");
    if (*size < record.bytes) find(facts.path, *size, record.bytes, "these bytes are missing");
    Sha256 all;
    bool told = *size < record.bytes;
    check_pieces(track, facts, all, told);
    report_.tracks.push_back(std::move(facts));
  }

  void check_pieces(const JournalTrack& track, VerifiedTrack& facts, Sha256& all, bool& told) {
    const std::string& path = facts.path;
    const rtp::CodecName codec = track.record.feed.codec.name;
    std::int64_t last = -1;
    bool told_of_gap = false;
    const auto gaps = in_order(track.record.gaps);
    for (const Piece& piece : track.pieces) {
      const auto data = extent(path, piece.extent, all, told);
      if (!data) continue;
      const auto inside = inspect_piece(codec, *data);
      const bool fits = inside && inside->frames == piece.frames && inside->first == piece.from && inside->keyframe == piece.keyframe &&
                        inside->times_grow && inside->first_decoded > last;
      if (!fits) find(path, piece.extent.at, piece.extent.at + piece.extent.size, "what they hold is not what the journal tells of them");
      if (!inside) continue;
      facts.frames += inside->frames;
      last = inside->last_decoded;
      check_gaps(track, *frames_of_piece(codec, *data), gaps, told_of_gap);
    }
  }

  static std::vector<Gap> in_order(std::vector<Gap> gaps) {
    std::stable_sort(gaps.begin(), gaps.end(), [](const Gap& a, const Gap& b) { return a.from_ms < b.from_ms; });
    return gaps;
  }

  /// Inside a gap that the manifest lists there is no frame: told once a file. Times are rounded to a millisecond.
  void check_gaps(const JournalTrack& track, const std::vector<PieceFrame>& frames, const std::vector<Gap>& gaps, bool& told) {
    const std::int64_t per_second = ticks_per_second(track.record.feed.codec.name);
    for (const PieceFrame& frame : frames) {
      const std::int64_t ms = track.record.summary.offset_ms + frame.time * 1'000 / per_second;
      auto gap = std::lower_bound(gaps.begin(), gaps.end(), ms - 1, [](const Gap& g, std::int64_t at) { return g.from_ms < at; });
      if (gap == gaps.begin() || (--gap)->to_ms <= ms + 1 || told) continue;
      find(track.record.summary.path, "a frame at " + std::to_string(ms) + " ms lies in a gap that the manifest lists");
      told = true;
    }
  }

  static bool is_hashed(const std::string& path, const Json& manifest) {
    if (!manifest.is_object() || !manifest.contains("tracks") || !manifest["tracks"].is_array()) return false;
    const auto has = [&](const Json& entry) { return entry.is_object() && entry.value("path", Json()) == path && entry.value("sha256", Json("")) != ""; };
    return std::any_of(manifest["tracks"].begin(), manifest["tracks"].end(), has);
  }

  void check_hash(const std::string& path, const std::string& hash, const Json& manifest) {
    if (!manifest.is_object() || !manifest.contains("tracks") || !manifest["tracks"].is_array()) return;
    for (const Json& entry : manifest["tracks"]) {
      Fields fields(entry);
      if (fields.text("path") != path) continue;
      const std::string told = fields.text("sha256");  // empty: of a long recording, for a moment
      if (!fields.ok() || (!told.empty() && told != hash)) find("manifest.json", "track " + path + ": `sha256` is not the file's");
    }
  }

  const FolderReader& folder_;
  const VerifyOptions& options_;
  VerifyReport report_;
  std::optional<Sealer> sealer_;
  std::uint64_t done_ = 0, all_ = 0;
};

}  // namespace

VerifyReport verify(const FolderReader& folder, const VerifyOptions& options) { return Verifier(folder, options).run(); }

}  // namespace amphi::recording
