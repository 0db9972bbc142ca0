// A WebM file of one track (RFC 9559, the WebM subset): VP8 or Opus. While it grows it is a valid live WebM: the
// Segment's size is unknown, every Cluster is written whole and synced. At the end Cues follow, and the head is written
// anew with SeekHead, Duration and the Segment's size in the places kept for them. Times are in milliseconds. Thread: the recorder's.
#pragma once

#include <optional>
#include <vector>

#include "recording/ebml.h"
#include "recording/track.h"

namespace amphi::recording {

class WebmFile final : public TrackFile {
 public:
  WebmFile(TrackOutput output, std::string name, const rtp::Codec& codec, const Frame& first);
  WebmFile(TrackOutput output, const JournalTrack& track);

  void add(Frame frame, std::int64_t at, Time now) override;
  void handle_timeout(Time now) override;
  Time next_timeout() const override { return cluster_ ? cluster_->opened + kSpan : Time::max(); }
  TrackEnd finish(Duration duration) override;
  Duration end() const override { return milliseconds(end_ms_); }

 private:
  struct Cluster {
    EbmlWriter writer;
    EbmlWriter::Master master;
    std::int64_t time_ms;
    bool keyframe;
    std::uint64_t frames;
    Time opened;
  };
  struct Cue {
    std::int64_t time_ms;
    std::uint64_t position;  // of its cluster, from the Segment's data
  };
  struct Ending {
    std::int64_t end_ms;
    std::uint64_t cues;  // where they lie, from the Segment's data
    std::uint64_t size;  // of the Segment's data
  };

  /// nullopt: a live file's.
  Bytes head(const std::optional<Ending>& ending);
  void open_cluster(std::int64_t time_ms, bool keyframe, Time now);
  void write_cluster();
  void add_cue(std::int64_t time_ms, bool keyframe, std::uint64_t at);
  Bytes cues() const;

  rtp::Codec codec_;
  std::uint32_t width_;
  std::uint32_t height_;
  bool video_;
  std::uint64_t segment_data_ = 0;  // where the Segment's data begin in the file
  std::optional<Cluster> cluster_;
  std::vector<Cue> cues_;
  std::int64_t end_ms_ = 0;
};

}  // namespace amphi::recording
