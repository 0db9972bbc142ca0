#include "server/manifest_file.h"

#include <spdlog/spdlog.h>

#include <mutex>
#include <set>

#include "runtime/file_writer.h"

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

}  // namespace

Result<ManifestFile> read_manifest(const std::string& folder) {
  auto text = runtime::read_file(folder + "/manifest.json", recording::kMaxManifest);
  auto manifest = text ? recording::parse_manifest(*text) : tl::unexpected(text.error());
  if (manifest) return ManifestFile{std::move(*text), std::move(*manifest)};
  if (text || text.error().code != ErrorCode::not_found) say_once(folder, manifest.error().message);
  return tl::unexpected(manifest.error());
}

}  // namespace amphi::server
