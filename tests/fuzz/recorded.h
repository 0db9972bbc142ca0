// A finished recording as a recorder leaves it: a second of three feeds, each of another codec; the VP8 feed has a gap. Thread: the target's.
#pragma once

#include <vector>

#include "memory_folder.h"

namespace amphi::fuzz {

struct Recorded {
  Recorded();
  std::string text(const std::string& name) const { return std::string(as_text(folder.files.at(name))); }

  MemoryFolder folder;
  std::vector<Bytes> heads_and_pieces;  // each as it was written
};

}  // namespace amphi::fuzz
