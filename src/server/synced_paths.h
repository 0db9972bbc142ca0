// For tests: what this process makes durable, in order. Thread: one test at a time.
#pragma once

#include <string>
#include <vector>

namespace amphi::server {

/// Notes each fsync and fdatasync that succeeds while it lives.
class SyncedPaths {
 public:
  SyncedPaths();
  ~SyncedPaths();
  /// Those of `paths` that were synced, as often as they were.
  std::vector<std::string> of(const std::vector<std::string>& paths) const;
};

}  // namespace amphi::server
