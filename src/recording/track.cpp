#include "recording/track.h"

#include "recording/matroska.h"
#include "recording/mp4.h"

namespace amphi::recording {

Extent TrackOutput::write(std::uint64_t at, Bytes data) {
  Extent extent{at, data.size(), {}, std::nullopt};
  if (sealer_ != nullptr) extent.seal = sealer_->seal(data);
  extent.sha256 = sha256(data);
  if (!data.empty()) out_.emplace_back(FileOp(WriteFile{file_, at, std::move(data)}));
  return extent;
}

void TrackOutput::open(std::string name, Bytes head) {
  out_.emplace_back(FileOp(OpenFile{file_, std::move(name)}));
  size_ = head.size();
  head_ = write(0, std::move(head));
  out_.emplace_back(FileOp(SyncFile{file_}));
}

void TrackOutput::reopen(std::string name, std::uint64_t size) {
  out_.emplace_back(FileOp(ReopenFile{file_, std::move(name), size}));
  size_ = size;
}

void TrackOutput::piece(Bytes data, Piece piece) {
  const std::uint64_t at = std::exchange(size_, size_ + data.size());
  piece.extent = write(at, std::move(data));
  out_.emplace_back(FileOp(SyncFile{file_}));
  journal_.piece(file_, piece);
}

TrackEnd TrackOutput::finish(Bytes tail, Bytes head) {
  TrackEnd end;
  const std::uint64_t at = std::exchange(size_, size_ + tail.size());
  end.tail = write(at, std::move(tail));
  out_.emplace_back(FileOp(SyncFile{file_}));
  end.head = head_ = write(0, std::move(head));
  out_.emplace_back(FileOp(SyncFile{file_}));
  out_.emplace_back(FileOp(CloseFile{file_}));
  return end;
}

std::string_view file_extension(rtp::CodecName codec) {
  return codec == rtp::CodecName::h264 ? ".mp4" : ".webm";
}

std::unique_ptr<TrackFile> make_track_file(TrackOutput output, std::string name, const rtp::Codec& codec, const Frame& first) {
  if (codec.name == rtp::CodecName::h264) return std::make_unique<Mp4File>(std::move(output), std::move(name), first);
  return std::make_unique<WebmFile>(std::move(output), std::move(name), codec, first);
}

std::unique_ptr<TrackFile> resume_track_file(TrackOutput output, const JournalTrack& track) {
  if (track.record.feed.codec.name == rtp::CodecName::h264) return std::make_unique<Mp4File>(std::move(output), track);
  return std::make_unique<WebmFile>(std::move(output), track);
}

}  // namespace amphi::recording
