// One export, from the recordings' folders to what lies at `output`: plans (recording/export_plan.h), decrypts where that is needed,
// lets FFmpeg work or copies the tracks, puts the result in place at once. Whatever goes wrong, nothing half done stays. Thread: any one; it blocks.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "recording/export_plan.h"
#include "server/child_process.h"
#include "server/safekeeping.h"

namespace amphi::server {

struct ExportOrder {
  std::vector<std::string> folders;  // of recordings, in the order of their beginnings
  bool tracks = false;
  recording::ExportRange range;
  std::string of_session;            // what is of another, or lies in a folder of another name than its id, is refused; empty: anyone's
  std::string output;                // a file; empty: made up, in `exports` beside the first recording's files
  std::uint64_t reserve = 0;         // bytes that stay free on its disk; 0: it may fill up
};

struct ExportResult {
  std::string output;
  std::int64_t from_ms = 0;  // where it begins: for tracks, where every picture has a keyframe by the time that was asked for
  std::int64_t duration_ms = 0;
  bool was_there = false;  // made before, of the same recordings: nothing was done
};

/// `progress`: 0 to 1, as it goes. `cancelled` is set too when the room on its disk becomes short. Errors: invalid_argument (nothing in that range; a recording that still runs or is broken),
/// invalid_state (the same export runs already), forbidden (of another session), unauthorized (encrypted, and another key), storage, not_found (no ffmpeg), internal.
Result<ExportResult> run_export(const ExportOrder& order, const Safe& safe, Cancelled& cancelled, const std::function<void(double)>& progress);

/// What run_export would refuse before it does anything, for people who are to see no paths. Errors: not_found, invalid_state (a recording that
/// still runs or is broken), invalid_argument (nothing in that range), storage (no room).
Result<void> check_export(const ExportOrder& order);

/// The finished recordings of a session's folder, oldest first. Errors: not_found (none).
Result<std::vector<std::string>> finished_recordings(const std::string& session_folder);

}  // namespace amphi::server
