// A track's file as it was before it was sealed: any range of it, also while it grows. Reads only. Thread: any one.
#pragma once

#include <memory>

#include "base/folder.h"
#include "recording/journal.h"

namespace amphi::recording {

class TrackReader {
 public:
  /// `folder` outlives the reader.
  TrackReader(const FolderReader& folder, const JournalTrack& track, const Sealer& sealer);

  std::uint64_t size() const { return size_; }
  /// Exactly `count` bytes. Errors: not_found, storage (past the end; or not what was sealed).
  Result<Bytes> read(std::uint64_t at, std::uint64_t count) const;

 private:
  Result<Bytes> open(const Extent& extent) const;

  const FolderReader& folder_;
  std::string path_;
  std::vector<Extent> extents_;  // without a gap, from 0
  std::uint64_t size_ = 0;
  Sealer sealer_;
};

}  // namespace amphi::recording
