// A recorded track's bytes for who may see them, encrypted at rest or not: what playback and export read. Journals of encrypted recordings
// that were read lately are kept. Thread: its owner's; it reads the disk.
#pragma once

#include <list>
#include <memory>
#include <string>

#include "recording/track_reader.h"
#include "runtime/folder.h"
#include "server/safekeeping.h"

namespace amphi::server {

class SealedFile {
 public:
  SealedFile(std::string folder, recording::JournalTrack track, const recording::Sealer& sealer)
      : folder_(std::move(folder)), reader_(folder_, track, sealer) {}
  std::uint64_t size() const { return reader_.size(); }
  Result<Bytes> read(std::uint64_t at, std::uint64_t count) const { return reader_.read(at, count); }

 private:
  runtime::Folder folder_;
  recording::TrackReader reader_;
};

class SealedFiles {
 public:
  /// `safe` outlives it.
  explicit SealedFiles(const Safe& safe) : safe_(safe) {}

  /// nullptr: the file is as it lies on the disk (not encrypted, or no track's). Errors: unauthorized (another key).
  Result<std::shared_ptr<const SealedFile>> open(const std::string& folder, const std::string& name);
  /// Errors: forbidden (what lies there is another recording, or another session's; see recording_place.h).
  Result<void> check_place(const std::string& folder, const SessionId& session, const RecordingId& id);

 private:
  static constexpr std::size_t kKept = 4;
  struct Known {
    std::string folder;
    std::uint64_t journal_size = 0;
    recording::RecordingInfo info;
    std::shared_ptr<const recording::JournalContent> journal;  // nullptr: not encrypted
  };
  /// nullptr: there is no journal yet.
  const Known* look_at(const std::string& folder);

  const Safe& safe_;
  std::list<Known> known_;  // the newest first
};

}  // namespace amphi::server
