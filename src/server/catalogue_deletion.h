// What a deletion does to the disk, each step durable before the next: out of sight, said, gone. Everything blocks. Thread: catalogue_index's.
//
//   <root>/<session>/.deleted-<id>/   a recording on its way out: nobody lists, shows or exports what has such a name
//   <root>/<session>/exports/         over the whole session, so over each of its recordings: goes with any of them
//   <root>/deletions.jsonl            who, what and when, one JSON object a line
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace amphi::server {

constexpr std::string_view kGoing = ".deleted-";

/// Errors: storage, and it is where it was.
Result<void> hide_recording(const std::string& root, const std::string& session, const std::string& id);
/// Back again. Errors: storage.
Result<void> show_recording(const std::string& root, const std::string& session, const std::string& id);
/// The whole line, or nothing of it. Errors: storage.
Result<void> say_deletion(const std::string& root, std::string_view line);
/// A hidden recording, and the exports that may hold it. Errors: storage, and the rest of it is hidden still.
Result<void> erase_recording(const std::string& root, const std::string& session, const std::string& id);

}  // namespace amphi::server
