// The files that exports over REST made, as they lie beside what was recorded: in `exports` of a session's folder and of each recording's. Thread: a disk reader's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace amphi::server {

struct ExportFile {
  std::string name;       // amphi-export-….mp4 or .mkv
  std::string recording;  // empty: all of the session's
  std::string path;
  std::uint64_t bytes = 0;
};

/// None that is still being made. By name.
std::vector<ExportFile> export_files(const std::string& session_folder);
/// Errors: not_found (it is gone already), storage.
Result<void> remove_export(const std::string& path);

}  // namespace amphi::server
