// What a TruthWorld compares: what clients show, with what is durable on the disk.
#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "recording/inspect.h"
#include "recording/verify.h"
#include "tests/simulation/truth_world.h"

namespace amphi::services::simulation {

namespace rec = amphi::recording;

namespace {

constexpr Duration kCrossing = 5ms;   // from a thread to another
constexpr Duration kSeen = 250ms;     // between two steps, at most
constexpr Duration kRound = 25ms;     // a writer looks at what is there; packets that were turned round
constexpr int kOperations = 40;       // of a round, at most, when all is well

bool is_slow(const RecordingState& shown) { return shown.warning() && shown.warning()->code == "storage_slow"; }

}  // namespace

Duration TruthWorld::lag() const { return kCrossing + kRound + kOperations * slowness_; }

// ------------------------------------------------------------------------------------------------------------ reading back

void TruthWorld::read_back(Recorded& folder) {
  if (folder.sealed) {
    require(*folder.sealed == folder.disk.operations(), "something was written to a recording that is over");
    return;
  }
  if (std::exchange(folder.read_at, folder.disk.syncs()) == folder.disk.syncs()) return;
  folder.journal.read(as_text(folder.disk.durable(std::string(rec::kJournalName))));
  folder.manifest_seen = folder.manifest_seen || rec::parse_manifest(as_text(folder.disk.durable("manifest.json"))).has_value();
  require(folder.journal.content().invalid_bytes == 0, "the journal does not hold");
  for (std::size_t track = 0; track < folder.journal.content().tracks.size(); ++track) read_pieces(folder, track);
}

void TruthWorld::read_pieces(Recorded& folder, std::size_t index) {
  const rec::JournalTrack& track = folder.journal.content().tracks[index];
  const rec::TrackSummary& summary = track.record.summary;
  folder.pieces.resize(std::max(folder.pieces.size(), index + 1));
  for (std::size_t& read = folder.pieces[index]; read < track.pieces.size(); ++read) {
    const rec::Piece& piece = track.pieces[read];
    const auto data = testing::DurableFolder(folder.disk).read(summary.path, piece.extent.at, piece.extent.size);
    require(data && sha256(*data) == piece.extent.sha256, "the journal tells of bytes that are not durable");
    const auto inside = data ? rec::inspect_piece(summary.codec.name, *data) : std::nullopt;
    require(inside && inside->frames == piece.frames, "a piece that does not hold what the journal says");
    const std::int64_t end_ms = summary.offset_ms + piece.to * 1000 / rec::ticks_per_second(summary.codec.name);
    folder.media_end_ms = std::max(folder.media_end_ms, end_ms);
    folder.piece_at = now_;
    ++truth_.pieces;
  }
}

// ------------------------------------------------------------------------------------------------------------ after every step

void TruthWorld::stepped() {
  if (const auto since = writer_.busy_since(); since && now_ - *since > rec::StorageWatch::kStuck) stuck_at_ = now_;
  if (!server_) return;
  for (const auto& folder : folders_) {
    read_back(*folder);
    check_reserve(*folder);
  }
  // A recording that nobody is told of is one that is being repaired.
  if (stage_ == Stage::off)
    for (const Job& job : writer_.jobs()) require(job->is_over() || job->failed, "off, and something is being recorded");
  for (const auto& folder : folders_)
    if (folder->over && folder->job->is_over() && !folder->sealed && folder->epoch == server_epoch_) seal(*folder);
  const RecordingSnapshot said = server_->snapshot(now_);
  if (Recorded* folder = said.warning() && said.warning()->code == "storage_low" ? find(said.recording_id) : nullptr) folder->low_said = true;
  for (const auto& member : members_)
    if (broken_.empty() && is_current(*member)) check_shown(*member, said);
}

/// Nothing will be written any more.
void TruthWorld::seal(Recorded& folder) {
  folder.sealed = folder.disk.operations();
  const auto manifest = nlohmann::json::parse(as_text(folder.disk.durable("manifest.json")), nullptr, false);
  if (!manifest.is_object()) return;
  folder.state = manifest.value("state", "");
  folder.error = manifest.contains("error");
}

void TruthWorld::check_shown(const Member& member, const RecordingSnapshot& said) {
  const RecordingState shown = member.client->state(now_);
  require(shown.on == said.on && shown.revision == said.revision && shown.recording_id == said.recording_id && shown.waiting_for_media == said.waiting_for_media &&
              shown.warnings == said.warnings && shown.feeds == said.feeds && (shown.error || !said.error),
          "a client that has heard all shows something else");
  // What was asked for here may have been refused since; but what came before the failure does not hide it.
  require(!said.error || member.told_error == said.error, "told of a recording that has failed with another error than its own");
  require(shown.pre_roll_ms == to_ms(pre_roll_), "another pre-roll is shown than the one that is kept");
  if (!shown.on) return check_off(shown, said);
  Recorded* folder = find(shown.recording_id);
  require(folder != nullptr, "on, and there is no recording");
  if (folder) check_on(shown, said, *folder);
}

void TruthWorld::check_on(const RecordingState& shown, const RecordingSnapshot& said, Recorded& folder) {
  require(folder.journal.content().lines > 0 && folder.manifest_seen, "on, and the recording is not durable");
  require(folder.journal.content().info.id.value == shown.recording_id, "on, and the journal is another recording's");
  require(!said.error, "on, with the error of a recording");
  const auto busy = writer_.busy_since();
  const bool slow = is_slow(shown);
  if (slow) {
    ++truth_.slow;
    require(now_ - stuck_at_ <= rec::StorageWatch::kLookEvery + kSeen, "a disk that answers is said not to");
  }
  const bool stuck = busy && now_ - std::max(*busy, folder.asked_at) > rec::StorageWatch::kStuck + rec::StorageWatch::kLookEvery + kCrossing;
  require(slow || !stuck, "on, and nobody is told that the disk does not answer");
  check_space(shown, folder);
  if (said.phase != Phase::recording) return;  // what is there is being completed
  const std::int64_t here_ms = said.total_ms - folder.before.total_ms;
  require(here_ms == to_ms(now_ - folder.begins_at), "said to last for " + std::to_string(here_ms) + " ms, and it began " + std::to_string(to_ms(now_ - folder.begins_at)) + " ms ago");
  const Duration since_piece = folder.piece_at ? now_ - *folder.piece_at : Duration::max();
  if (!shown.waiting_for_media) {
    ++truth_.writing;
    // A disk that has stood still for less than what is told of may have kept the recorder from saying so.
    const bool stood_still = now_ < stood_still_ + rec::Recorder::kSilence;
    const Duration unheard = stood_still ? rec::StorageWatch::kStuck + rec::StorageWatch::kLookEvery : Duration::zero();
    const bool answers_again = now_ <= stood_still_ + lag();  // and the recorder is about to say so
    require(slow || answers_again || since_piece <= rec::Recorder::kSilence + lag() + unheard, "on, and for some time nothing has been written");
  } else if (folder.piece_at && since_piece > kCrossing && !(busy && *busy <= *folder.piece_at) && now_ - writer_.last_round() > kCrossing) {
    // What the writer's round has made of it is known, and told.
    ++truth_.waiting;
    const Duration since_media = now_ - folder.job->start - milliseconds(folder.media_end_ms);
    if (since_media < rec::Recorder::kSilence - lag())
      require(false, "waiting for media, and media of " + std::to_string(to_ms(since_media)) + " ms ago has been durable for " + std::to_string(to_ms(since_piece)) + " ms");
  } else if (!folder.piece_at) {
    ++truth_.waiting;
  }
}

void TruthWorld::check_off(const RecordingState& shown, const RecordingSnapshot& said) {
  ++truth_.off;
  require(!shown.waiting_for_media && !shown.warning(), "off, and yet waiting or warned");
  Recorded* folder = find(shown.recording_id);
  if (!folder || !folder->sealed || folder->epoch != server_epoch_ || stage_ != Stage::off) return;
  require(!folder->job->full_at || (said.error && said.error->code == ErrorCode::storage && shown.error), "ended for want of space, and that is not shown");
  if (said.error) {
    ++truth_.errors;
    // Where only the last manifest failed, everything was there already.
    require(folder->state != "complete" || folder->ended, "an error, and the recording is complete");
  } else {
    require(folder->state == "complete" && !folder->error, "no error, and the recording is not complete");
  }
}

// ------------------------------------------------------------------------------------------------------------ when it is over

/// Before anybody is told.
void TruthWorld::check_complete(Recorded& folder) {
  read_back(folder);
  const auto manifest = rec::parse_manifest(as_text(folder.disk.durable("manifest.json")));
  require(manifest && manifest->state == "complete", "the end is confirmed before the manifest says so");
  require(folder.job->closed, "the end is confirmed before it is over");
  if (!manifest) return;
  require(folder.stop_at && manifest->duration_ms == to_ms(*folder.stop_at - folder.begins_at), "it does not last until it was asked to stop");
  check_sound(folder);
  check_markers(folder);
}

/// By the files alone, as a power cut would leave them.
void TruthWorld::check_sound(Recorded& folder) {
  const testing::DurableFolder durable(folder.disk);
  const rec::VerifyReport report = rec::verify(durable, {});
  for (const rec::Finding& finding : report.findings) require(false, folder.id.value + "/" + finding.file + ": " + finding.what);
  const auto manifest = rec::parse_manifest(as_text(folder.disk.durable("manifest.json")));
  if (!manifest || !report.sound()) return;
  rec::JournalReader journal;
  journal.read(as_text(folder.disk.durable(std::string(rec::kJournalName))));
  for (const rec::JournalTrack& track : journal.content().tracks) truth_.gaps += track.record.gaps.size();
  for (const rec::VerifiedTrack& track : report.tracks) truth_.frames += track.frames;
  for (const auto& track : manifest->tracks) {
    require(track.offset_ms + track.duration_ms <= manifest->duration_ms + 250, "a file lasts longer than its recording");
    require(track.sha256.size() == 64, "a track without its hash");
  }
  check_media(folder);
}

void TruthWorld::check_markers(Recorded& folder) {
  const auto& written = folder.journal.content().markers;
  for (const Marker& marker : folder.told) {
    const bool found = std::any_of(written.begin(), written.end(), [&](const rec::Marker& m) { return m.label == marker.label && m.at_ms == marker.at_ms && m.by == marker.by; });
    require(found, "a marker that was told is not in the journal");
    ++truth_.markers;
  }
}

/// Repaired, or as it was.
void TruthWorld::check_left(Recorded& folder) {
  if (!folder.disk.size("manifest.json")) return require(!folder.on, "on once, and nothing is there");
  folder.journal = {};
  folder.journal.read(as_text(folder.disk.durable(std::string(rec::kJournalName))));
  check_sound(folder);
  const auto manifest = rec::parse_manifest(as_text(folder.disk.durable("manifest.json")));
  if (!manifest || !folder.on || !folder.left_at) return;
  const std::int64_t there_ms = to_ms(std::min(*folder.left_at, folder.stop_at.value_or(Time::max())) - folder.job->start);
  const std::int64_t lost_ms = there_ms - manifest->duration_ms;
  const std::int64_t may_ms = 1000 + to_ms(lag() + folder.stood_still);
  require(lost_ms <= may_ms, "lost " + std::to_string(lost_ms) + " ms");
  for (const Marker& marker : folder.told) {
    const auto& written = folder.journal.content().markers;
    if (marker.at_ms + may_ms > manifest->duration_ms) continue;
    require(std::any_of(written.begin(), written.end(), [&](const rec::Marker& m) { return m.label == marker.label && m.at_ms == marker.at_ms; }),
            "a marker that was told long before is not in the journal");
  }
}

void TruthWorld::hear_marker(const Marker& marker) {
  World::hear_marker(marker);
  Recorded* folder = find(marker.recording_id);
  require(folder != nullptr, "a marker of no recording");
  if (!folder || std::any_of(folder->told.begin(), folder->told.end(), [&](const Marker& m) { return m.index == marker.index; })) return;
  folder->told.push_back(marker);
  if (folder->sealed && folder->epoch == server_epoch_ && !folder->job->failed) check_markers(*folder);
}

/// Everything is ended, and what the files hold is what everybody shows.
void TruthWorld::look_back() {
  server_->request_recording(false, "rest", now_);
  serve_outputs();
  step_until(now_ + 5s);
  require(stage_ == Stage::off, "it does not end");
  repair_all();
  std::int64_t files_ms = 0, manifests_ms = 0, lost_ms = 0;
  for (const auto& folder : folders_) {
    const auto manifest = rec::parse_manifest(as_text(folder->disk.durable("manifest.json")));
    if (!manifest || (folder->epoch == server_epoch_ && !folder->on)) continue;  // nobody was ever told of it
    manifests_ms += manifest->duration_ms;
    // What was shown is not taken back, though the disk did not take it.
    if (folder->epoch == server_epoch_ && folder->on && folder->job->failed)
      lost_ms += std::max<std::int64_t>(0, to_ms(*folder->left_at - folder->job->start) - manifest->duration_ms);
    std::int64_t longest = 0;
    bool to_the_end = false;
    for (const auto& track : manifest->tracks) {
      const auto& data = folder->disk.durable(track.path);
      longest = std::max(longest, track.offset_ms + rec::inspect_duration(track.codec.name, data).value_or(0));
      to_the_end = to_the_end || track.offset_ms + track.duration_ms + 5 >= manifest->duration_ms;
    }
    files_ms += to_the_end ? longest : manifest->duration_ms;  // a recording outlasts its last feed
  }
  require(std::abs(files_ms - manifests_ms) <= 250, "the files last " + std::to_string(files_ms) + " ms, the manifests say " + std::to_string(manifests_ms));
  const RecordingSnapshot said = server_->snapshot(now_);
  require(said.total_ms >= manifests_ms, "the total is less than what is there");
  require(said.total_ms <= manifests_ms + lost_ms, "the total is " + std::to_string(said.total_ms) + " ms, the manifests say " + std::to_string(manifests_ms));
  for (const auto& member : members_) {
    const std::int64_t shown = member->client->state(now_).total_running_duration_ms(now_);
    require(shown >= said.total_ms, "a client shows less than what is there");
  }
}

}  // namespace amphi::services::simulation
