// A real file system of a few megabytes that a test may fill, break, freeze and pull out, in a mount namespace of the test's own: nobody
// else sees it, and it is gone with the test. Needs root. Thread: the test's, before it has others.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include "server_process.h"

namespace amphi::end_to_end {

class SmallDisk {
 public:
  enum class Kind { tmpfs, ext4 };  // in memory; in a file that is mounted as a disk
  SmallDisk(Kind kind, int megabytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  /// Whether this process may have one.
  static bool can_be(Kind kind);

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t free_bytes() const;
  /// Takes room away, as somebody else's file would, until `left` bytes are free.
  void fill(std::uint64_t left);
  void make_room();

  /// ext4: as when the kernel finds the file system broken: it takes nothing any more, and says that it is read-only.
  void become_read_only();
  /// ext4: every read and write fails with an I/O error; what was not synced is gone.
  void fail();
  /// ext4: whoever writes waits for that long. It thaws by itself; the future says when.
  std::future<void> freeze(int seconds);
  /// Unmounted under whoever has files open there.
  void pull_out();
  /// ext4: mounted again after it was pulled out.
  void put_back();
  /// ext4: unmounted, checked and mounted again. Nobody has files open there.
  void mend();

 private:
  void mount();

  const Kind kind_;
  const int megabytes_;
  TemporaryFolder folder_;
  std::filesystem::path path_, image_;
  bool mounted_ = false;
};

}  // namespace amphi::end_to_end
