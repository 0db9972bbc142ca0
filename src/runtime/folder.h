// Reads a folder's files as they are on the disk. Everything blocks. Thread: any.
#pragma once

#include "base/folder.h"

namespace amphi::runtime {

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
