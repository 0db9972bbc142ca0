// A fragmented MP4 file of one H.264 track (ISO/IEC 14496-12 8.8, 14496-15 5.4). While it grows it is a valid live
// file: the header tells no duration, every fragment (moof and mdat) is written whole and synced. At the end the
// head is written anew with the durations and an index (sidx) in the places kept for them, and mfra follows at the end.
// A sample's duration is known when the next one comes, so the newest frame waits. Times are in 1/90000 s. Frames that are shown in
// another order than they are sent in have decode times of their own (DecodeClock), and composition offsets; a frame's time is when it is shown.
// Parameter sets stay in the stream as well, so that a change of resolution needs no new file. Thread: the recorder's.
#pragma once

#include <optional>
#include <vector>

#include "recording/decode_clock.h"
#include "recording/track.h"

namespace amphi::recording {

class Mp4File final : public TrackFile {
 public:
  static constexpr std::size_t kIndexEntries = 680;

  Mp4File(TrackOutput output, std::string name, const Frame& first, std::size_t index_entries = kIndexEntries);
  Mp4File(TrackOutput output, const JournalTrack& track);

  void add(Frame frame, std::int64_t at, Time now) override;
  void handle_timeout(Time now) override;
  Time next_timeout() const override;
  TrackEnd finish(Duration duration) override;
  Duration end() const override;

 private:
  struct Sample {
    std::int64_t time;
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
  void settle();
  /// `next`: the frame behind the fragment; nullptr: none is known, and the last sample lasts until `end`, at least a tick.
  void write_fragment(const Sample* next, std::int64_t end = 0);
  /// A moof and an mdat of the samples.
  Bytes write_boxes(const std::vector<std::int64_t>& decoded);
  void add_piece(const Piece& piece);
  Bytes index() const;
  Bytes mfra() const;

  Frame first_;  // without its data
  std::size_t index_bytes_;  // the place that is kept for the index
  std::vector<Sample> samples_;  // of the fragment to come
  std::optional<Sample> newest_;
  std::size_t bytes_ = 0;
  Time opened_;
  std::uint32_t fragments_ = 0;
  DecodeClock clock_;
  std::int64_t newest_time_ = -1;  // the latest that a frame is shown
  std::int64_t end_ = 0;           // of what has its duration
  std::vector<Entry> entries_;
};

}  // namespace amphi::recording
