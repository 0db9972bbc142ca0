// A recording's folder in memory: as an input describes it, or as the operations of a recorder or a repair leave it. Thread: the target's.
#pragma once

#include <map>
#include <string>

#include "base/folder.h"
#include "fuzz.h"
#include "recording/recorder.h"

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

/// Carries out the operations on `folder`, and requires that a file system can do each of them. As the file writer does, it refuses to reopen a file
/// that is missing or shorter than it was.
class MemoryDisk {
 public:
  explicit MemoryDisk(MemoryFolder& folder) : folder_(folder) {}

  /// `of` is told what it waits for.
  template <class Machine>
  void carry_out(const recording::FileOp& op, Machine& of, Time now) {
    if (const auto* hash = std::get_if<recording::HashFile>(&op)) of.handle_hash(hash->file, sha256(data_of(hash->file)), now);
    else if (const auto* replaced = std::get_if<recording::ReplaceFile>(&op)) folder_.files[replaced->name] = replaced->data, of.handle_replaced(now);
    else if (const auto* opened = std::get_if<recording::OpenFile>(&op)) open(opened->file, opened->name);
    else if (const auto* reopened = std::get_if<recording::ReopenFile>(&op)) reopen(*reopened, of, now);
    else if (const auto* removed = std::get_if<recording::RemoveFile>(&op)) folder_.files.erase(removed->name);
    else if (const auto* write = std::get_if<recording::WriteFile>(&op)) put(data_of(write->file), write->offset, write->data);
  }

 private:
  void open(recording::FileNumber file, const std::string& name) {
    require(recording::is_safe_path_name(name), "a file has a plain name");
    names_[file] = name;
    folder_.files.try_emplace(name);
  }
  Bytes& data_of(recording::FileNumber file) {
    require(names_.contains(file) && folder_.files.contains(names_[file]), "only an open file is used");
    return folder_.files[names_[file]];
  }
  template <class Machine>
  void reopen(const recording::ReopenFile& op, Machine& of, Time now) {
    const auto found = folder_.files.find(op.name);
    if (found == folder_.files.end() || op.size > found->second.size()) return of.handle_storage_error({ErrorCode::storage, "The file is shorter than it was."}, now);
    found->second.resize(static_cast<std::size_t>(op.size));
    open(op.file, op.name);
  }
  static void put(Bytes& file, std::uint64_t at, ByteView data) {
    require(at <= file.size(), "a file has no holes");
    file.resize(std::max(file.size(), static_cast<std::size_t>(at) + data.size()));
    std::copy(data.begin(), data.end(), file.begin() + static_cast<std::ptrdiff_t>(at));
  }

  MemoryFolder& folder_;
  std::map<recording::FileNumber, std::string> names_;
};

}  // namespace amphi::fuzz
