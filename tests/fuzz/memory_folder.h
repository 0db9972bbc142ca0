// A recording's folder in memory, as an input describes it. Thread: the target's.
#pragma once

#include <map>
#include <string>

#include "base/folder.h"

namespace amphi::fuzz {

class MemoryFolder final : public FolderReader {
 public:
  std::map<std::string, Bytes> files;

  std::optional<std::uint64_t> size(const std::string& name) const override {
    const auto found = files.find(name);
    return found == files.end() ? std::nullopt : std::optional<std::uint64_t>(found->second.size());
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const auto& [name, data] : files) all.push_back(name);
    return all;
  }
  Result<Bytes> read(const std::string& name, std::uint64_t at, std::uint64_t count) const override {
    const auto found = files.find(name);
    if (found == files.end()) return fail(ErrorCode::not_found, "There is no such file.");
    const Bytes& data = found->second;
    if (at > data.size() || count > data.size() - at) return fail(ErrorCode::storage, "The file ends before.");
    return to_bytes(ByteView(data).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(count)));
  }
};

}  // namespace amphi::fuzz
