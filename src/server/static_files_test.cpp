#include "server/static_files.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "server/rate_limit.h"

namespace amphi::server {
namespace {

using Parts = std::vector<std::string>;

TEST(SafePath, splits_and_decodes_what_is_harmless) {
  const std::vector<std::pair<const char*, Parts>> rows{
      {"/", {}},
      {"/index.html", {"index.html"}},
      {"/s/demo?x=1", {"s", "demo"}},
      {"/s/demo/", {"s", "demo"}},
      {"/assets/a%20b.js#x", {"assets", "a b.js"}},
      {"/a..b/c", {"a..b", "c"}},
  };
  for (const auto& [target, parts] : rows) {
    const auto path = safe_path(target);
    ASSERT_TRUE(path) << target;
    EXPECT_EQ(*path, parts) << target;
  }
}

TEST(SafePath, refuses_whatever_could_lead_elsewhere) {
  for (const char* target :
       {"", "index.html", "/../etc/passwd", "/a/../b", "/a/..", "/%2e%2e/etc", "/%2E%2e%2fetc", "/..%2fetc", "/a%2fb", "/a%5cb",
        "/a\\..\\b", "//etc/passwd", "/a//b", "/.git/config", "/./a", "/a%00b", "/a%", "/a%4", "/a%zz", "/a\nb", "/%0d%0a"})
    EXPECT_FALSE(safe_path(target)) << target;
  EXPECT_FALSE(safe_path("/" + std::string(300, 'a')));
}

TEST(SafePath, no_random_target_ever_gives_a_part_that_climbs) {
  SeededRandom random(11);
  const std::string alphabet = "/./..%2ef5c\\a?";
  for (int i = 0; i < 20000; ++i) {
    std::string target = "/";
    for (std::uint64_t n = random.below(12); n > 0; --n) target += alphabet[random.below(alphabet.size())];
    if (const auto path = safe_path(target))
      for (const auto& part : *path) {
        EXPECT_NE(part.front(), '.') << target;
        EXPECT_EQ(part.find('/'), std::string::npos) << target;
      }
  }
}

TEST(Query, finds_a_value_by_its_whole_name) {
  EXPECT_EQ(query_value("/a?access_token=x.y-z", "access_token"), "x.y-z");
  EXPECT_EQ(query_value("/a?b=1&access_token=x%2Ey", "access_token"), "x.y");
  for (const char* target : {"/a", "/a?", "/a?access_token", "/a?xaccess_token=1", "/a?access_token=%"})
    EXPECT_EQ(query_value(target, "access_token"), "") << target;
}

TEST(ContentType, is_known_for_what_is_served) {
  EXPECT_EQ(content_type("index.html"), "text/html; charset=utf-8");
  EXPECT_EQ(content_type("track.webm"), "video/webm");
  EXPECT_EQ(content_type("manifest.json"), "application/json");
  EXPECT_EQ(content_type("unknown"), "application/octet-stream");
}

TEST(Range, follows_rfc_9110) {
  struct Row {
    const char* header;
    RangeKind kind;
    ByteRange range;
  };
  for (const Row& row : std::vector<Row>{
           {"", RangeKind::whole, {}},
           {"bytes=0-", RangeKind::part, {0, 100}},
           {"bytes=0-0", RangeKind::part, {0, 1}},
           {"bytes=10-19", RangeKind::part, {10, 10}},
           {"bytes=90-1000", RangeKind::part, {90, 10}},
           {"bytes=-10", RangeKind::part, {90, 10}},
           {"bytes=-1000", RangeKind::part, {0, 100}},
           {"bytes=99-", RangeKind::part, {99, 1}},
           {"bytes=100-", RangeKind::unsatisfiable, {}},
           {"bytes=-0", RangeKind::unsatisfiable, {}},
           {"bytes=20-10", RangeKind::whole, {}},
           {"bytes=0-1,5-6", RangeKind::whole, {}},
           {"bytes=a-b", RangeKind::whole, {}},
           {"bytes=", RangeKind::whole, {}},
           {"lines=0-1", RangeKind::whole, {}},
           {"bytes=18446744073709551616-", RangeKind::whole, {}},
           {"bytes=0-18446744073709551615", RangeKind::part, {0, 100}},
       }) {
    const auto choice = choose_range(row.header, 100);
    EXPECT_EQ(choice.kind, row.kind) << row.header;
    EXPECT_EQ(choice.range, row.range) << row.header;
  }
  EXPECT_EQ(choose_range("bytes=0-", 0).kind, RangeKind::unsatisfiable);
  EXPECT_EQ(choose_range("bytes=-5", 0).kind, RangeKind::unsatisfiable);
}

TEST(RateLimit, lets_a_burst_through_and_then_the_rate) {
  RateLimit limit(100, 200);
  Time now{};
  int allowed = 0;
  for (int i = 0; i < 1000; ++i) allowed += limit.allow(now);
  EXPECT_EQ(allowed, 200);
  now += 1s;
  for (int i = 0; i < 1000; ++i) allowed += limit.allow(now);
  EXPECT_EQ(allowed, 300);
}

}  // namespace
}  // namespace amphi::server
