// A folder on a disk that can lose its power, or begin to fail: for tests of what a recording leaves behind.
//
// A write is kept apart until its file is synced. A power cut takes each such write, by the seed: it is lost, whole, or torn at a
// sector, in whatever order; a name that was never made durable goes with its file. What was synced stays. Replacing a file
// is atomic, as fsync and rename make it: the power cut finds the old content or the new.
// Deterministic: the same operations and the same seed leave the same bytes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/folder.h"
#include "base/random.h"
#include "recording/recorder.h"

namespace amphi::testing {

class EmulatedDisk final : public FolderReader {
 public:
  /// Errors: storage, once `fail_from` is reached; invalid_state for what no file system could do.
  Result<void> apply(const recording::FileOp& op);
  Result<Sha256Digest> hash(recording::FileNumber file) const;

  /// From the n-th operation on (counted from 0) every one fails.
  void fail_from(std::size_t operation) { fail_from_ = operation; }
  std::size_t operations() const { return operations_; }

  /// The power goes and comes back. All files are closed.
  void cut_power(Random& random);
  /// The process is killed: the system keeps what was written. All files are closed.
  void kill();

  std::optional<std::uint64_t> size(const std::string& name) const override;
  Result<Bytes> read(const std::string& name, std::uint64_t at, std::uint64_t count) const override;
  /// A whole file; empty: none.
  Bytes content(const std::string& name) const;
  /// What a power cut could not take.
  Bytes durable(const std::string& name) const;
  std::vector<std::string> names() const;
  /// A bit turns by itself.
  void flip_bit(const std::string& name, std::uint64_t byte, unsigned bit);

 private:
  struct Write {
    std::uint64_t at;
    Bytes data;
  };
  struct File {
    Bytes durable;
    Bytes present;  // durable, and all writes since
    std::vector<Write> writes;
    std::optional<std::uint64_t> cut_to;  // a truncation since the last sync
    bool name_durable = false;
  };
  File* open_file(recording::FileNumber number);
  Result<void> carry_out(const recording::FileOp& op);

  std::map<std::string, File> files_;
  std::map<recording::FileNumber, std::string> numbers_;  // ever opened since the start
  std::map<recording::FileNumber, bool> open_;
  std::optional<std::size_t> fail_from_;
  std::size_t operations_ = 0;
};

/// Applies all that `machine` (a Recorder or a Repair) wants, and tells it how it went. `on_other` is given every other output.
template <class Machine, class OnOther>
void serve(Machine& machine, EmulatedDisk& disk, Time now, OnOther on_other, std::size_t most = static_cast<std::size_t>(-1)) {
  while (disk.operations() < most) {
    auto output = machine.poll_output();
    if (!output) return;
    const auto* op = std::get_if<recording::FileOp>(&*output);
    if (op == nullptr) {
      on_other(*output);
      continue;
    }
    if (const auto done = disk.apply(*op); !done) {
      machine.handle_storage_error(done.error(), now);
    } else if (const auto* hash = std::get_if<recording::HashFile>(op)) {
      machine.handle_hash(hash->file, *disk.hash(hash->file), now);
    } else if (std::holds_alternative<recording::ReplaceFile>(*op)) {
      machine.handle_replaced(now);
    }
  }
}

}  // namespace amphi::testing
