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
#include "recording/repair.h"

namespace amphi::testing {

class EmulatedDisk final : public FolderReader {
 public:
  /// Errors: storage, once `fail_from` is reached; invalid_state for what no file system could do.
  Result<void> apply(const recording::FileOp& op);
  Result<Sha256Digest> hash(recording::FileNumber file) const;

  /// From the n-th operation on (counted from 0) every one fails.
  void fail_from(std::size_t operation) { fail_from_ = operation; }
  /// It takes that many bytes more, then it is full: of a write that does not fit whole, a part is there.
  void fill_after(std::uint64_t bytes) { room_ = bytes; }
  /// It is well again, and has room.
  void heal() { fail_from_.reset(), room_.reset(); }
  std::size_t operations() const { return operations_; }
  /// Bytes in its files.
  std::uint64_t used() const;
  /// Counts what became durable: while it stands, `durable` is the same.
  std::uint64_t syncs() const { return syncs_; }

  /// The power goes and comes back. All files are closed.
  void cut_power(Random& random);
  /// The process is killed: the system keeps what was written. All files are closed.
  void kill();

  std::optional<std::uint64_t> size(const std::string& name) const override;
  Result<Bytes> read(const std::string& name, std::uint64_t at, std::uint64_t count) const override;
  /// A whole file; empty: none.
  Bytes content(const std::string& name) const;
  /// What a power cut could not take.
  const Bytes& durable(const std::string& name) const;
  bool is_durable(const std::string& name) const;
  std::vector<std::string> names() const override;
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
  Result<void> write(File& file, const recording::WriteFile& op);
  bool takes(std::uint64_t bytes);
  Result<void> carry_out(const recording::FileOp& op);

  std::map<std::string, File> files_;
  std::map<recording::FileNumber, std::string> numbers_;  // ever opened since the start
  std::map<recording::FileNumber, bool> open_;
  std::optional<std::size_t> fail_from_;
  std::optional<std::uint64_t> room_;
  std::size_t operations_ = 0;
  std::uint64_t syncs_ = 0;
};

/// The folder as a power cut would leave it at the least.
class DurableFolder final : public FolderReader {
 public:
  explicit DurableFolder(const EmulatedDisk& disk) : disk_(disk) {}
  std::vector<std::string> names() const override;
  std::optional<std::uint64_t> size(const std::string& name) const override;
  Result<Bytes> read(const std::string& name, std::uint64_t at, std::uint64_t count) const override;

 private:
  const EmulatedDisk& disk_;
};

/// What a server finds to do there, with its files closed.
Result<std::optional<recording::RepairCase>> repair_case(const EmulatedDisk& disk);

/// Tells `machine` (a Recorder or a Repair) how the operation that it wanted went.
template <class Machine>
void answer(Machine& machine, const EmulatedDisk& disk, const recording::FileOp& op, const Result<void>& done, Time now) {
  if (!done) {
    machine.handle_storage_error(done.error(), now);
  } else if (const auto* hash = std::get_if<recording::HashFile>(&op)) {
    machine.handle_hash(hash->file, *disk.hash(hash->file), now);
  } else if (std::holds_alternative<recording::ReplaceFile>(op)) {
    machine.handle_replaced(now);
  }
}

/// Applies all that `machine` wants, and tells it how it went. `on_other` is given every other output.
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
    const auto done = disk.apply(*op);
    answer(machine, disk, *op, done, now);
  }
}

}  // namespace amphi::testing
