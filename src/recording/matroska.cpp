#include "recording/matroska.h"

#include <chrono>

namespace amphi::recording {
namespace {

// Element ids (RFC 9559 5.1, RFC 8794 11.2).
enum Id : std::uint32_t {
  kEbml = 0x1a45dfa3,
  kEbmlVersion = 0x4286,
  kEbmlReadVersion = 0x42f7,
  kEbmlMaxIdLength = 0x42f2,
  kEbmlMaxSizeLength = 0x42f3,
  kDocType = 0x4282,
  kDocTypeVersion = 0x4287,
  kDocTypeReadVersion = 0x4285,
  kSegment = 0x18538067,
  kSeekHead = 0x114d9b74,
  kSeek = 0x4dbb,
  kSeekId = 0x53ab,
  kSeekPosition = 0x53ac,
  kInfo = 0x1549a966,
  kTimestampScale = 0x2ad7b1,
  kDurationId = 0x4489,
  kMuxingApp = 0x4d80,
  kWritingApp = 0x5741,
  kTracks = 0x1654ae6b,
  kTrackEntry = 0xae,
  kTrackNumber = 0xd7,
  kTrackUid = 0x73c5,
  kTrackType = 0x83,
  kFlagLacing = 0x9c,
  kCodecId = 0x86,
  kCodecPrivate = 0x63a2,
  kCodecDelay = 0x56aa,
  kSeekPreRoll = 0x56bb,
  kVideo = 0xe0,
  kPixelWidth = 0xb0,
  kPixelHeight = 0xba,
  kAudio = 0xe1,
  kSamplingFrequency = 0xb5,
  kChannels = 0x9f,
  kCluster = 0x1f43b675,
  kTimestamp = 0xe7,
  kSimpleBlock = 0xa3,
  kCues = 0x1c53bb6b,
  kCuePoint = 0xbb,
  kCueTime = 0xb3,
  kCueTrackPositions = 0xb7,
  kCueTrack = 0xf7,
  kCueClusterPosition = 0xf1,
};

constexpr std::size_t kSeekHeadBytes = 96;
constexpr std::size_t kDurationBytes = 11;
constexpr std::uint16_t kOpusPreSkip = 312;  // libopus's look-ahead, 6.5 ms

Bytes opus_head(std::uint8_t channels) {  // RFC 7845 5.1
  Bytes head = to_bytes(as_bytes("OpusHead"));
  const std::uint8_t rest[] = {1, channels, kOpusPreSkip & 0xff, kOpusPreSkip >> 8, 0x80, 0xbb, 0, 0, 0, 0, 0};
  for (const std::uint8_t byte : rest) head.push_back(std::byte{byte});
  return head;
}

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
  const auto ebml = out.begin(kEbml);
  out.unsigned_integer(kEbmlVersion, 1);
  out.unsigned_integer(kEbmlReadVersion, 1);
  out.unsigned_integer(kEbmlMaxIdLength, 4);
  out.unsigned_integer(kEbmlMaxSizeLength, 8);
  out.text(kDocType, "webm");
  out.unsigned_integer(kDocTypeVersion, 4);
  out.unsigned_integer(kDocTypeReadVersion, 2);
  out.end(ebml);

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

  if (ending) {
    const std::pair<std::uint32_t, std::uint64_t> places[] = {
        {kInfo, kSeekHeadBytes}, {kTracks, kSeekHeadBytes + info.size()}, {kCues, ending->cues}};
    const auto seek_head = out.begin(kSeekHead);
    for (const auto& [element, position] : places) {
      const auto seek = out.begin(kSeek);
      EbmlWriter id;
      id.id(element);
      out.binary(kSeekId, id.take());
      out.unsigned_integer(kSeekPosition, position);
      out.end(seek);
    }
    out.end(seek_head);
  }
  out.padding(segment_data_ + kSeekHeadBytes - out.size());
  out.bytes(info.take());

  const auto tracks = out.begin(kTracks);
  write_track_entry(out);
  out.end(tracks);
  return out.take();
}

void WebmFile::write_track_entry(EbmlWriter& out) const {
  const auto entry = out.begin(kTrackEntry);
  out.unsigned_integer(kTrackNumber, 1);
  out.unsigned_integer(kTrackUid, 1);
  out.unsigned_integer(kTrackType, video_ ? 1 : 2);
  out.unsigned_integer(kFlagLacing, 0);
  if (video_) {
    out.text(kCodecId, "V_VP8");
    const auto video = out.begin(kVideo);
    out.unsigned_integer(kPixelWidth, width_);
    out.unsigned_integer(kPixelHeight, height_);
    out.end(video);
  } else {
    const std::uint8_t channels = codec_.channels == 1 ? 1 : 2;
    out.text(kCodecId, "A_OPUS");
    out.binary(kCodecPrivate, opus_head(channels));
    out.unsigned_integer(kCodecDelay, std::uint64_t{kOpusPreSkip} * 1'000'000'000 / 48'000);
    out.unsigned_integer(kSeekPreRoll, 80'000'000);
    const auto audio = out.begin(kAudio);
    out.floating(kSamplingFrequency, 48'000);
    out.unsigned_integer(kChannels, channels);
    out.end(audio);
  }
  out.end(entry);
}

void WebmFile::add(Frame frame, Duration time, Time now) {
  const std::int64_t time_ms = std::max(rounded_ms(time), last_ms_ + 1);
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
  last_ms_ = time_ms;
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
