// Reads a folder's files as they are on the disk. Everything blocks. Thread: any.
#pragma once

#include <string>
#include <string_view>

#include "base/folder.h"

namespace amphi::runtime {

/// A folder itself, and no symbolic link to one.
bool is_folder(const std::string& path);
/// Opens `root`/`below` for reading without following a symbolic link below `root`; root itself may be one. The descriptor is the caller's; -1: errno says why.
int open_below(const std::string& root, std::string_view below);

class Folder final : public FolderReader {
 public:
  explicit Folder(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  std::optional<std::uint64_t> size(const std::string& name) const override;
  std::vector<std::string> names() const override;
  Result<Bytes> read(const std::string& name, std::uint64_t at, std::uint64_t count) const override;

 private:
  std::string path_;
};

}  // namespace amphi::runtime
