// A track's file while it is written, whatever its container: frames with their times in, `FileOp`s out.
// A crash costs at most what is not in a written and synced piece yet: pieces span at most kSpan. Thread: the
// recorder's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "base/time.h"
#include "recording/frame.h"
#include "recording/recorder.h"

namespace amphi::recording {

/// One file's operations, in order, at the end of the recorder's.
class FileAppender {
 public:
  FileAppender(FileNumber file, std::deque<Output>& out) : file_(file), out_(out) {}

  void open(std::string name) { out_.emplace_back(FileOp(OpenFile{file_, std::move(name)})); }
  void append(Bytes data) {
    const std::uint64_t at = size_;
    size_ += data.size();
    out_.emplace_back(FileOp(WriteFile{file_, at, std::move(data)}));
  }
  void patch(std::uint64_t offset, Bytes data) { out_.emplace_back(FileOp(WriteFile{file_, offset, std::move(data)})); }
  void sync() { out_.emplace_back(FileOp(SyncFile{file_})); }
  void close_and_hash() {
    out_.emplace_back(FileOp(CloseFile{file_}));
    out_.emplace_back(FileOp(HashFile{file_}));
  }
  std::uint64_t size() const { return size_; }

 private:
  FileNumber file_;
  std::deque<Output>& out_;
  std::uint64_t size_ = 0;
};

class TrackFile {
 public:
  static constexpr Duration kSpan = 600ms;  // with the wait for missing packets, a second
  static constexpr std::size_t kMaxPieceBytes = 8'000'000;

  virtual ~TrackFile() = default;
  /// `time` counts from the file's zero. Times that do not grow by at least one tick of the file are made to.
  virtual void add(Frame frame, Duration time, Time now) = 0;
  virtual void handle_timeout(Time now) = 0;
  virtual Time next_timeout() const = 0;
  /// Completes the file: it lasts `duration` from its zero (or to its last frame's, should that be later).
  virtual void finish(Duration duration) = 0;

  /// As the file has it, rounded to a tick.
  virtual Duration end() const = 0;
  std::uint64_t size() const { return file_.size(); }

 protected:
  explicit TrackFile(FileAppender file) : file_(std::move(file)) {}
  FileAppender file_;
};

/// The container that most players take for this codec (see docs/recording-journey.md). `first`: its first keyframe.
std::unique_ptr<TrackFile> make_track_file(FileAppender file, std::string name, const rtp::Codec& codec,
                                           const Frame& first);
std::string_view file_extension(rtp::CodecName codec);

}  // namespace amphi::recording
