// Where one export is made: a folder `<output>.work` beside its place that only its owner may enter, locked by the one process that works in
// it, gone at the end. One whose process was killed stays, with what was decrypted in it, until the next export of the same name or a sweep.
// Thread: any one; everything blocks.
#pragma once

#include <string>

#include "base/result.h"
#include "runtime/lock_file.h"

namespace amphi::server {

class Workshop {
 public:
  /// Tidies up what one that was killed left. Errors: invalid_state (another process works there), storage.
  static Result<Workshop> open(const std::string& output);
  Workshop(Workshop&& other) noexcept;
  ~Workshop();

  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  Workshop(std::string path, runtime::LockFile lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  runtime::LockFile lock_;
};

/// A file that is whole, under its name: also after a power cut. Errors: storage.
Result<void> put_in_place(const std::string& made, const std::string& output);

/// Removes each workshop under the recordings' root that nobody works in.
void sweep_workshops(const std::string& root);

}  // namespace amphi::server
