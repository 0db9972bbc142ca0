// A fragmented MP4 file of one H.264 track (ISO/IEC 14496-12 8.8, 14496-15 5.4). While it grows it is a valid live
// file: the header tells no duration, every fragment (moof and mdat) is written whole and synced. At the end the
// head is written anew with the durations and an index (sidx) in the places kept for them, and mfra follows at the end.
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

  Mp4File(TrackOutput output, std::string name, const Frame& first, std::size_t index_entries = kIndexEntries);
  Mp4File(TrackOutput output, const JournalTrack& track);

  void add(Frame frame, Duration time, Time now) override;
  void handle_timeout(Time now) override;
  Time next_timeout() const override;
  TrackEnd finish(Duration duration) override;
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
  struct Entry {
    std::int64_t time;
    std::uint64_t position;
    std::uint64_t size;
    bool keyframe;
  };

  /// `end`: in ticks; nullopt: a live file's.
  Bytes head(std::optional<std::int64_t> end) const;
  void settle(std::int64_t next_time);
  void write_fragment();
  void add_piece(const Piece& piece);
  Bytes index() const;
  Bytes mfra() const;

  Frame first_;  // without its data
  std::size_t index_bytes_;  // the place that is kept for the index
  std::vector<Sample> samples_;  // of the fragment to come; all but newest_ know their duration
  std::optional<Sample> newest_;
  std::size_t bytes_ = 0;
  Time opened_;
  std::uint32_t fragments_ = 0;
  std::int64_t end_ = 0;  // of what has its duration
  std::vector<Entry> entries_;
};

}  // namespace amphi::recording
