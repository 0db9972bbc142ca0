// A track's file while it is written, whatever its container: frames with their times in, `FileOp`s and journal lines out.
// Every file is a head, pieces (clusters, fragments), and at its end a tail of indexes; then the head is written anew, at the same
// length. A crash costs at most the piece that is not synced yet: pieces span at most kSpan. Thread: the recorder's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "base/time.h"
#include "recording/frame.h"
#include "recording/journal.h"
#include "recording/recorder.h"

namespace amphi::recording {

/// One track's bytes on their way to its file, which numbers its runs, seals them where the recording is encrypted, and tells the
/// journal of each piece once it is synced.
class TrackOutput {
 public:
  /// `out` and `journal` outlive it, and so does `sealer` (nullptr: not encrypted).
  TrackOutput(FileNumber file, std::deque<Output>& out, Journal& journal, const Sealer* sealer)
      : file_(file), out_(out), journal_(journal), sealer_(sealer) {}

  void open(std::string name, Bytes head);
  /// Goes on behind what is there.
  void reopen(std::string name, std::uint64_t size);
  void piece(Bytes data, Piece piece);
  /// The tail is durable before the head points to it. Closes the file.
  TrackEnd finish(Bytes tail, Bytes head);

  FileNumber file() const { return file_; }
  std::uint64_t size() const { return size_; }
  const Extent& head() const { return head_; }

 private:
  Extent write(std::uint64_t at, Bytes data);

  FileNumber file_;
  std::deque<Output>& out_;
  Journal& journal_;
  const Sealer* sealer_;
  std::uint64_t size_ = 0;
  Extent head_;
};

class TrackFile {
 public:
  static constexpr Duration kSpan = 600ms;  // with the wait for missing packets, a second
  static constexpr std::size_t kMaxPieceBytes = 8'000'000;

  virtual ~TrackFile() = default;
  /// `at`: from the file's zero, in ticks of the file, as FrameClock gave it. `now`: when the frame arrived.
  virtual void add(Frame frame, std::int64_t at, Time now) = 0;
  virtual void handle_timeout(Time now) = 0;
  virtual Time next_timeout() const = 0;
  /// Completes the file: it lasts `duration` from its zero (or to its last frame's, should that be later).
  virtual TrackEnd finish(Duration duration) = 0;

  /// As the file has it, rounded to a tick.
  virtual Duration end() const = 0;
  std::uint64_t size() const { return output_.size(); }
  const Extent& head() const { return output_.head(); }

 protected:
  explicit TrackFile(TrackOutput output) : output_(std::move(output)) {}
  TrackOutput output_;
};

/// The container that most players take for this codec (see docs/recording-journey.md). `first`: its first keyframe.
std::unique_ptr<TrackFile> make_track_file(TrackOutput output, std::string name, const rtp::Codec& codec, const Frame& first);
/// One that was cut off, behind its last journaled piece. It can only be finished.
std::unique_ptr<TrackFile> resume_track_file(TrackOutput output, const JournalTrack& track);
std::string_view file_extension(rtp::CodecName codec);

}  // namespace amphi::recording
