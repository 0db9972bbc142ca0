// How long the disk will last: from how its free space has shrunk lately, whoever used it up. Pure but for free_bytes and folder_id.
// Thread: its owner's.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace amphi::server {

/// For an ordinary user, of the file system that holds `path`. Errors: storage.
Result<std::uint64_t> free_bytes(const std::string& path);
/// Identifies a folder: another once another disk is mounted there, or the folder is moved away and made anew.
struct FolderId {
  std::uint64_t disk = 0, inode = 0;
  bool operator==(const FolderId&) const = default;
};
/// Errors: storage (also where it is missing).
Result<FolderId> folder_id(const std::string& path);

class SpaceForecast {
 public:
  static constexpr Duration kWindow = 60s;
  static constexpr Duration kLeast = 5s;  // of knowledge, before it says anything

  void add(std::uint64_t free, Time now);
  /// Until no more than `reserve` is left; nullopt: not known yet, or it does not shrink.
  std::optional<Duration> left(std::uint64_t reserve) const;

 private:
  struct Look {
    Time at;
    std::uint64_t free;
  };
  std::deque<Look> looks_;
};

}  // namespace amphi::server
