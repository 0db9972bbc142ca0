// Which recording lies in a folder, by its journal: one that somebody copied into another session's folder is not shown to that one's
// members. Thread: any; it reads the disk.
#pragma once

#include <string>

#include "recording/recorder.h"

namespace amphi::server {

/// By the journal's first line. Errors: not_found, storage, malformed.
Result<recording::RecordingInfo> recorded_as(const std::string& folder);

/// Errors: forbidden (it is another recording, or another session's).
Result<void> check_place(const recording::RecordingInfo& info, const SessionId& session, const RecordingId& id);

/// Whether it lies among a server's recordings, and not where that server put it. A folder that was moved elsewhere may have any name.
bool is_misplaced(const std::string& folder, const recording::RecordingInfo& info);

}  // namespace amphi::server
