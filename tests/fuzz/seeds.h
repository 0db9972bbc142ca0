// The folder of seed inputs that fuzz_seeds writes: FOLDER/TARGET/N. Each part adds the seeds of its targets. Thread: main.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "base/bytes.h"

namespace amphi::fuzz {

class Seeds {
 public:
  explicit Seeds(std::filesystem::path root) : root_(std::move(root)) {}
  void add(const std::string& target, ByteView data) {
    std::filesystem::create_directories(root_ / target);
    std::ofstream(root_ / target / std::to_string(next_[target]++), std::ios::binary) << as_text(data);
  }
  void add(const std::string& target, const std::string& text) { add(target, as_bytes(text)); }
  /// A seed for each kind of message in that folder of the repository: its examples, a line each. All in one would be longer than an input.
  void add_examples(const std::string& target, const std::string& folder);

 private:
  std::filesystem::path root_;
  std::map<std::string, int> next_;
};

/// Targets manifest, journal, containers, export_plan: what a recorder writes.
void add_recording(Seeds& seeds);
/// Target session: a few of its steps.
void add_session(Seeds& seeds);
/// Targets signalling, tokens, resume_tokens, http, rest, config: the protocol's examples, and requests as clients write them.
void add_server(Seeds& seeds);

}  // namespace amphi::fuzz
