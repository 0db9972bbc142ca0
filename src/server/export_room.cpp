#include "server/export_room.h"

#include <filesystem>

#include "server/disk_space.h"

namespace amphi::server {
namespace {

std::uint64_t size_of(const std::string& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : size;
}

std::string megabytes(std::uint64_t bytes) { return std::to_string((bytes + 999'999) / 1'000'000) + " MB"; }

}  // namespace

std::uint64_t export_bytes(const recording::ExportPlan& plan, const std::vector<recording::ExportSource>& sources, bool tracks) {
  double bytes = 0;
  const auto share = [&](const recording::ExportPiece& piece) {
    for (const auto& track : sources[piece.source].manifest.tracks)
      if (track.path == piece.path && track.duration_ms > 0)
        bytes += static_cast<double>(size_of(piece.file)) * static_cast<double>(piece.duration_ms) / static_cast<double>(track.duration_ms);
  };
  for (const auto& piece : plan.pictures) share(piece);
  for (const auto& piece : plan.sounds) share(piece);
  if (tracks) return static_cast<std::uint64_t>(bytes);
  auto all = static_cast<std::uint64_t>(2 * bytes);
  for (const auto& source : sources)
    for (const auto& track : source.manifest.tracks) all += source.manifest.encrypted ? size_of(source.folder + "/" + track.path) : 0;
  return all;
}

Result<void> ExportRoom::check(std::uint64_t needed) const {
  if (reserve_ == 0) return {};
  const auto free = free_bytes(folder_);
  if (!free) return tl::unexpected(free.error());
  if (*free >= reserve_ + needed) return {};
  return fail(ErrorCode::storage, "An export needs " + megabytes(needed) + " beside the " + megabytes(reserve_) +
                                      " that stay free for recordings (--recording-reserve-mb), and " + megabytes(*free) + " are free. Make room, or export less.");
}

}  // namespace amphi::server
