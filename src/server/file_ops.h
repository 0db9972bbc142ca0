// Carries out on the disk what a Recorder or a Repair asks for, and tells it how that went. Blocks as the disk does.
// Thread: its caller's.
#pragma once

#include <functional>

#include "recording/recorder.h"
#include "runtime/file_writer.h"

namespace amphi::server {

/// All but what needs an answer of its own.
Result<void> carry_out(const recording::FileOp& op, runtime::FileWriter& files);

/// `stopped`: see FileWriter::hash.
template <class Machine>
void carry_out(const recording::FileOp& op, runtime::FileWriter& files, Machine& machine, Time now, const std::function<bool()>& stopped = {}) {
  Result<void> done;
  if (const auto* hash = std::get_if<recording::HashFile>(&op)) {
    const auto digest = files.hash(hash->file, stopped);
    if (digest) machine.handle_hash(hash->file, *digest, now);
    else done = tl::unexpected(digest.error());
  } else {
    done = carry_out(op, files);
    if (done && std::holds_alternative<recording::ReplaceFile>(op)) machine.handle_replaced(now);
  }
  if (!done) machine.handle_storage_error(done.error(), now);
}

}  // namespace amphi::server
