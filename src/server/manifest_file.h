// The manifest in a recording's folder, as the server's lists and totals read it. One that cannot be read or understood is said in the log,
// once for each folder: what is left out of a list must not be left out without a word. `duration_ms` of one that is not finished is as
// far as its journal goes. Any thread.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "recording/manifest.h"

namespace amphi::server {

struct ManifestFile {
  std::string text;
  recording::Manifest manifest;
};

/// Errors: not_found (there is none, and that is nothing to tell of), storage, malformed, unsupported.
Result<ManifestFile> read_manifest(const std::string& folder);
/// The same of `<root>/<session>/<id>`. Besides: forbidden, where somebody has put another recording there.
Result<ManifestFile> read_manifest(const std::string& root, const SessionId& session, const RecordingId& id);

}  // namespace amphi::server
