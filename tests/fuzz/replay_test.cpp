// A fuzz target on its seeds, on their beginnings, and with some of their bytes changed; and on the corpus that the fuzzers have found.
// Every build runs it without a fuzzer. `AMPHI_FUZZ_SEEDS` is the target's folder, made by fuzz_seeds; tests/fuzz/corpus/TARGET is its corpus.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/fuzz/fuzz.h"

namespace amphi::fuzz {
namespace {

constexpr std::size_t kBeginnings = 16;
constexpr int kChanged = 48;

/// A copy of just that size: a sanitizer sees the first byte that is read beyond it.
void run(const std::string& input) {
  const std::vector<std::uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(FuzzTarget, keeps_its_promises_on_its_seeds_and_what_resembles_them) {
  const char* folder = std::getenv("AMPHI_FUZZ_SEEDS");
  ASSERT_NE(folder, nullptr) << "run by ctest, which makes the seeds first";
  SeededRandom random(1);
  std::size_t seeds = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string seed = read(entry.path());
    SCOPED_TRACE(entry.path().string());
    run(seed);
    for (std::size_t i = 0; i < kBeginnings; ++i) run(seed.substr(0, seed.size() * i / kBeginnings));
    for (int i = 0; i < kChanged && !seed.empty(); ++i) {
      std::string changed = seed;
      for (std::uint64_t n = random.below(4); n < 4; ++n) changed[random.below(changed.size())] = static_cast<char>(random.below(256));
      run(changed);
    }
    ++seeds;
  }
  EXPECT_GT(seeds, 0u);
}

TEST(FuzzTarget, keeps_its_promises_on_its_corpus) {
  const std::filesystem::path folder = std::string(AMPHI_SOURCE_DIR) + "/tests/fuzz/corpus/" + std::filesystem::path(std::getenv("AMPHI_FUZZ_SEEDS")).filename().string();
  ASSERT_TRUE(std::filesystem::exists(folder)) << "every target has one: see tests/fuzz/README.md";
  std::size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().string());
    run(read(entry.path()));
    ++inputs;
  }
  EXPECT_GT(inputs, 0u);
}

}  // namespace
}  // namespace amphi::fuzz
