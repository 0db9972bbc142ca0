#include "server/resume_token.h"

#include <gtest/gtest.h>

namespace amphi::server {
namespace {

const SessionId kSession("theatre");
const ParticipantId kMe("par_1");

TEST(ResumeToken, tells_whose_it_is_to_the_server_that_gave_it_and_to_the_one_after_it) {
  SeededRandom random(1);
  ResumeTokens first(Bytes(32, std::byte{7}), random), second(Bytes(32, std::byte{7}), random);
  const std::string token = first.make(kSession, "Ann", kMe);
  EXPECT_NE(token, first.make(kSession, "Ann", kMe));
  ASSERT_TRUE(first.read(token, kSession, "Ann"));
  EXPECT_EQ(first.read(token, kSession, "Ann")->participant, kMe);
  EXPECT_TRUE(first.read(token, kSession, "Ann")->of_this_life);
  ASSERT_TRUE(second.read(token, kSession, "Ann"));
  EXPECT_EQ(second.read(token, kSession, "Ann")->participant, kMe);
  EXPECT_FALSE(second.read(token, kSession, "Ann")->of_this_life);
}

TEST(ResumeToken, tells_nothing_where_anything_of_it_is_another) {
  SeededRandom random(1);
  ResumeTokens tokens(Bytes(32, std::byte{7}), random), other_key(Bytes(32, std::byte{8}), random);
  const std::string token = tokens.make(kSession, "Ann", kMe);
  EXPECT_FALSE(other_key.read(token, kSession, "Ann"));
  EXPECT_FALSE(tokens.read(token, SessionId("elsewhere"), "Ann"));
  EXPECT_FALSE(tokens.read(token, kSession, "Bob"));
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'a' ? 'b' : 'a';
    EXPECT_FALSE(tokens.read(changed, kSession, "Ann")) << changed;
    EXPECT_FALSE(tokens.read(token.substr(0, i), kSession, "Ann"));
  }
  for (const std::string& hostile : {std::string(), std::string("rt_"), std::string("rt_...."), std::string(100'000, '.'), std::string("rt_a.b.par_1.")})
    EXPECT_FALSE(tokens.read(hostile, kSession, "Ann"));
}

}  // namespace
}  // namespace amphi::server
