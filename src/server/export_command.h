// `amphi-server export`: a recording, or all of a session's, as files to show: each track by itself, or one picture of everybody.
// FFmpeg does the work, at low priority, in processes of its own. Thread: main.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace amphi::server {

struct ExportConfig {
  std::string folder;         // <recordings>/<session>/<recording>, or <recordings>/<session> for `session`
  bool session = false;       // all of the session's finished recordings, one after the other
  bool tracks = false;        // else the composite
  std::string of_session;     // see ExportOrder; empty: with `session` the folder's name
  double from_seconds = 0;
  std::optional<double> to_seconds;
  std::string output;         // empty: in the recording's folder `exports`
  std::string recording_key;  // the key file that it is encrypted under
  std::uint64_t reserve_mb = 512;  // that stay free on the disk it is written to
  bool json = false;          // {"output", ...} on standard output
  bool progress_json = false; // {"progress": 0..1} lines on standard output instead of a bar, and {"error": CODE} where it fails
};

/// The exit status: 0 done (or there already), 1 it failed, 2 it could not begin, 130 cancelled. Nothing is left of one that failed or was cancelled.
int export_recording(const ExportConfig& config);

}  // namespace amphi::server
