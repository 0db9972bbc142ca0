#include "base/text.h"

#include <gtest/gtest.h>

namespace amphi {
namespace {

TEST(Text, names_and_labels_of_every_script_are_plain) {
  for (const char* text : {"", "Dr. Adeyemi", "Zoë", "内視鏡 1", "منظار", "מצלמה", "👩‍⚕️ camera", "a\u00a0b", "\U0010ffff"}) EXPECT_TRUE(is_plain_text(text)) << text;
}

TEST(Text, what_hides_or_reorders_other_text_is_not_plain) {
  for (const char* text : {"a\nb", "a\tb", "\x1b[31m", "\x7f", "\u0080", "\u009f", "\u061c", "\u200e", "\u200f", "\u2028", "\u2029", "a\u202egnp.exe", "\u202a", "\u2066", "\u2069"})
    EXPECT_FALSE(is_plain_text(text)) << text;
  EXPECT_FALSE(is_plain_text(std::string_view("a\0b", 3)));
}

TEST(Text, what_is_not_utf8_is_not_plain) {
  for (const char* text : {"\xff", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "a\xc3", "\xe2\x82", "\x80"})
    EXPECT_FALSE(is_plain_text(text));
}

}  // namespace
}  // namespace amphi
