#include "recording/track_reader.h"

#include <algorithm>

namespace amphi::recording {

TrackReader::TrackReader(const FolderReader& folder, const JournalTrack& track, const Sealer& sealer)
    : folder_(folder), path_(track.record.summary.path), sealer_(sealer) {
  extents_.push_back(track.end ? track.end->head : track.head);
  for (const Piece& piece : track.pieces) extents_.push_back(piece.extent);
  if (track.end && track.end->tail.size > 0) extents_.push_back(track.end->tail);
  for (const Extent& extent : extents_) size_ += extent.size;
}

Result<Bytes> TrackReader::open(const Extent& extent) const {
  auto data = folder_.read(path_, extent.at, extent.size);
  if (data && (!extent.seal || !sealer_.open(*extent.seal, *data)))
    return fail(ErrorCode::storage, path_ + ": bytes " + std::to_string(extent.at) + " to " + std::to_string(extent.at + extent.size - 1) + " are not what was written");
  return data;
}

Result<Bytes> TrackReader::read(std::uint64_t at, std::uint64_t count) const {
  if (at > size_ || count > size_ - at) return fail(ErrorCode::storage, path_ + " ends before");
  const auto ends_before = [](const Extent& extent, std::uint64_t value) { return extent.at + extent.size <= value; };
  Bytes out;
  out.reserve(static_cast<std::size_t>(count));
  for (auto extent = std::lower_bound(extents_.begin(), extents_.end(), at, ends_before); out.size() < count; ++extent) {
    const auto data = open(*extent);
    if (!data) return data;
    const std::uint64_t from = at + out.size() - extent->at;
    const std::uint64_t size = std::min<std::uint64_t>(extent->size - from, count - out.size());
    out.insert(out.end(), data->begin() + static_cast<std::ptrdiff_t>(from), data->begin() + static_cast<std::ptrdiff_t>(from + size));
  }
  return out;
}

}  // namespace amphi::recording
