#include "video_sources.h"

#include <gtest/gtest.h>

namespace amphi::sdk {
namespace {

VideoSources::Subscription sub(std::uintptr_t n) { return reinterpret_cast<VideoSources::Subscription>(n); }

/// One subscription to Ann's "scope" (fd_a), the labels that were there, and what appears after a rejoin.
struct Row {
  const char* what;
  std::vector<std::string> labels;
  std::vector<VideoSource> appear;
  std::string shown;   // in the end
};

TEST(VideoSources, a_subscription_follows_its_source_over_a_rejoin) {
  const Row rows[] = {
      {"the same feed", {"scope"}, {{"fd_a", "Ann", "scope"}}, "fd_a"},
      {"the same feed under another label", {"scope"}, {{"fd_a", "Ann", "renamed"}}, "fd_a"},
      {"the owner under a new participant id", {"scope", "scope"}, {{"fd_x", "Ann", "scope"}}, "fd_x"},
      {"another label of the owner", {"scope"}, {{"fd_x", "Ann", "room"}}, ""},
      {"somebody else with the label, which was the only one", {"scope", "room"}, {{"fd_x", "Bob", "scope"}}, "fd_x"},
      {"somebody else with the label, which two had", {"scope", "scope"}, {{"fd_x", "Bob", "scope"}}, ""},
      {"somebody else first, the owner later", {"scope"}, {{"fd_x", "Bob", "scope"}, {"fd_y", "Ann", "scope"}}, "fd_y"},
      {"the owner first, somebody else later", {"scope"}, {{"fd_y", "Ann", "scope"}, {"fd_x", "Bob", "scope"}}, "fd_y"},
      {"the owner twice keeps the first", {"scope"}, {{"fd_y", "Ann", "scope"}, {"fd_z", "Ann", "scope"}}, "fd_y"},
      {"nobody", {"scope"}, {}, ""},
      {"the same feed told twice", {"scope"}, {{"fd_a", "Ann", "scope"}, {"fd_a", "Ann", "scope"}}, "fd_a"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    VideoSources sources;
    sources.add(sub(1), {"fd_a", "Ann", "scope"});
    EXPECT_EQ(sources.of("fd_a"), sub(1));
    sources.lose_all(row.labels);
    EXPECT_EQ(sources.of("fd_a"), nullptr);
    EXPECT_EQ(sources.of(""), nullptr);
    for (const VideoSource& source : row.appear) sources.claim(source);
    EXPECT_EQ(sources.feed_of(sub(1)), row.shown);
  }
}

TEST(VideoSources, each_feed_goes_to_the_subscription_that_fits_it_best) {
  VideoSources sources;
  sources.add(sub(1), {"fd_1", "Ann", "camera"});
  sources.add(sub(2), {"fd_2", "Bob", "camera"});
  sources.lose_all({"camera", "camera"});
  EXPECT_EQ(sources.claim({"fd_9", "Bob", "camera"}).who, sub(2));
  EXPECT_EQ(sources.claim({"fd_1", "Ann", "camera"}).who, sub(1));
  EXPECT_EQ(sources.claim({"fd_8", "Cid", "camera"}).who, nullptr);
}

TEST(VideoSources, a_source_that_is_there_is_not_taken_from_its_subscription_and_one_that_is_removed_waits_for_nothing) {
  VideoSources sources;
  sources.add(sub(1), {"fd_1", "Ann", "camera"});
  EXPECT_EQ(sources.claim({"fd_2", "Ann", "camera"}).who, nullptr);
  sources.lose_all({"camera"});
  sources.remove(sub(1));
  EXPECT_EQ(sources.claim({"fd_1", "Ann", "camera"}).who, nullptr);
}

TEST(VideoSources, a_subscription_made_while_the_source_is_away_waits_for_its_owner) {
  VideoSources sources;
  sources.add(sub(1), {"fd_1", "Ann", "camera"}, false);
  EXPECT_EQ(sources.of("fd_1"), nullptr);
  EXPECT_EQ(sources.claim({"fd_8", "Bob", "camera"}).who, nullptr);
  EXPECT_EQ(sources.claim({"fd_9", "Ann", "camera"}).who, sub(1));
}

TEST(VideoSources, a_second_loss_restores_what_was_subscribed_first) {
  VideoSources sources;
  sources.add(sub(1), {"fd_1", "Ann", "camera"});
  sources.lose_all({"camera"});
  EXPECT_EQ(sources.claim({"fd_2", "Ann", "camera"}).who, sub(1));
  sources.lose_all({"camera"});
  EXPECT_EQ(sources.claim({"fd_3", "Ann", "camera"}).who, sub(1));
}

TEST(VideoSources, a_subscription_whose_owner_was_lost_waits_for_that_owner_and_nobody_else) {
  VideoSources sources;
  sources.add(sub(1), {"fd_1", "Ann", "camera"});
  sources.add(sub(2), {"fd_2", "Bob", "camera"});
  sources.lose("fd_1");
  EXPECT_EQ(sources.of("fd_1"), nullptr);
  EXPECT_EQ(sources.feed_of(sub(2)), "fd_2") << "the others are as they were";
  EXPECT_EQ(sources.claim({"fd_3", "Cid", "camera"}).who, nullptr) << "the label alone names another source";
  EXPECT_EQ(sources.claim({"fd_4", "Ann", "room"}).who, nullptr);
  EXPECT_EQ(sources.claim({"fd_5", "Ann", "camera"}).who, sub(1));
  sources.lose("fd_5");
  EXPECT_EQ(sources.claim({"fd_5", "Ann", "camera"}).who, sub(1)) << "under the same id, in another codec";
  sources.lose("fd_5");
  sources.lose_all({"camera"});
  EXPECT_EQ(sources.claim({"fd_6", "Ann", "camera"}).who, sub(1)) << "over a loss of this session as well";
  sources.lose("");
  EXPECT_EQ(sources.feed_of(sub(1)), "fd_6");
}

}  // namespace
}  // namespace amphi::sdk
