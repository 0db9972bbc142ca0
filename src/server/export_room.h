// Whether an export finds room on its disk: before it begins, and while it is made. What recordings are to have stays theirs.
// Thread: its owner's; it reads the disk.
#pragma once

#include <cstdint>
#include <string>

#include "recording/export_plan.h"

namespace amphi::server {

/// What is written for it, at most about: of each file the share that goes into it, once for its tracks, twice for a composite (its scenes, and
/// these joined), and once all that is decrypted before.
std::uint64_t export_bytes(const recording::ExportPlan& plan, const std::vector<recording::ExportSource>& sources, bool tracks);

class ExportRoom {
 public:
  /// `folder`: on the disk that it is written to. `reserve`: bytes that stay free; 0: the disk may fill up.
  ExportRoom(std::string folder, std::uint64_t reserve) : folder_(std::move(folder)), reserve_(reserve) {}
  /// Errors: storage.
  Result<void> check(std::uint64_t needed) const;

 private:
  std::string folder_;
  std::uint64_t reserve_;
};

}  // namespace amphi::server
