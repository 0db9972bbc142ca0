#include "server/recording_catalogue.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "recording/history.h"
#include "recording/journal.h"
#include "runtime/file_writer.h"
#include "runtime/folder.h"
#include "server/manifest_file.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::size_t kMaxServices = 4096;
constexpr std::size_t kMostOfPage = 4 * 1024 * 1024;  // bytes of manifests, but for the last
constexpr const char* kServicesFile = "/services.json";

StoredSession session_in(const std::string& text) {
  StoredSession stored;
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return stored;
  if (json.contains("revision") && json["revision"].is_number_unsigned()) stored.revision = json["revision"].get<std::uint64_t>();
  const auto string_of = [](const Json& in, const char* name) { return in.contains(name) && in[name].is_string() ? in[name].get<std::string>() : ""; };
  if (json.contains("recording") && json["recording"].is_object()) {
    stored.recording = RecordingId(string_of(json["recording"], "id"));
    stored.requested_by = string_of(json["recording"], "requestedBy");
  }
  return stored;
}

StoredSession read_session(const std::string& session_folder) {
  const auto text = runtime::read_file(session_folder + kServicesFile, kMaxServices);
  return text ? session_in(*text) : StoredSession{};
}

bool was_recorded(const std::string& folder, const std::string& name) {
  if (name == "manifest.json" || name == recording::kJournalName) return true;
  const auto file = read_manifest(folder);
  return file && std::any_of(file->manifest.tracks.begin(), file->manifest.tracks.end(), [&](const auto& track) { return track.path == name; });
}

std::string text_of(const StoredSession& session) {
  Json json{{"revision", session.revision}};
  if (!session.recording.empty()) json["recording"] = {{"id", session.recording.value}, {"requestedBy", session.requested_by}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

Result<void> store_session(const std::string& session_folder, const StoredSession& session) {
  return runtime::replace_file(session_folder + kServicesFile, as_bytes(text_of(session)));
}

Result<void> forget_recording(const std::string& session_folder, const RecordingId& recording) {
  const auto read = runtime::read_file(session_folder + kServicesFile, kMaxServices);
  if (!read) return read.error().code == ErrorCode::not_found ? Result<void>{} : tl::unexpected(read.error());
  const StoredSession stored = session_in(*read);
  if (stored.recording != recording) return {};
  const std::string text = text_of({stored.revision});
  if (runtime::replace_file(session_folder + kServicesFile, as_bytes(text))) return {};
  return runtime::overwrite_file(session_folder + kServicesFile, text);  // a full disk has no room for another, but has that of this one
}

void RecordingCatalogue::visit(const SessionId& session, const std::function<void(ManifestFile)>& each) const {
  if (!recording::is_safe_path_name(session.value) || !runtime::is_folder(session_folder(session))) return;
  std::error_code error;
  for (fs::directory_iterator at(session_folder(session), error), end; !error && at != end; at.increment(error)) {
    if (!recording::is_safe_path_name(at->path().filename().string()) || !runtime::is_folder(at->path().string())) continue;  // the former is being deleted
    if (auto found = read_manifest(root_, session, RecordingId(at->path().filename().string()))) each(std::move(*found));
  }
}

services::Restored RecordingCatalogue::restore(const SessionId& session) const {
  recording::History history;
  visit(session, [&](const ManifestFile& file) { history.add(file.manifest); });
  services::Restored restored;
  restored.total_ms = history.total_ms;
  restored.last_recording_id = std::move(history.last_recording_id);
  restored.revision = read_session(session_folder(session)).revision;
  return restored;
}

std::map<SessionId, Interrupted> RecordingCatalogue::interrupted() const {
  std::map<SessionId, Interrupted> found;
  std::error_code error;
  for (fs::directory_iterator at(root_, error), end; !error && at != end; at.increment(error)) {
    if (!runtime::is_folder(at->path().string())) continue;
    const StoredSession stored = read_session(at->path().string());
    if (stored.recording.empty() || !recording::is_safe_path_name(stored.recording.value)) continue;
    if (const auto file = read_manifest(at->path().string() + "/" + stored.recording.value))
      found[SessionId(at->path().filename().string())] = {stored.recording, stored.requested_by, file->manifest.started_at.unix_ms + file->manifest.duration_ms};
  }
  return found;
}

std::string RecordingCatalogue::page_json(const SessionId& session, const CataloguePage& page) const {
  Json recordings = Json::array();
  std::string next = page.next;
  std::size_t bytes = 0;
  for (const CatalogueEntry& entry : page.entries) {
    const auto file = read_manifest(root_, session, RecordingId(entry.id));
    if (!file) continue;
    Json manifest = Json::parse(file->text, nullptr, false);
    manifest["id"] = entry.id;
    recordings.push_back(std::move(manifest));
    bytes += file->text.size();
    if (bytes < kMostOfPage || &entry == &page.entries.back()) continue;
    next = cursor_behind(entry);
    break;
  }
  Json json{{"sessionId", session.value}, {"recordings", std::move(recordings)}};
  if (!next.empty()) json["next"] = next;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::string> RecordingCatalogue::file_path(const SessionId& session, const std::string& recording,
                                                  const std::string& file) const {
  for (const auto& part : {session.value, recording, file})
    if (!recording::is_safe_path_name(part)) return fail(ErrorCode::not_found, "There is no such file.");
  const int opened = runtime::open_below(root_, session.value + "/" + recording + "/" + file);
  struct stat found {};
  const bool is_file = opened >= 0 && ::fstat(opened, &found) == 0 && S_ISREG(found.st_mode);
  if (opened >= 0) ::close(opened);
  const std::string folder = session_folder(session) + "/" + recording;
  // A further name of a file from elsewhere is served no more than a symbolic link. A backup may have hard links to all that was recorded.
  if (!is_file || (found.st_nlink != 1 && !was_recorded(folder, file))) return fail(ErrorCode::not_found, "There is no such file.");
  return folder + "/" + file;
}

}  // namespace amphi::server
