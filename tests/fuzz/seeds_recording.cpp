// Seeds of the targets that read what a recording leaves on a disk: written by a recorder.
#include "recorded.h"
#include "recording/manifest.h"
#include "tests/fuzz/seeds.h"

using namespace amphi;
using namespace amphi::recording;

namespace amphi::fuzz {

void add_recording(Seeds& seeds) {
  const Recorded recorded;
  const std::string journal = recorded.text("journal.jsonl"), manifest = recorded.text("manifest.json");
  seeds.add("manifest", manifest);
  seeds.add("manifest", iso8601({1'795'000'000'250}));
  seeds.add("journal", journal);
  seeds.add("journal", journal + "---\n" + manifest);
  seeds.add("journal", journal.substr(0, journal.size() * 2 / 3));
  // Edits of the recording's files: see fuzz_evidence.cpp.
  const auto edits = [](std::initializer_list<int> values, const std::string& json = {}) {
    std::string out;
    for (const int value : values) out += static_cast<char>(value);
    return out + json;
  };
  seeds.add("evidence", edits({0}));
  seeds.add("evidence", edits({1, 0, 0, 1, 44, 2, 7, 8}));
  seeds.add("evidence", edits({1, 1, 6, 2, 1, '9'}) + edits({2, 3, 0, 4, '1', '0', '0', '0'}));
  seeds.add("evidence", edits({7, 4, 0, 0, 200, 5, 20, 1}));
  seeds.add("evidence", edits({7, 3, 12, 6, 12}));
  for (const Bytes& bytes : recorded.heads_and_pieces)
    if (bytes.size() <= 4096) seeds.add("containers", bytes);
  seeds.add("export_plan", std::string("\0\0\0\0", 4) + manifest);
  seeds.add("export_plan", std::string("\0\x64\x02\0", 4) + manifest + "\n---\n" + manifest);
}

}  // namespace amphi::fuzz
