// What a TruthWorld's recording holds, frame by frame, against what its feeds brought and its sink dropped.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "recording/inspect.h"
#include "recording/test_containers.h"
#include "tests/simulation/truth_world.h"

namespace amphi::services::simulation {

namespace rec = amphi::recording;
using testing::MediaLedger;

namespace {

/// Read back from the bytes.
std::vector<MediaLedger::FileFrame> frames_of(const testing::DurableFolder& durable, const rec::JournalTrack& track) {
  std::vector<MediaLedger::FileFrame> frames;
  const rec::TrackSummary& summary = track.record.summary;
  for (const rec::Piece& piece : track.pieces) {
    const auto data = durable.read(summary.path, piece.extent.at, piece.extent.size);
    const auto inside = data ? rec::frames_of_piece(summary.codec.name, *data) : std::nullopt;
    if (!inside) continue;
    for (const rec::PieceFrame& frame : *inside)
      frames.push_back({rec::test::last_number(frame.data), summary.offset_ms + frame.time * 1000 / rec::ticks_per_second(summary.codec.name)});
  }
  return frames;
}

}  // namespace

void TruthWorld::check_media(Recorded& folder) {
  const testing::DurableFolder durable(folder.disk);
  const auto manifest = nlohmann::json::parse(as_text(folder.disk.durable("manifest.json")));
  rec::JournalReader journal;
  journal.read(as_text(folder.disk.durable(std::string(rec::kJournalName))));
  require(manifest["preRollMs"] == to_ms(folder.asked_at - folder.begins_at), "another pre-roll in the manifest than there is");
  for (const auto& source : sources_) {
    MediaLedger::Recorded file{folder.begins_at, Time::max() - 1s, {}, {}, manifest["state"] == "complete"};
    if (folder.job->failed && folder.job->intake) file.end = folder.job->take().reached();  // what was waited for then is given up
    if (file.whole) file.end = folder.begins_at + milliseconds(manifest["durationMs"].get<std::int64_t>());
    for (const rec::JournalTrack& track : journal.content().tracks) {
      if (track.record.feed.id.value != source->sender.id || !track.end) continue;
      file.frames = frames_of(durable, track);
      file.gaps = track.record.gaps;
    }
    if (const std::string broken = source->ledger.compare(file); !broken.empty()) require(false, folder.id.value + ", " + source->sender.id + ": " + broken);
    if (!file.whole || file.frames.empty()) continue;
    for (const auto& track : manifest["tracks"])
      if (track["feedId"] == source->sender.id) check_counts(folder, *source, file, track);
  }
  if (folder.dropped) ++truth_.overflowed;
}

/// Every packet that came is told of: as a frame, as left out, or as dropped before the recorder.
void TruthWorld::check_counts(Recorded& folder, const Source& source, const MediaLedger::Recorded& file, const nlohmann::json& track) {
  const std::uint32_t first = file.frames.front().number;
  const Time tap_ended_at = folder.tap_ended_at.value_or(Time::max() - 1s);
  const auto least = source.ledger.count(file.start, file.end, first);
  const auto most = source.ledger.count(file.start - 1ns, tap_ended_at, 0);  // what came in an earlier stay without a track is carried over
  const auto packets = track["packets"].get<std::uint64_t>();
  const std::string which = folder.id.value + ", " + source.sender.id + ": ";
  require(least.accepted <= packets && packets <= most.accepted, which + std::to_string(packets) + " packets, and " + std::to_string(most.accepted) + " came");
  std::uint64_t told = file.frames.size();
  for (const char* why : {"late_packet", "duplicate_packet", "empty_payload", "malformed_packet", "incomplete_frame", "frame_before_keyframe", "oversized_frame", "invalid_frame", "missing_parameter_set", "unsupported_packetization",
                          "no_picture"})
    told += track["dropped"].value(why, std::uint64_t{0});
  require(packets == told, which + std::to_string(packets) + " packets, of which " + std::to_string(told) + " are told of");
  const auto overflow = track["overflowPackets"].get<std::uint64_t>();
  const std::uint64_t all = source.ledger.count(file.start - 1ns, tap_ended_at, 0).dropped;
  require(least.dropped <= overflow && overflow <= all, which + std::to_string(overflow) + " packets are said to have been dropped, of " + std::to_string(least.dropped) + " to " + std::to_string(all));
}

}  // namespace amphi::services::simulation
