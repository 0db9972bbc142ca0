// Reading the files of one folder, as an interface: the runtime gives a real one, a test one in memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace amphi {

class FolderReader {
 public:
  virtual ~FolderReader() = default;
  /// nullopt: there is no such file.
  virtual std::optional<std::uint64_t> size(const std::string& name) const = 0;
  /// The files in it, in no order; what is no plain file is left out.
  virtual std::vector<std::string> names() const = 0;
  /// Exactly `count` bytes from `at`. Errors: not_found, storage (also: the file ends before).
  virtual Result<Bytes> read(const std::string& name, std::uint64_t at, std::uint64_t count) const = 0;
};

}  // namespace amphi
