#include "recording/export_tracks.h"

#include <algorithm>

namespace amphi::recording {
namespace {

std::int64_t in_ms(std::int64_t ticks, rtp::CodecName codec) {
  const std::int64_t scale = ticks_per_second(codec);
  return (ticks * 1000 + scale / 2) / scale;
}

/// A decoder that had one can go on with the other: H.264 has its parameter sets in front of each keyframe, VP8 its size in it.
bool goes_on(const ExportTrack& track, const ExportPiece& piece) {
  const ExportPiece& last = track.pieces.back();
  return last.codec.name == piece.codec.name && last.codec.channels == piece.codec.channels && last.at_ms + last.duration_ms <= piece.at_ms;
}

bool of_one_name(const ExportPiece& a, const ExportPiece& b) { return a.participant == b.participant && a.label == b.label; }

}  // namespace

std::vector<ExportTrack> export_tracks(const ExportPlan& plan) {
  std::vector<ExportTrack> tracks;
  for (const auto* kind : {&plan.pictures, &plan.sounds}) {
    for (const ExportPiece& piece : *kind) {
      const auto where = [&](auto same) {
        return std::find_if(tracks.begin(), tracks.end(), [&](const ExportTrack& track) { return goes_on(track, piece) && same(track.pieces.back(), piece); });
      };
      auto found = where([](const ExportPiece& a, const ExportPiece& b) { return a.feed == b.feed; });
      if (found == tracks.end()) found = where(of_one_name);
      if (found == tracks.end()) found = tracks.insert(tracks.end(), ExportTrack{});
      found->pieces.push_back(piece);
    }
  }
  return tracks;
}

std::optional<std::int64_t> keyframe_before(const JournalTrack& track, std::int64_t at_ms) {
  std::optional<std::int64_t> last;
  for (const Piece& piece : track.pieces) {  // each keyframe of a picture begins one
    const std::int64_t from = in_ms(piece.from, track.record.feed.codec.name);
    if (from > at_ms) break;
    if (piece.keyframe) last = from;
  }
  return last;
}

ExportFrames::ExportFrames(const ExportPiece& piece, const JournalTrack& track, Read read) : piece_(piece), track_(&track), read_(std::move(read)) {
  const auto begins_by_then = [&](const Piece& one) { return in_ms(one.from, piece_.codec.name) <= piece_.file_from_ms; };
  const auto& all = track.pieces;
  while (next_piece_ + 1 < all.size() && begins_by_then(all[next_piece_ + 1])) ++next_piece_;
}

Result<bool> ExportFrames::read_piece() {
  if (next_piece_ == track_->pieces.size()) return false;
  const Piece& piece = track_->pieces[next_piece_++];
  auto data = read_(piece.extent);
  if (!data) return tl::unexpected(data.error());
  data_ = std::move(*data);
  auto frames = frames_of_piece(piece_.codec.name, data_);
  if (!frames) return fail(ErrorCode::storage, piece_.file + ": what lies at " + std::to_string(piece.extent.at) + " is not what was written");
  frames_ = std::move(*frames);
  next_frame_ = 0;
  return true;
}

Result<std::optional<ExportFrames::Frame>> ExportFrames::next() {
  for (;;) {
    while (next_frame_ == frames_.size()) {
      const auto more = read_piece();
      if (!more) return tl::unexpected(more.error());
      if (!*more) return std::nullopt;
    }
    const PieceFrame& frame = frames_[next_frame_++];
    const std::int64_t at = in_ms(frame.time, piece_.codec.name);
    const std::int64_t decoded = std::clamp(in_ms(frame.decoded, piece_.codec.name), piece_.file_from_ms, std::max(at, piece_.file_from_ms));
    if (piece_.file_to_ms && decoded >= *piece_.file_to_ms) {
      next_piece_ = track_->pieces.size();
      next_frame_ = frames_.size();
      continue;
    }
    begun_ = begun_ || (frame.keyframe && at >= piece_.file_from_ms);
    if (begun_) return Frame{piece_.at_ms + at - piece_.file_from_ms, piece_.at_ms + decoded - piece_.file_from_ms, frame.keyframe, frame.data};
  }
}

}  // namespace amphi::recording
