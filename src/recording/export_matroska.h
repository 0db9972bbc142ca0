// One Matroska file (RFC 9559) of many tracks, written from its beginning to its end: chapters, tags, a cue for what one can seek to. Frames come
// in the order of time, so that a player never waits for one track while it reads another, and memory holds a cluster however long a track
// is silent. (FFmpeg's muxer holds back all that follows the end of a VP8 track, and moves what is behind a gap before it.) Pure. Thread: any one.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "recording/ebml.h"
#include "recording/export_plan.h"

namespace amphi::recording {

class MatroskaExport {
 public:
  struct Track {
    std::string name;
    rtp::Codec codec;
    std::uint32_t width = 0, height = 0;  // of a picture
    Bytes avc;                            // of H.264: avc_configuration
    std::vector<std::pair<std::string, std::string>> tags;
  };
  struct Content {
    std::vector<Track> tracks;
    std::vector<ExportChapter> chapters;
    std::int64_t duration_ms = 0;
    std::string comment;
    WallTime begun;  // for people
  };
  struct End {
    Bytes rest;  // of the file
    Bytes head;  // its beginning anew, of the same length as it had
  };

  explicit MatroskaExport(Content content);

  /// In the order of `decoded_ms`, which is not after `at_ms`, when the frame is shown.
  void add(std::size_t track, std::int64_t at_ms, std::int64_t decoded_ms, bool keyframe, ByteView data);
  /// What is to be appended to the file by now; may be empty.
  Bytes take();
  /// After the last take().
  End finish();

 private:
  struct Cluster {
    EbmlWriter writer;
    EbmlWriter::Master master;
    std::int64_t at_ms;
  };
  struct Cue {
    std::int64_t at_ms;
    std::size_t track;
    std::uint64_t position;  // of its cluster, from the Segment's data
  };

  /// `cues`, `size`: of the Segment's data; nothing is known of them at first.
  Bytes head(std::optional<std::uint64_t> cues, std::uint64_t size);
  bool is_cue(std::size_t track, std::int64_t at_ms, bool keyframe) const;
  void append(Bytes data);
  void end_cluster();
  Bytes cues() const;

  const Content content_;
  bool has_pictures_ = false;
  std::uint64_t segment_data_ = 0;  // where the Segment's data begin
  std::uint64_t size_ = 0;          // of the file, up to the last whole cluster
  Bytes ready_;                     // of it, what was not taken yet
  std::optional<Cluster> cluster_;
  std::vector<Cue> cues_;
  std::map<std::size_t, std::int64_t> last_cue_;  // by track
};

}  // namespace amphi::recording
