#include "server/manifest_file.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "recording/journal.h"
#include "runtime/file_writer.h"
#include "runtime/folder.h"

namespace amphi::server {
namespace {

constexpr std::size_t kMostRemembered = 10'000;

void say_once(const std::string& folder, const std::string& why) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  if (said.size() >= kMostRemembered) said.clear();
  if (said.insert(folder).second) spdlog::warn("recording {} is left out of lists and totals: its manifest cannot be read: {}", folder, why);
}

/// While a recording runs its manifest is as old as its newest track; so is that of one that was cut off and could not be repaired yet.
std::int64_t journaled_ms(const std::string& folder) {
  constexpr std::uint64_t kEnd = 64 * 1024;
  const std::string name(recording::kJournalName);
  const runtime::Folder reader(folder);
  const std::uint64_t size = reader.size(name).value_or(0), from = size - std::min(size, kEnd);
  const auto end = reader.read(name, from, size - from);
  return end ? recording::newest_ms(as_text(*end)).value_or(0) : 0;
}

}  // namespace

Result<ManifestFile> read_manifest(const std::string& folder) {
  auto text = runtime::read_file(folder + "/manifest.json", recording::kMaxManifest);
  auto manifest = text ? recording::parse_manifest(*text) : tl::unexpected(text.error());
  if (manifest) {
    if (manifest->state == "recording") manifest->duration_ms = std::max(manifest->duration_ms, journaled_ms(folder));
    return ManifestFile{std::move(*text), std::move(*manifest)};
  }
  if (text || text.error().code != ErrorCode::not_found) say_once(folder, manifest.error().message);
  return tl::unexpected(manifest.error());
}

Result<ManifestFile> read_manifest(const std::string& root, const SessionId& session, const RecordingId& id) {
  const std::string folder = root + "/" + session.value + "/" + id.value;
  if (!runtime::is_folder(root + "/" + session.value) || !runtime::is_folder(folder)) return fail(ErrorCode::not_found, "There is no such recording.");
  auto found = read_manifest(folder);
  if (!found || (found->manifest.session == session && found->manifest.id == id)) return found;
  Error another{ErrorCode::forbidden, "it is that of recording " + found->manifest.id.value + " of session " + found->manifest.session.value};
  say_once(folder, another.message);
  return tl::unexpected(std::move(another));
}

}  // namespace amphi::server
