// Every example of protocol/services, both ways, and whatever else may come in.
#include "services/messages.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/random.h"

namespace amphi::services {
namespace {

using Json = nlohmann::json;
const std::filesystem::path kFolder = AMPHI_SOURCE_DIR "/protocol/services";

std::vector<std::string> examples(const char* which) {
  std::vector<std::string> texts;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().string().find(".examples.json") == std::string::npos) continue;
    std::ifstream file(entry.path());
    const Json both = Json::parse(file);
    for (const Json& example : both.at(which)) texts.push_back(example.dump());
  }
  return texts;
}

TEST(Messages, every_valid_example_is_read_and_written_back_the_same) {
  const auto texts = examples("valid");
  ASSERT_GE(texts.size(), 20u);
  for (const std::string& text : texts) {
    SCOPED_TRACE(text);
    const Decoded decoded = decode(text);
    ASSERT_TRUE(std::holds_alternative<Message>(decoded));
    Json expected = Json::parse(text);
    expected.erase("future");
    EXPECT_EQ(Json::parse(encode(std::get<Message>(decoded))), expected);
  }
}

TEST(Messages, no_invalid_example_is_read) {
  const auto texts = examples("invalid");
  ASSERT_GE(texts.size(), 100u);
  for (const std::string& text : texts) {
    EXPECT_FALSE(std::holds_alternative<Message>(decode(text))) << text.substr(0, 200);
  }
}

TEST(Messages, an_unknown_type_is_told_from_a_malformed_message) {
  const Decoded unknown = decode(R"({"type":"recording.paused"})");
  ASSERT_TRUE(std::holds_alternative<UnknownType>(unknown));
  EXPECT_EQ(std::get<UnknownType>(unknown).type, "recording.paused");
  const Decoded malformed = decode(R"({"type":"beat","revision":1})");
  ASSERT_TRUE(std::holds_alternative<Malformed>(malformed));
  EXPECT_EQ(std::get<Malformed>(malformed).type, "beat");
  EXPECT_EQ(std::get<Malformed>(malformed).why, "`totalMs` is missing or wrong.");
}

TEST(Messages, an_integer_may_be_written_as_a_float_without_a_fraction) {
  const Decoded decoded = decode(R"({"type":"beat","revision":1.0,"totalMs":2e3})");
  ASSERT_TRUE(std::holds_alternative<Message>(decoded));
  EXPECT_EQ(std::get<Beat>(std::get<Message>(decoded)).total_ms, 2000);
}

TEST(Messages, more_than_16_KiB_or_deep_nesting_is_malformed) {
  EXPECT_TRUE(std::holds_alternative<Malformed>(decode(R"({"type":"ping"})" + std::string(kMaxMessageSize, ' '))));
  EXPECT_TRUE(std::holds_alternative<Malformed>(decode(std::string(kMaxMessageSize, '['))));
  std::string deep = R"({"type":"ping","x":)" + std::string(8000, '[') + std::string(8000, ']') + "}";
  EXPECT_TRUE(std::holds_alternative<Message>(decode(deep)));
}

TEST(Messages, long_and_broken_text_is_repaired_when_written) {
  RecordingStateMessage state;
  for (int i = 0; i < 200; ++i) state.snapshot.changed_by += "ä";
  state.snapshot.error = Error{ErrorCode::storage, "\xff" + std::string(5000, 'x')};
  EXPECT_TRUE(std::holds_alternative<Message>(decode(encode(state))));
}

TEST(Messages, truncated_and_flipped_messages_never_throw) {
  SeededRandom random(7);
  for (const std::string& text : examples("valid")) {
    for (std::size_t length = 0; length < text.size(); ++length) {
      EXPECT_FALSE(std::holds_alternative<Message>(decode(text.substr(0, length))));
    }
    for (int round = 0; round < 200; ++round) {
      std::string flipped = text;
      for (std::uint64_t i = 0; i <= random.below(3); ++i) {
        flipped[random.below(flipped.size())] ^= static_cast<char>(1 << random.below(8));
      }
      const Decoded decoded = decode(flipped);
      if (const auto* message = std::get_if<Message>(&decoded)) {
        EXPECT_TRUE(std::holds_alternative<Message>(decode(encode(*message)))) << flipped;
      }
    }
  }
}

}  // namespace
}  // namespace amphi::services
