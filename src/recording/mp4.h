// A fragmented MP4 file of one H.264 track (ISO/IEC 14496-12 8.8, 14496-15 5.4). While it grows it is a valid live
// file: the header tells no duration, every fragment (moof and mdat) is written whole and synced. At the end the
// durations and an index (sidx) are written into the places kept for them near the front, and mfra follows at the end.
// A sample's duration is known when the next one comes, so the newest frame waits. Times are in 1/90000 s.
// Parameter sets stay in the stream as well, so that a change of resolution needs no new file. Thread: the recorder's.
#pragma once

#include <optional>
#include <vector>

#include "recording/track.h"

namespace amphi::recording {

class Mp4File final : public TrackFile {
 public:
  static constexpr std::size_t kIndexEntries = 680;

  Mp4File(FileAppender file, std::string name, const Frame& first, std::size_t index_entries = kIndexEntries);

  void add(Frame frame, Duration time, Time now) override;
  void handle_timeout(Time now) override;
  Time next_timeout() const override;
  void finish(Duration duration) override;
  Duration end() const override;

 private:
  struct Sample {
    std::int64_t time;
    std::int64_t duration;
    bool keyframe;
    Bytes data;
    Time added;
  };
  /// What one entry of the index covers: fragments from a keyframe on.
  struct Piece {
    std::int64_t time;
    std::uint64_t position;
    std::uint64_t size;
    bool keyframe;
  };

  void write_header(const Frame& first, std::size_t index_entries);
  void settle(std::int64_t next_time);
  void write_fragment();
  void add_piece(const Piece& piece);
  void write_sidx();
  void write_mfra();
  void patch_durations();

  std::vector<Sample> samples_;  // of the fragment to come; all but newest_ know their duration
  std::optional<Sample> newest_;
  std::size_t bytes_ = 0;
  Time opened_;
  std::uint32_t fragments_ = 0;
  std::int64_t end_ = 0;  // of what has its duration
  std::vector<Piece> pieces_;

  std::uint64_t movie_duration_ = 0;  // offsets in the file
  std::uint64_t track_duration_ = 0;
  std::uint64_t media_duration_ = 0;
  std::uint64_t extends_ = 0;
  std::uint64_t index_ = 0;
  std::size_t index_bytes_ = 0;
};

}  // namespace amphi::recording
