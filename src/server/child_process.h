// One program that is run to its end at low priority: its standard output line by line, its last words kept for a message. It ends with
// this process, however this process ends. Thread: any one.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace amphi::server {

/// Set by whoever wants what runs to end: a signal's handler, another thread.
using Cancelled = std::atomic<bool>;

/// `arguments[0]` is found through PATH; standard input is empty. Errors: not_found (no such program), internal (it failed, with its last
/// words; or it was cancelled: told to end, and it has).
Result<void> run_child(const std::vector<std::string>& arguments, const Cancelled& cancelled, const std::function<void(std::string_view line)>& on_line);

}  // namespace amphi::server
