#include "server/export_tracks.h"

#include <algorithm>
#include <fstream>
#include <memory>

#include "recording/export_matroska.h"
#include "recording/export_tracks.h"
#include "recording/mp4_header.h"

namespace amphi::server {
namespace {

using recording::ExportFrames;
using recording::ExportPiece;
using recording::ExportPlan;
using recording::ExportTrack;
using recording::JournalTrack;
using recording::MatroskaExport;

MatroskaExport::Track described(const ExportTrack& track, const JournalTrack& first) {
  const ExportPiece& piece = track.pieces.front();
  MatroskaExport::Track described;
  described.name = piece.name;
  described.codec = piece.codec;
  described.width = first.first.width;
  described.height = first.first.height;
  if (piece.codec.name == rtp::CodecName::h264) described.avc = recording::avc_configuration(first.first);
  described.tags = {{"PARTICIPANT", piece.participant}, {"LABEL", piece.label}, {"FEED_ID", piece.feed.value}};
  return described;
}

/// The frames of one of the file's tracks, piece by piece, the next one at hand.
class Stream {
 public:
  explicit Stream(std::vector<ExportFrames> pieces) : pieces_(std::move(pieces)) {}
  Result<void> step() {
    for (frame_.reset(); piece_ < pieces_.size(); ++piece_) {
      auto next = pieces_[piece_].next();
      if (!next) return tl::unexpected(next.error());
      frame_ = *next;
      if (frame_) break;
    }
    return {};
  }
  const std::optional<ExportFrames::Frame>& frame() const { return frame_; }

 private:
  std::vector<ExportFrames> pieces_;
  std::size_t piece_ = 0;
  std::optional<ExportFrames::Frame> frame_;
};

bool earlier(const Stream& a, const Stream& b) {
  if (!a.frame() || !b.frame()) return a.frame().has_value();
  return a.frame()->decoded_ms < b.frame()->decoded_ms;
}

void write(std::ofstream& out, const Bytes& data) { out.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size())); }

/// All streams, each at its first frame, into one file, in the order of decoding.
Result<void> merge(std::vector<Stream> streams, MatroskaExport file, std::int64_t duration_ms, const std::string& output, const Cancelled& cancelled,
                   const std::function<void(double)>& tell) {
  const auto full = [&] { return fail(ErrorCode::storage, output + ": cannot be written (is the disk full?)"); };
  std::ofstream out(output, std::ios::binary);
  for (;;) {
    const auto next = std::min_element(streams.begin(), streams.end(), earlier);
    if (next == streams.end() || !next->frame()) break;
    const ExportFrames::Frame& frame = *next->frame();
    file.add(static_cast<std::size_t>(next - streams.begin()), frame.at_ms, frame.decoded_ms, frame.keyframe, frame.data);
    if (const Bytes data = file.take(); !data.empty()) {
      if (cancelled.load()) return fail(ErrorCode::internal, "cancelled");
      write(out, data);
      if (!out) return full();
      tell(std::min(1.0, static_cast<double>(frame.at_ms) / static_cast<double>(duration_ms)));
    }
    if (auto stepped = next->step(); !stepped) return stepped;
  }
  const MatroskaExport::End end = file.finish();
  write(out, end.rest);
  out.seekp(0);
  write(out, end.head);
  out.close();
  return out ? Result<void>{} : full();
}

}  // namespace

Result<RecordedTracks> RecordedTracks::open(const std::vector<recording::ExportSource>& sources, const Safe& safe) {
  RecordedTracks tracks;
  for (const auto& source : sources) {
    const runtime::Folder folder(source.folder);
    const std::string name(recording::kJournalName);
    const auto text = folder.read(name, 0, folder.size(name).value_or(0));
    auto journal = text ? recording::parse_journal(as_text(*text)) : tl::unexpected(text.error());
    if (!journal) return fail(ErrorCode::invalid_argument, source.folder + " has no " + name + " that holds: " + journal.error().message);
    std::optional<recording::Sealer> sealer;
    if (journal->key) {
      auto keeping = safe.for_existing(journal->key, journal->info);
      if (!keeping)
        return fail(keeping.error().code, source.folder + " is encrypted: give the key that it was recorded under with --recording-key. " + keeping.error().message);
      sealer = keeping->sealer;
    }
    tracks.recorded_.push_back({folder, std::move(*journal), std::move(sealer)});
  }
  return tracks;
}

Result<const JournalTrack*> RecordedTracks::track(const ExportPiece& piece) const {
  const auto& all = recorded_[piece.source].journal.tracks;
  const auto found = std::find_if(all.begin(), all.end(), [&](const JournalTrack& track) { return track.record.summary.path == piece.path; });
  if (found == all.end()) return fail(ErrorCode::storage, piece.file + " cannot be read: the recording's journal does not know it");
  return &*found;
}

recording::ExportRange RecordedTracks::from_keyframes(const ExportPlan& plan, recording::ExportRange range) const {
  std::int64_t early = 0;
  for (const ExportPiece& piece : plan.pictures) {
    const auto is_away = [](const auto& gap) { return gap.first <= 0 && gap.second > 0; };
    if (std::any_of(piece.absent_ms.begin(), piece.absent_ms.end(), is_away)) continue;  // it has no picture at that time
    const auto recorded = track(piece);
    const auto keyframe = recorded ? recording::keyframe_before(**recorded, piece.file_from_ms) : std::nullopt;
    if (keyframe) early = std::max(early, piece.file_from_ms - *keyframe);
  }
  range.from_ms = std::max<std::int64_t>(range.from_ms, 0) - early;
  return range;
}

Result<void> RecordedTracks::copy(const ExportPlan& plan, const std::string& comment, const std::string& output, const Cancelled& cancelled,
                                  const std::function<void(double)>& tell) const {
  MatroskaExport::Content content{{}, plan.chapters, plan.duration_ms, comment, plan.begun};
  std::vector<Stream> streams;
  for (const ExportTrack& made : recording::export_tracks(plan)) {
    std::vector<ExportFrames> pieces;
    const JournalTrack* first = nullptr;
    for (const ExportPiece& piece : made.pieces) {
      const auto recorded = track(piece);
      if (!recorded) return tl::unexpected(recorded.error());
      if (pieces.empty()) first = *recorded;
      const Recorded& from = recorded_[piece.source];
      ExportFrames::Read read = [&from, path = piece.path](const recording::Extent& extent) { return from.folder.read(path, extent.at, extent.size); };
      if (from.sealer)
        read = [reader = recording::TrackReader(from.folder, **recorded, *from.sealer)](const recording::Extent& extent) { return reader.read(extent.at, extent.size); };
      pieces.emplace_back(piece, **recorded, std::move(read));
    }
    Stream stream(std::move(pieces));
    if (auto stepped = stream.step(); !stepped) return stepped;
    if (!stream.frame()) continue;  // muted all the time: a track of nothing helps nobody
    content.tracks.push_back(described(made, *first));
    streams.push_back(std::move(stream));
  }
  if (streams.empty()) return fail(ErrorCode::invalid_argument, "Nobody sent anything in that time: there is nothing to show.");
  return merge(std::move(streams), MatroskaExport(std::move(content)), plan.duration_ms, output, cancelled, tell);
}

}  // namespace amphi::server
