#include <gtest/gtest.h>

#include <set>

#include "error_map.h"

namespace amphi {
namespace {

TEST(SdkErrors, every_code_has_a_sentence_of_its_own) {
  std::set<std::string> sentences;
  for (int i = static_cast<int>(Errc::invalidArgument); i <= static_cast<int>(Errc::outputFailed); ++i) {
    const std::error_code code = static_cast<Errc>(i);
    EXPECT_TRUE(code);
    EXPECT_STREQ(code.category().name(), "amphi");
    EXPECT_EQ(code.message().find("Unknown"), std::string::npos) << i;
    EXPECT_TRUE(sentences.insert(code.message()).second) << code.message();
  }
  EXPECT_NE(std::error_code(999, errorCategory()).message().find("Unknown"), std::string::npos);
}

TEST(SdkErrors, codes_of_the_wire_arrive_as_codes_of_the_sdk) {
  EXPECT_EQ(sdk::to_error_code(Error{error_code_from_wire("unauthorized"), ""}), Errc::unauthorized);
  EXPECT_EQ(sdk::to_error_code(Error{error_code_from_wire("fingerprint_mismatch"), ""}), Errc::fingerprintMismatch);
  EXPECT_EQ(sdk::to_error_code(Error{error_code_from_wire("never heard of"), ""}), Errc::internal);
  EXPECT_FALSE(sdk::to_error_code(std::nullopt));
}

}  // namespace
}  // namespace amphi
