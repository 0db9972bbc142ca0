// Reads a file that holds a secret: a token key, a TLS key, a signing or encryption key. Refuses one that everybody can read or change: its mode lets others
// read or write, and others may pass every folder above. Thread: any; it reads the disk.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"

namespace amphi::server {

/// Symbolic links are followed: the rule holds for the file that they lead to. Never waits: a pipe or a device is refused.
/// Errors: not_found, storage, limit_exceeded, invalid_argument (not a regular file), forbidden (says what to do).
Result<std::string> read_secret(const std::string& path, std::size_t limit);

}  // namespace amphi::server
