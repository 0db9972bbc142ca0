// One process owns a recordings folder: it alone repairs, records, deletes and sweeps there (docs/decisions/0020-folder-lock.md). Held for the
// owner's lifetime. Exports and `verify` only read finished recordings, and run beside it. Thread: main.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/lock_file.h"

namespace amphi::server {

class FolderLock {
 public:
  /// `root` exists. Waits a moment for an owner that ends. Errors: invalid_state (the message names the owner), unsupported (a file system
  /// without locks).
  static Result<FolderLock> take(const std::string& root);
  FolderLock(FolderLock&& other) noexcept;
  ~FolderLock();

 private:
  FolderLock(int folder, std::optional<runtime::LockFile> file) : folder_(folder), file_(std::move(file)) {}
  int folder_ = -1;                          // the folder itself; -1: its file system locks files only
  std::optional<runtime::LockFile> file_;    // in it; nullopt: nothing can be written there
};

/// Those of the files that another process has open for writing, or that grow. Blocks for a moment where a file was changed in the last seconds.
std::vector<std::string> being_written(const std::vector<std::string>& files);
/// Whether another process has the file open for writing, as far as the file system tells. Does not block.
bool is_open_for_writing(const std::string& file);

}  // namespace amphi::server
