#include "recording/matroska.h"

#include <chrono>

#include "recording/matroska_elements.h"

namespace amphi::recording {
namespace {

using namespace matroska;

constexpr std::size_t kSeekHeadBytes = 96;
constexpr std::size_t kDurationBytes = 11;

}  // namespace

WebmFile::WebmFile(TrackOutput output, std::string name, const rtp::Codec& codec, const Frame& first)
    : TrackFile(std::move(output)),
      codec_(codec),
      width_(first.width),
      height_(first.height),
      video_(codec.kind() == rtp::Kind::video) {
  output_.open(std::move(name), head(std::nullopt));
}

WebmFile::WebmFile(TrackOutput output, const JournalTrack& track)
    : TrackFile(std::move(output)),
      codec_(track.record.feed.codec),
      width_(track.first.width),
      height_(track.first.height),
      video_(codec_.kind() == rtp::Kind::video) {
  head(std::nullopt);  // for where things lie
  for (const Piece& piece : track.pieces) {
    add_cue(piece.from, piece.keyframe, piece.extent.at);
    end_ms_ = piece.to;
  }
  output_.reopen(track.record.summary.path, track.record.bytes);
}

Bytes WebmFile::head(const std::optional<Ending>& ending) {
  EbmlWriter out;
  write_ebml_head(out, "webm");
  out.id(kSegment);
  out.length(ending ? ending->size : EbmlWriter::kUnknownSize, 8);
  segment_data_ = out.size();

  EbmlWriter info;  // its place has to be known before it is written
  const auto info_at = info.begin(kInfo);
  info.unsigned_integer(kTimestampScale, 1'000'000);
  info.text(kMuxingApp, "amphi");
  info.text(kWritingApp, "amphi");
  if (ending)
    info.floating(kDurationId, static_cast<double>(ending->end_ms));
  else
    info.padding(kDurationBytes);
  info.end(info_at);

  if (ending)
    write_seek_head(out, {{kInfo, kSeekHeadBytes}, {kTracks, kSeekHeadBytes + info.size()}, {kCues, ending->cues}});
  out.padding(segment_data_ + kSeekHeadBytes - out.size());
  out.bytes(info.take());

  const auto tracks = out.begin(kTracks);
  const auto entry = out.begin(kTrackEntry);
  write_track_basics(out, 1, codec_);
  write_codec(out, codec_, width_, height_);
  out.end(entry);
  out.end(tracks);
  return out.take();
}

void WebmFile::add(Frame frame, std::int64_t time_ms, Time now) {
  const bool starts_cluster = video_ && frame.keyframe;
  if (cluster_ && (starts_cluster || milliseconds(time_ms - cluster_->time_ms) >= kSpan ||
                   cluster_->writer.size() + frame.data.size() > kMaxPieceBytes)) {
    write_cluster();
  }
  if (!cluster_) open_cluster(time_ms, frame.keyframe, now);
  ++cluster_->frames;
  EbmlWriter& out = cluster_->writer;
  out.id(kSimpleBlock);
  out.length(frame.data.size() + 4, 4);
  out.length(1, 1);  // the track
  out.number(static_cast<std::uint64_t>(time_ms - cluster_->time_ms), 2);
  out.number(frame.keyframe ? 0x80 : 0, 1);
  out.bytes(frame.data);
  end_ms_ = std::max(end_ms_, time_ms + 1);
}

void WebmFile::open_cluster(std::int64_t time_ms, bool keyframe, Time now) {
  cluster_.emplace(Cluster{{}, 0, time_ms, keyframe, 0, now});
  cluster_->master = cluster_->writer.begin(kCluster);
  cluster_->writer.unsigned_integer(kTimestamp, static_cast<std::uint64_t>(time_ms));
}

void WebmFile::add_cue(std::int64_t time_ms, bool keyframe, std::uint64_t at) {
  const std::int64_t apart = video_ ? 1'000 : 5'000;  // an hour's cues stay small
  if (keyframe && (cues_.empty() || time_ms - cues_.back().time_ms >= apart)) cues_.push_back({time_ms, at - segment_data_});
}

void WebmFile::write_cluster() {
  if (!cluster_) return;
  add_cue(cluster_->time_ms, cluster_->keyframe, output_.size());
  cluster_->writer.end(cluster_->master);
  output_.piece(cluster_->writer.take(), {{}, cluster_->time_ms, end_ms_, cluster_->frames, cluster_->keyframe});
  cluster_.reset();
}

void WebmFile::handle_timeout(Time now) {
  if (now >= next_timeout()) write_cluster();
}

Bytes WebmFile::cues() const {
  EbmlWriter out;
  const auto cues = out.begin(kCues);
  for (const Cue& cue : cues_) {
    const auto point = out.begin(kCuePoint);
    out.unsigned_integer(kCueTime, static_cast<std::uint64_t>(cue.time_ms));
    const auto positions = out.begin(kCueTrackPositions);
    out.unsigned_integer(kCueTrack, 1);
    out.unsigned_integer(kCueClusterPosition, cue.position);
    out.end(positions);
    out.end(point);
  }
  out.end(cues);
  return out.take();
}

TrackEnd WebmFile::finish(Duration duration) {
  write_cluster();
  end_ms_ = std::max(end_ms_, rounded_ms(duration));
  Bytes tail = cues();
  const std::uint64_t position = output_.size() - segment_data_;
  Bytes anew = head(Ending{end_ms_, position, position + tail.size()});
  return output_.finish(std::move(tail), std::move(anew));
}

}  // namespace amphi::recording
