// At the start, before anybody is let in: every recording below the root that a crash, a power cut or a failing disk left behind is
// completed (recording/repair.h). Blocks for as long as that takes: what a journal tells, a few hashes, no media but a
// file's last piece. Thread: its caller's.
#pragma once

#include <string>
#include <vector>

#include "recording/recorder.h"
#include "server/safekeeping.h"

namespace amphi::server {

struct RepairSummary {
  std::size_t looked_at = 0;
  std::size_t repaired = 0;
  std::vector<std::string> failed;  // a folder and why, each
};

/// Every `<root>/<session>/<recording>`. Each is logged.
RepairSummary repair_recordings(const std::string& root, const Safe& safe);
/// One folder. False: there was nothing to do.
Result<bool> repair_recording(const std::string& folder, const Safe& safe);

}  // namespace amphi::server
