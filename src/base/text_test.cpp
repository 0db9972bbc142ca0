#include "base/text.h"

#include <gtest/gtest.h>

namespace amphi {
namespace {

TEST(Text, names_and_labels_of_every_script_are_plain) {
  for (const char* text : {"", "Dr. Adeyemi", "Zoë", "内視鏡 1", "منظار", "מצלמה", "👩‍⚕️ camera", "a\u00a0b", "\U0010ffff"}) EXPECT_TRUE(is_plain_text(text)) << text;
}

TEST(Text, what_hides_or_reorders_other_text_is_not_plain) {
  for (const char* text : {"a\nb", "a\tb", "\x1b[31m", "\x7f", "\u0080", "\u009f", "\u061c", "\u200e", "\u200f", "\u2028", "\u2029", "a\u202egnp.exe", "\u202a", "\u2066", "\u2069", "\u206a", "a\u206fb", "\ufeff",
                           "\ufff9", "\ufffb", "a\U000e0041", "\U000e007f"})
    EXPECT_FALSE(is_plain_text(text)) << text;
  EXPECT_FALSE(is_plain_text(std::string_view("a\0b", 3)));
}

TEST(Text, blanks_and_what_only_joins_are_not_visible) {
  for (const char* text : {"", " ", "   ", "\u00a0", "\u200b", "\u200b\u200c\u200d", "\u00ad", "\u3000", "\u3164", "\u2800", "\u2060", "\ufe0f", "\u180e", "\U000e0100"}) EXPECT_FALSE(has_visible_character(text)) << text;
  for (const char* text : {"a", " a ", "\u200ba", "内視鏡", "👩‍⚕️", "نا\u200cم", "."}) EXPECT_TRUE(has_visible_character(text)) << text;
}

TEST(Text, printable_ascii_has_no_blanks_and_nothing_else) {
  for (const char* text : {"0", "{6f9619ff-8b86-d011-b42d-00cf4fc964ff}", "~!"}) EXPECT_TRUE(is_printable_ascii(text)) << text;
  for (const char* text : {"", "a b", "a\n", "\x1b[m", "\x7f", "a\u202e", "é"}) EXPECT_FALSE(is_printable_ascii(text)) << text;
}

TEST(Text, what_is_not_utf8_is_not_plain) {
  for (const char* text : {"\xff", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "a\xc3", "\xe2\x82", "\x80"})
    EXPECT_FALSE(is_plain_text(text));
}

}  // namespace
}  // namespace amphi
