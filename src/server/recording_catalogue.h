// What lies in the recordings' folder: the manifests of a session's recordings, and the little that must outlive a restart.
// The folders are the only source (the index over all sessions is catalogue_index.h). Reads block, and are small. Thread: control (and the recording
// writers for store_session).
//
//   <root>/<session>/<recording id>/manifest.json   each recording, whole in itself
//   <root>/<session>/services.json                  a revision that was never given out, where the next server begins, and what was being recorded
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "server/catalogue_index.h"
#include "services/server.h"

namespace amphi::server {

struct ManifestFile;

/// Of a session, what a restart of the server must find again.
struct StoredSession {
  std::uint64_t revision = 0;
  RecordingId recording{};     // that nobody has asked to stop; empty: none
  std::string requested_by{};  // who had asked for it
};
Result<void> store_session(const std::string& session_folder, const StoredSession& session);
/// So that no restart goes on with `recording`; where another is being recorded by now, that one stays. Needs no room on the disk.
Result<void> forget_recording(const std::string& session_folder, const RecordingId& recording);

/// A recording that the end of a server cut short, while nobody had asked for its end.
struct Interrupted {
  RecordingId recording;
  std::string requested_by;
  std::int64_t cut_at_ms = 0;  // since 1970
};

class RecordingCatalogue {
 public:
  explicit RecordingCatalogue(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  std::string session_folder(const SessionId& session) const { return root_ + "/" + session.value; }

  /// The totals of all recordings, also of those that a crash has left in state "recording": as far as their manifest says.
  services::Restored restore(const SessionId& session) const;
  /// What was being recorded when the server before this one ended, of all sessions. To be asked once, when those recordings are repaired.
  std::map<SessionId, Interrupted> interrupted() const;
  /// {"sessionId", "recordings": [manifest and its "id", ...], "next"?}, as the index has the page. Ends early, with `next`, where the manifests are large.
  /// A recording whose manifest is unreadable by now is left out, and the log says so.
  std::string page_json(const SessionId& session, const CataloguePage& page) const;
  /// nullopt-like not_found unless all three are plain names and the file exists.
  Result<std::string> file_path(const SessionId& session, const std::string& recording, const std::string& file) const;

 private:
  void visit(const SessionId& session, const std::function<void(ManifestFile)>& each) const;
  std::string root_;
};

}  // namespace amphi::server
