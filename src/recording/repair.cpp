#include "recording/repair.h"

#include <algorithm>

#include "recording/json_fields.h"
#include "recording/track.h"

namespace amphi::recording {
namespace {

/// What the manifest says had gone wrong.
std::optional<Error> failure_in(std::string_view manifest) {
  const Json json = Json::parse(manifest, nullptr, false);
  if (!json.is_object() || !json.contains("error") || !json["error"].is_object()) return std::nullopt;
  Fields fields(json["error"]);
  return Error{error_code_from_wire(fields.text("code")), fields.text("message")};
}

constexpr std::int64_t kSilentMs = 2'000;  // at the end: longer than what a crash takes away of a feed that lives

std::int64_t end_ms(const JournalTrack& track) { return track.record.summary.offset_ms + track.record.summary.duration_ms; }

}  // namespace

Lack lack_of(std::string_view manifest) {
  const auto parsed = parse_manifest(manifest);
  if (!parsed || (parsed->state != "complete" && parsed->state != "repaired")) return Lack::end;
  const bool hashed = std::none_of(parsed->tracks.begin(), parsed->tracks.end(), [](const TrackSummary& t) { return t.sha256.empty(); });
  return hashed ? Lack::nothing : Lack::hashes;
}

Result<std::optional<RepairCase>> repair_case(std::optional<std::string_view> manifest, std::optional<std::string_view> journal) {
  if (manifest && lack_of(*manifest) == Lack::nothing) return std::nullopt;
  if (!journal && !manifest) return std::nullopt;  // no recording's folder, or one that never began
  auto content = journal ? parse_journal(*journal) : Result<JournalContent>(fail(ErrorCode::not_found, "the journal is missing"));
  if (!content && !manifest) return std::nullopt;
  if (!content) return tl::unexpected(content.error());
  const std::string_view told = manifest.value_or("");
  return RepairCase{std::move(*content), failure_in(told), read_evidence(told), lack_of(told)};
}

Repair::Repair(RepairCase found, const FolderReader& folder, WallTime now, Safekeeping safekeeping, Hashes hashes)
    : content_(std::move(found.journal)), safekeeping_(std::move(safekeeping)), failed_(std::move(found.failed)), evidence_(std::move(found.evidence)) {
  if (content_.key && !safekeeping_.sealer) {
    handle_storage_error({ErrorCode::unauthorized, "the recording is encrypted, and its key is not here"}, {});
    return;
  }
  const bool fits = evidence_fits();
  if (found.lack == Lack::hashes && !(fits && files_fit(folder))) {
    handle_storage_error({ErrorCode::malformed, "manifest, journal and files do not fit each other (amphi-server verify tells more): nothing of it is touched"}, {});
    return;
  }
  journal_.resume(content_.valid_bytes, content_.lines, content_.head);
  for (const JournalTrack& track : content_.tracks) {
    const std::string& path = track.record.summary.path;
    if (!track.end || !folder.size(path)) continue;
    out_.emplace_back(FileOp(ReopenFile{track.file, path, track.record.bytes}));
    out_.emplace_back(FileOp(CloseFile{track.file}));
  }
  if (found.lack == Lack::hashes) {
    // The journal is durable, and what it ends with is signed or was never to be.
  } else if (content_.end && (fits || (!content_.signed_by && !safekeeping_.signing))) {
    if (!fits) evidence_ = Evidence{content_.lines, content_.head};
    keep_journal();
  } else {
    complete_journal(folder, now);
  }
  ask_for_hashes(folder, hashes);
  if (hashes_awaited_ == 0) close();
}

/// What the manifest had is over this very journal, and signed by whom the journal names.
bool Repair::evidence_fits() const {
  if (!content_.end || !evidence_ || evidence_->head != content_.head || evidence_->lines != content_.lines) return false;
  const auto& signature = evidence_->signature;
  if (!signature || !content_.signed_by) return !signature && !content_.signed_by;
  return signature->key == *content_.signed_by && is_signed_by(signature->key, signed_text(content_.info.id, content_.head), signature->value);
}

/// To hash them is not to cut off what somebody added.
bool Repair::files_fit(const FolderReader& folder) const {
  return std::all_of(content_.tracks.begin(), content_.tracks.end(), [&](const JournalTrack& track) {
    return !track.end || folder.size(track.record.summary.path) == track.record.bytes;
  });
}

void Repair::ask_for_hashes(const FolderReader& folder, Hashes hashes) {
  std::uint64_t bytes = 0;
  for (const JournalTrack& track : content_.tracks) bytes += track.record.bytes;
  if (hashes == Hashes::few && bytes > Recorder::kHashedAtOnce) return;
  for (const JournalTrack& track : content_.tracks) {
    if (!track.end || !folder.size(track.record.summary.path)) continue;
    out_.emplace_back(FileOp(HashFile{track.file}));
    ++hashes_awaited_;
  }
}

/// A piece is journaled when it is durable, so this finds something only where a disk has lied.
void Repair::drop_lost_pieces(JournalTrack& track, const FolderReader& folder) {
  const std::string& path = track.record.summary.path;
  const std::uint64_t size = folder.size(path).value_or(0);
  std::uint64_t good = track.record.bytes;
  for (auto piece = track.pieces.rbegin(); piece != track.pieces.rend(); ++piece) {
    const Extent& extent = piece->extent;
    if (extent.at + extent.size <= size) {
      const auto data = folder.read(path, extent.at, extent.size);
      if (data && sha256(*data) == extent.sha256) break;
    }
    good = extent.at;
  }
  if (good == track.record.bytes) return;
  content_.lost += words_of_lost(track, good);
  cut_track(track, good);
  journal_.cut(track.file, good);
}

void Repair::finish_track(JournalTrack& track, std::int64_t duration_ms) {
  TrackRecord& record = track.record;
  // A gap that was open goes on to the end. Where there was none nothing came any more; the newest may be over only just now.
  Gap last = track.open_gap.value_or(Gap{end_ms(track), 0, "silent", 0});
  if (!track.open_gap && !record.gaps.empty()) last.from_ms = std::max(last.from_ms, record.gaps.back().to_ms);
  last.to_ms = std::max(duration_ms, last.from_ms);
  if (track.open_gap || last.to_ms - last.from_ms > kSilentMs) {
    record.lost_packets += last.packets;
    record.gaps.push_back(last);
    journal_.gap(track.file, last);
  }
  TrackOutput output(track.file, out_, journal_, safekeeping_.sealer ? &*safekeeping_.sealer : nullptr);
  const auto file = resume_track_file(std::move(output), track);
  track.end = file->finish(milliseconds(duration_ms - record.summary.offset_ms));
  record.summary.duration_ms = rounded_ms(file->end());
  record.bytes = file->size();
  journal_.track_end(track.file, record, *track.end);
}

/// Its last lines may have been written and not yet synced. The manifest must not tell of what a power cut can still take.
void Repair::keep_journal() {
  out_.emplace_back(FileOp(ReopenFile{kJournalFile, std::string(kJournalName), content_.valid_bytes}));
  out_.emplace_back(FileOp(SyncFile{kJournalFile}));
  out_.emplace_back(FileOp(CloseFile{kJournalFile}));
}

void Repair::complete_journal(const FolderReader& folder, WallTime now) {
  out_.emplace_back(FileOp(ReopenFile{kJournalFile, std::string(kJournalName), content_.valid_bytes}));
  journal_.set_time(milliseconds(content_.last_ms));
  journal_.repair(now, content_.invalid_bytes, safekeeping_);
  if (content_.end) content_.end_before_repair = std::exchange(content_.end, std::nullopt);
  const auto& before = content_.end_before_repair;
  std::int64_t duration_ms = before ? before->duration_ms : content_.last_ms;
  for (JournalTrack& track : content_.tracks) {
    if (!track.end) drop_lost_pieces(track, folder);
    if (!before) duration_ms = std::max(duration_ms, end_ms(track));
  }
  for (JournalTrack& track : content_.tracks) {
    const std::string& path = track.record.summary.path;
    if (!track.end && !track.pieces.empty()) {
      finish_track(track, std::min(duration_ms, track.away_at_ms.value_or(duration_ms)));
    } else if (!track.end) {
      out_.emplace_back(FileOp(RemoveFile{path}));  // a head without media
    }
  }
  content_.repaired_at = now;
  ++content_.repairs;
  content_.end = before.value_or(JournalContent::End{0, {content_.info.started_at.unix_ms + duration_ms}, {}, {}, {}});
  content_.end->duration_ms = duration_ms;
  content_.end->state = "repaired";
  if (!content_.end->error) content_.end->error = failed_;
  journal_.end(duration_ms, content_.end->stopped_at, content_.end->state, content_.end->error, content_.end->drops);
  out_.emplace_back(FileOp(CloseFile{kJournalFile}));
  evidence_ = Evidence{journal_.lines(), journal_.head(), safekeeping_.signing};
}

std::optional<Output> Repair::poll_output() {
  if (out_.empty()) return std::nullopt;
  Output output = std::move(out_.front());
  out_.pop_front();
  return output;
}

void Repair::handle_hash(FileNumber file, const Sha256Digest& digest, Time) {
  if (hashes_awaited_ == 0 || file == 0 || file > content_.tracks.size()) return;
  content_.tracks[file - 1].record.summary.sha256 = to_hex(digest);
  if (--hashes_awaited_ == 0) close();
}

void Repair::close() {
  const JournalManifest manifest(content_);
  ManifestContent content = manifest.content;
  content.evidence = evidence_;
  out_.emplace_back(FileOp(ReplaceFile{"manifest.json", write_manifest(content)}));
  replacing_ = true;
}

void Repair::handle_replaced(Time) {
  if (!std::exchange(replacing_, false)) return;
  Finished finished{milliseconds(content_.end->duration_ms), {}, content_.end->error, {}};
  for (const JournalTrack& track : content_.tracks)
    if (track.end) finished.tracks.push_back(track.record.summary);
  out_.emplace_back(std::move(finished));
  out_.emplace_back(Closed{});
  closed_ = true;
}

void Repair::handle_storage_error(Error error, Time) {
  if (std::exchange(closed_, true)) return;
  out_.clear();
  failure_ = error;
  out_.emplace_back(Finished{Duration::zero(), {}, std::move(error), {}});
  out_.emplace_back(Closed{});
}

JournalManifest::JournalManifest(const JournalContent& journal) {
  content.info = journal.info;
  content.state = journal.end ? std::string_view(journal.end->state) : "recording";
  if (journal.end) {
    content.stopped_at = journal.end->stopped_at;
    content.duration_ms = journal.end->duration_ms;
    content.error = journal.end->error;
    content.drops = journal.end->drops;
  }
  for (const JournalTrack& track : journal.tracks)
    if (track.end) content.tracks.push_back(&track.record);
  for (const TrackRecord& feed : journal.feeds) content.list_if_without_media(feed);
  content.markers = journal.markers;
  content.encrypted = journal.key.has_value();
  content.evidence = Evidence{journal.lines, journal.head};
  if (!journal.repaired_at) return;
  std::string note = journal.end_before_repair ? "Its journal had ended, and no signature of that end was found: it is signed, if at all, as the repair found it."
                                               : "Cut off, and completed from its journal up to the last piece that was durable.";
  content.repaired = Repaired{*journal.repaired_at, journal.repairs, std::move(note) + journal.lost};
}

}  // namespace amphi::recording
