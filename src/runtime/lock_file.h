// An exclusive lock between processes: an open file description lock (fcntl(2), F_OFD_SETLK) on a file that says who holds it. The kernel
// releases the lock when the process ends, however it ends. The file stays; its content counts only while the lock is held. The descriptor
// is close-on-exec, so a child process never keeps the lock. Thread: any; take() may wait.
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"

namespace amphi::runtime {

class LockFile {
 public:
  /// Creates the file where it is missing, and locks it. Waits up to `patience` for a holder that ends. Errors: invalid_state (another process
  /// holds it; the message names that process), not_found (the folder is missing), unsupported (the file system has no locks), storage.
  static Result<LockFile> take(const std::string& path, Duration patience = Duration::zero());
  LockFile(LockFile&& other) noexcept;
  LockFile& operator=(LockFile&& other) noexcept;
  ~LockFile();

 private:
  explicit LockFile(int fd) : fd_(fd) {}
  int fd_ = -1;
};

/// The process that holds the lock by what it wrote into the file: "amphi-server (process 123), since 2026-01-31T08:00:00Z". Believed only
/// while the lock is held. Says so where that process does not run on this machine, or where the file names none.
std::string lock_holder(const std::string& path);

}  // namespace amphi::runtime
