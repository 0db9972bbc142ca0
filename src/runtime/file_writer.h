// The files of one folder, written the way evidence is: created exclusively, written at offsets, synced when asked, replaced
// only atomically. Files get mode 0640, whatever the umask is. Errors carry ErrorCode::storage and the system's words; those of writing name the
// file without its folders, because participants are told of them. Everything blocks.
// Thread: one recording writer; never a media worker.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"

namespace amphi::runtime {

enum class Links { refuse, follow };

/// The whole file. `links`: whether the path's last part may be a symbolic link. Errors: not_found, limit_exceeded (larger than `limit` bytes), storage.
Result<std::string> read_file(const std::string& path, std::size_t limit, Links links = Links::refuse);
/// Creates the folder and its parents, with mode 0750 whatever the umask is; each new one is durable in its parent.
Result<void> create_folders(const std::string& path);
/// The names in it: what was made, renamed or removed there is durable.
Result<void> sync_folder(const std::string& path);
/// Sets the mode of a recorded file, whatever the umask is.
void make_private(int fd);
/// Temporary file, fsync, rename, fsync of the folder: a reader sees the old content or the new, also after a power cut.
Result<void> replace_file(const std::string& path, ByteView data);
/// In place, and durable: what is longer is filled up with spaces. Needs no room. Errors: storage; it is shorter than `text`.
Result<void> overwrite_file(const std::string& path, std::string text);

/// The end of a file that holds `text`, in place, so that the next sync takes it to the disk whatever the one before has done. Errors: storage.
Result<void> write_again(const std::string& path, std::string_view text);

class FileWriter {
 public:
  using Number = std::uint32_t;  // given by the caller, never reused

  /// `folder` exists.
  explicit FileWriter(std::string folder);
  ~FileWriter();  // closes what is open
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  /// Fails where the file exists already: nothing recorded is ever overwritten.
  Result<void> open(Number file, const std::string& name);
  /// One that exists, at least `size` bytes long; what lies behind them goes.
  Result<void> reopen(Number file, const std::string& name, std::uint64_t size);
  Result<void> write(Number file, std::uint64_t offset, ByteView data);
  /// fdatasync; the first one of a file makes its name durable too. Fails for one that is no longer at its path (removed, moved, its disk
  /// unmounted under it): what is written there is seen by nobody.
  Result<void> sync(Number file);
  Result<void> close(Number file);
  /// SHA-256 of the whole file as it is now, open or closed.
  Result<Sha256Digest> hash(Number file, const std::function<bool()>& stopped = {}) const;
  Result<void> replace(const std::string& name, ByteView data);
  /// Durably; one that is not there is fine.
  Result<void> remove(const std::string& name);

 private:
  struct File {
    std::string path;
    int fd = -1;            // -1: closed
    bool name_synced = false;
  };
  Result<File*> find_open(Number file, const char* what);

  std::string folder_;
  std::unordered_map<Number, File> files_;
};

}  // namespace amphi::runtime
