// A WebM file of one track (RFC 9559, the WebM subset): VP8 or Opus. While it grows it is a valid live WebM: the
// Segment's size is unknown, every Cluster is written whole and synced. At the end Cues follow, and SeekHead, Duration
// and the Segment's size are written into the places kept for them. Times are in milliseconds. Thread: the recorder's.
#pragma once

#include <optional>
#include <vector>

#include "recording/ebml.h"
#include "recording/track.h"

namespace amphi::recording {

class WebmFile final : public TrackFile {
 public:
  WebmFile(FileAppender file, std::string name, const rtp::Codec& codec, const Frame& first);

  void add(Frame frame, Duration time, Time now) override;
  void handle_timeout(Time now) override;
  Time next_timeout() const override { return cluster_ ? cluster_->opened + kSpan : Time::max(); }
  void finish(Duration duration) override;
  Duration end() const override { return milliseconds(end_ms_); }

 private:
  struct Cluster {
    EbmlWriter writer;
    EbmlWriter::Master master;
    std::int64_t time_ms;
    Time opened;
  };
  struct Cue {
    std::int64_t time_ms;
    std::uint64_t position;  // of its cluster, from the Segment's data
  };

  void write_header(const rtp::Codec& codec, const Frame& first);
  void write_track_entry(EbmlWriter& out, const rtp::Codec& codec, const Frame& first);
  void open_cluster(std::int64_t time_ms, bool keyframe, Time now);
  void write_cluster();
  std::uint64_t write_cues();

  bool video_;
  std::uint64_t segment_data_ = 0;  // offsets in the file
  std::uint64_t seek_head_ = 0;
  std::uint64_t info_ = 0;
  std::uint64_t duration_ = 0;
  std::uint64_t tracks_ = 0;
  std::optional<Cluster> cluster_;
  std::vector<Cue> cues_;
  std::int64_t last_ms_ = -1;
  std::int64_t end_ms_ = 0;
};

}  // namespace amphi::recording
