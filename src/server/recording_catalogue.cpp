#include "server/recording_catalogue.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "recording/history.h"
#include "runtime/file_writer.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::size_t kMaxManifest = 16 * 1024 * 1024;
constexpr const char* kServicesFile = "/services.json";

}  // namespace

Result<void> store_revision_ceiling(const std::string& session_folder, std::uint64_t revision) {
  const std::string text = Json{{"revision", revision}}.dump() + "\n";
  return runtime::replace_file(session_folder + kServicesFile, as_bytes(text));
}

std::vector<std::string> RecordingCatalogue::manifests(const SessionId& session) const {
  std::vector<std::string> texts;
  if (!recording::is_safe_path_name(session.value)) return texts;
  std::error_code error;
  for (fs::directory_iterator at(session_folder(session), error), end; !error && at != end; at.increment(error)) {
    auto text = runtime::read_file(at->path().string() + "/manifest.json", kMaxManifest);
    if (text) texts.push_back(std::move(*text));
  }
  return texts;
}

services::Restored RecordingCatalogue::restore(const SessionId& session) const {
  recording::History history;
  for (const auto& text : manifests(session))
    if (const auto manifest = recording::parse_manifest(text)) history.add(*manifest);
  services::Restored restored;
  restored.total_ms = history.total_ms;
  restored.last_recording_id = std::move(history.last_recording_id);
  if (const auto text = runtime::read_file(session_folder(session) + kServicesFile, 4096)) {
    const Json json = Json::parse(*text, nullptr, false);
    if (json.is_object() && json.contains("revision") && json["revision"].is_number_unsigned())
      restored.revision = json["revision"].get<std::uint64_t>();
  }
  return restored;
}

std::string RecordingCatalogue::list_json(const SessionId& session) const {
  std::vector<std::pair<std::int64_t, Json>> found;
  for (const auto& text : manifests(session)) {
    const auto manifest = recording::parse_manifest(text);
    if (!manifest) continue;
    Json entry = Json::parse(text, nullptr, false);
    entry["id"] = manifest->id.value;
    found.emplace_back(manifest->started_at.unix_ms, std::move(entry));
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  Json recordings = Json::array();
  for (auto& [started, manifest] : found) recordings.push_back(std::move(manifest));
  return Json{{"sessionId", session.value}, {"recordings", std::move(recordings)}}.dump(
      -1, ' ', false, Json::error_handler_t::replace);
}

Result<std::string> RecordingCatalogue::file_path(const SessionId& session, const std::string& recording,
                                                  const std::string& file) const {
  for (const auto& part : {session.value, recording, file})
    if (!recording::is_safe_path_name(part)) return fail(ErrorCode::not_found, "There is no such file.");
  const std::string path = session_folder(session) + "/" + recording + "/" + file;
  std::error_code error;
  // A link could lead out of the folder.
  if (!fs::is_regular_file(fs::symlink_status(path, error))) return fail(ErrorCode::not_found, "There is no such file.");
  return path;
}

}  // namespace amphi::server
