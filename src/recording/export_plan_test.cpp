// The plan of an export: who is shown when and where, which part of which file, which sound, which chapters.
#include "recording/export_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "recording/test_export.h"

namespace amphi::recording {
namespace {

using namespace test;

/// "frames:who,who frames:…"; in brackets who is only heard.
std::string scenes(const ExportPlan& plan) {
  std::string text;
  for (const ExportScene& scene : plan.scenes) {
    text += std::to_string(scene.frames) + ":";
    for (const ExportCell& cell : scene.cells) text += cell.voice ? "(" + plan.sounds[cell.piece].name + ")," : plan.pictures[cell.piece].name + ",";
    text += " ";
  }
  return text;
}

std::string chapters(const ExportPlan& plan) {
  std::string text;
  for (const ExportChapter& chapter : plan.chapters)
    text += std::to_string(chapter.from_ms) + "-" + std::to_string(chapter.to_ms) + " " + chapter.title + "; ";
  return text;
}

TEST(ExportPlan, the_grid_follows_who_was_there_when) {
  const auto plan = plan_export({source({video("Ana", 0, 10'000), video("Ben", 2000, 4000), audio("Ana", 0, 10'000)}, 10'000)}, {});
  ASSERT_TRUE(plan);
  EXPECT_EQ(scenes(*plan), "60:Ana, 120:Ana,Ben, 120:Ana, ");
  EXPECT_EQ(plan->sounds.size(), 1u);
  EXPECT_EQ(plan->duration_ms, 10'000);
}

TEST(ExportPlan, who_was_away_for_a_while_has_no_place_meanwhile_though_the_file_goes_on) {
  Manifest::Track ana = video("Ana", 1000, 9000);
  ana.absent_ms = {{4000, 6000}, {8000, 8000}};
  const auto plan = plan_export({source({ana, video("Ben", 0, 10'000)}, 10'000)}, {});
  ASSERT_TRUE(plan);
  EXPECT_EQ(scenes(*plan), "30:Ben, 90:Ana,Ben, 60:Ben, 120:Ana,Ben, ");
  EXPECT_EQ(plan->pictures.size(), 2u) << "one file, one piece";
  const auto part = plan_export({source({ana, video("Ben", 0, 10'000)}, 10'000)}, {5000, 7000});
  ASSERT_TRUE(part);
  EXPECT_EQ(scenes(*part), "30:Ben, 30:Ana,Ben, ");
}

TEST(ExportPlan, who_is_only_heard_has_a_place_with_the_name) {
  const auto plan = plan_export({source({video("Ana", 0, 10'000), audio("Ben", 2000, 4000)}, 10'000)}, {});
  ASSERT_TRUE(plan);
  EXPECT_EQ(scenes(*plan), "60:Ana, 120:Ana,(Ben), 120:Ana, ");
  const auto later = plan_export({source({audio("Cleo", 0, 20'000), video("Cleo", 5000, 5000)}, 20'000)}, {});
  ASSERT_TRUE(later);
  EXPECT_EQ(scenes(*later), "150:(Cleo), 150:Cleo, 300:(Cleo), ");
  const auto comes = plan_export({source({video("Ana", 0, 20'000), audio("Ben", 5000, 10'000), video("Ben", 5400, 9400)}, 20'000)}, {});
  ASSERT_TRUE(comes);
  EXPECT_EQ(scenes(*comes), "162:Ana, 282:Ana,Ben, 156:Ana, ") << "not for the moment before the first keyframe and behind the last picture";
}

TEST(ExportPlan, scenes_cover_every_frame_once_whatever_the_times) {
  std::vector<Manifest::Track> tracks;
  for (int i = 0; i < 40; ++i) tracks.push_back(video("P" + std::to_string(i), i * 37 % 1999, 17 + i * 211 % 5000));
  const auto plan = plan_export({source(std::move(tracks), 7001)}, {});
  ASSERT_TRUE(plan);
  std::int64_t at = 0;
  for (const ExportScene& scene : plan->scenes) {
    EXPECT_EQ(scene.first_frame, at);
    EXPECT_GT(scene.frames, 0);
    at += scene.frames;
  }
  EXPECT_EQ(at, 210);
}

TEST(ExportPlan, a_time_in_which_nobody_shows_anything_is_a_scene_too) {
  const auto plan = plan_export({source({video("Ana", 1000, 1000)}, 3000)}, {});
  ASSERT_TRUE(plan);
  EXPECT_EQ(scenes(*plan), "30: 30:Ana, 30: ");
}

TEST(ExportPlan, a_range_cuts_tracks_and_markers) {
  const auto plan = plan_export({source({video("Ana", 500, 9000), audio("Ben", 4000, 6000)}, 10'000, {{1000, "before", ""}, {5000, "in", ""}, {8000, "after", ""}})},
                                {3000, 7000});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->duration_ms, 4000);
  EXPECT_EQ(plan->pictures[0].at_ms, 0);
  EXPECT_EQ(plan->pictures[0].file_from_ms, 2500);
  EXPECT_EQ(plan->pictures[0].duration_ms, 4000);
  EXPECT_EQ(plan->sounds[0].at_ms, 1000);
  EXPECT_EQ(plan->sounds[0].file_from_ms, 0);
  EXPECT_EQ(plan->sounds[0].duration_ms, 3000);
  EXPECT_EQ(chapters(*plan), "0-2000 Begin; 2000-4000 in; ");
}

TEST(ExportPlan, a_sessions_recordings_follow_one_another_with_a_chapter_each) {
  const auto plan = plan_export({source({video("Ana", 0, 2000)}, 2000, {{500, "cut", ""}}), source({video("Ana", 100, 2900)}, 3000, {{0, "suture", ""}})}, {});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->duration_ms, 5000);
  EXPECT_EQ(plan->pictures[1].at_ms, 2100);
  EXPECT_EQ(chapters(*plan), "0-500 Recording 1; 500-2000 cut; 2000-2001 Recording 2; 2001-5000 suture; ") << "no two begin at once: some readers would take only one";
  EXPECT_EQ(scenes(*plan), "60:Ana, 3: 87:Ana, ");
}

TEST(ExportPlan, what_is_not_there_is_refused) {
  EXPECT_FALSE(plan_export({source({video("Ana", 0, 1000)}, 1000)}, {1000, {}}));
  EXPECT_FALSE(plan_export({source({video("Ana", 0, 1000)}, 1000)}, {500, 500}));
  const auto backwards = plan_export({source({video("Ana", 0, 10'000)}, 10'000)}, {7000, 3000});
  ASSERT_FALSE(backwards);
  EXPECT_EQ(backwards.error().message, "It would end, at 3.000 s, before it begins, at 7.000 s.");
  EXPECT_FALSE(plan_export({source({}, 1000)}, {}));
  EXPECT_FALSE(plan_export({}, {}));
}

TEST(ExportPlan, cells_lie_within_the_picture_and_never_on_one_another) {
  for (std::size_t n = 0; n <= 60; ++n) {
    const auto cells = grid(n);
    ASSERT_EQ(cells.size(), n);
    for (std::size_t i = 0; i < n; ++i) {
      const ExportCell& a = cells[i];
      EXPECT_TRUE(a.x >= 0 && a.y >= 0 && a.x + a.width <= kExportWidth && a.y + a.height <= kExportHeight) << n << " " << i;
      EXPECT_EQ(a.width % 2 + a.height % 2 + a.x % 2 + a.y % 2, 0) << n;
      for (std::size_t k = 0; k < i; ++k) {
        const ExportCell& b = cells[k];
        EXPECT_TRUE(a.x >= b.x + b.width || b.x >= a.x + a.width || a.y >= b.y + b.height || b.y >= a.y + a.height) << n << " " << i << " " << k;
      }
    }
  }
  EXPECT_EQ(grid(1)[0].width, kExportWidth);
  EXPECT_EQ(grid(2)[0].width, kExportWidth / 2);
  EXPECT_EQ(grid(4)[3].y, kExportHeight / 2);
}

}  // namespace
}  // namespace amphi::recording
