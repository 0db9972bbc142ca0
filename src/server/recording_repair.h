// Completes what a crash, a power cut or a failing disk left behind (recording/repair.h): at the start, before anybody is let in, every
// recording below the root; later one by one. Blocks for as long as that takes: what a journal tells, and no media but each file's last
// piece, unless all hashes are asked for. Thread: its caller's.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "recording/repair.h"
#include "server/safekeeping.h"

namespace amphi::server {

struct RepairResult {
  bool completed = false;       // it had been cut off
  bool hashes_missing = false;  // of whole files: see late_hashes.h
};

struct RepairOptions {
  recording::Hashes hashes = recording::Hashes::few;
  std::optional<Error> failed{};       // why the recording had ended, where its manifest could not say
  std::function<bool()> stopped = {};  // asked while files are hashed; true: give up
  bool growth_checked = false;         // the caller knows that no other process appends to the journal
};

/// One folder. Errors: what the disk says, malformed, unauthorized (an encrypted one without its key), invalid_state (another process still writes it).
Result<RepairResult> repair_recording(const std::string& folder, const Safe& safe, const RepairOptions& options = {});

/// The disk may come back, and another writer may end.
bool may_be_repaired_later(const Error& error);

struct RepairSummary {
  std::size_t looked_at = 0;
  std::size_t repaired = 0;
  std::vector<std::string> incomplete;  // folders that want more: hashes, a disk that lets them be repaired, or the end of another writer (late_hashes.h)
};

/// Every `<root>/<session>/<recording>`. Each that was cut off is logged.
RepairSummary repair_recordings(const std::string& root, const Safe& safe);

}  // namespace amphi::server
