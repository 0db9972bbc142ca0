// What is seen in an export, pixel by pixel: the picture that stands over a gap, changes of resolution, who comes back.
#include <gtest/gtest.h>

#include <cmath>

#include "recording/test_export.h"

namespace amphi::recording {
namespace {

using namespace test;

// Picture N of a test's file is of this grey; where nobody is, it is -1.
constexpr const char* kLevels = "format=gray,geq=lum='70+40*N',format=yuv420p";
int level(double light) { return static_cast<int>(std::lround((light - 76) / 34.4)); }

/// One cell's levels over all scenes of an export, frame by frame: "level x frames".
std::string levels_of(const TemporaryFolder& folder, const ExportPlan& plan, const std::string& who) {
  std::vector<std::pair<int, int>> runs;
  for (const ExportScene& scene : plan.scenes) {
    render_scene(folder, plan, scene, "scene.mp4");
    const auto cell = std::find_if(scene.cells.begin(), scene.cells.end(), [&](const ExportCell& one) { return plan.pictures[one.piece].name == who; });
    const auto light = cell != scene.cells.end() ? brightness(folder.file("scene.mp4"), *cell) : std::vector<double>(static_cast<std::size_t>(scene.frames), 33);
    EXPECT_EQ(static_cast<std::int64_t>(light.size()), scene.frames);
    for (const double one : light) {
      if (runs.empty() || runs.back().first != level(one)) runs.emplace_back(level(one), 0);
      ++runs.back().second;
    }
  }
  std::string text;
  for (const auto& [one, frames] : runs) text += std::to_string(one) + "x" + std::to_string(frames) + " ";
  return text;
}

void use_files(ExportPlan& plan, const TemporaryFolder& folder, const std::string& anas) {
  for (ExportPiece& piece : plan.pictures) piece.file = folder.file(piece.name == "Ana" ? anas : "ben.webm");
}

TEST(ExportPictures, a_picture_stands_over_a_gap_whatever_begins_or_ends_in_it) {
  const TemporaryFolder folder;
  // At 0, 2, 4 and 6 s; the track lasts until 8 s.
  const std::string sparse = std::string("color=black:s=160x90:r=1/2:d=8,") + kLevels;
  run_ffmpeg({"-f", "lavfi", "-i", sparse, "-c:v", "libvpx", "-g", "1", folder.file("keyframes.webm")});
  run_ffmpeg({"-f", "lavfi", "-i", sparse, "-c:v", "libvpx", "-g", "99", folder.file("one_keyframe.webm")});
  run_ffmpeg({"-f", "lavfi", "-i", sparse, "-c:v", "libx264", "-bf", "0", "-g", "99", "-movflags", "frag_keyframe+empty_moov+default_base_moof", folder.file("h264.mp4")});
  run_ffmpeg({"-f", "lavfi", "-i", "color=white:s=160x90:r=30:d=1", "-c:v", "libvpx", folder.file("ben.webm")});
  const auto recorded = source({video("Ana", 0, 8000), video("Ben", 2200, 1000), video("Ben", 7400, 600)}, 8000);
  for (const std::string name : {"keyframes.webm", "one_keyframe.webm", "h264.mp4"}) {
    SCOPED_TRACE(name);
    auto around = plan_export({recorded}, {1500, 4500});  // its edges: 2.2 and 3.2 s
    ASSERT_TRUE(around);
    ASSERT_EQ(around->scenes.size(), 3u);
    use_files(*around, folder, name);
    EXPECT_EQ(levels_of(folder, *around, "Ana"), "0x15 1x60 2x15 ");
    auto silent = plan_export({recorded}, {7000, 7800});  // nothing comes any more; an edge at 7.4 s
    ASSERT_TRUE(silent);
    ASSERT_EQ(silent->scenes.size(), 2u);
    use_files(*silent, folder, name);
    EXPECT_EQ(levels_of(folder, *silent, "Ana"), "3x24 ");
  }
}

TEST(ExportPictures, who_comes_back_is_not_shown_as_before) {
  const TemporaryFolder folder;
  // At 0 and 0.5 s, and from 2.016 s on: half a frame behind the scene that this begins.
  run_ffmpeg({"-f", "lavfi", "-i", std::string("color=black:s=160x90:r=2:d=2,") + kLevels + ",settb=1/1000,setpts=if(lt(N\\,2)\\,N/2\\,2.016+(N-2)/2)/TB", "-vsync", "passthrough",
              "-enc_time_base", "1:1000", "-c:v", "libvpx", "-g", "99", folder.file("ana.webm")});
  run_ffmpeg({"-f", "lavfi", "-i", "color=white:s=160x90:r=30:d=1", "-c:v", "libvpx", folder.file("ben.webm")});
  Manifest::Track ana = video("Ana", 0, 3000);
  ana.absent_ms = {{700, 2016}};
  auto plan = plan_export({source({ana, video("Ben", 2200, 800)}, 3000)}, {});
  ASSERT_TRUE(plan);
  use_files(*plan, folder, "ana.webm");
  EXPECT_EQ(levels_of(folder, *plan, "Ana"), "0x15 1x6 -1x39 2x15 3x15 ");
}

TEST(ExportPictures, a_name_is_written_in_a_font_that_has_its_letters) {
  const TemporaryFolder folder;
  run_ffmpeg({"-f", "lavfi", "-i", "color=black:s=160x90:r=30:d=0.1", "-c:v", "libvpx", folder.file("p.webm")});
  // DejaVu Sans has neither; drawn as boxes they would be the same.
  std::vector<std::string> hashes;
  for (const std::string name : {"\xf0\x9d\x90\x80", "\xf0\x9d\x90\x81", "Ana: [x],;'\\ \xc3\xa9", ""}) {
    auto plan = plan_export({source({video(name, 0, 100)}, 100)}, {});
    ASSERT_TRUE(plan);
    plan->pictures[0].file = folder.file("p.webm");
    render_scene(folder, *plan, plan->scenes[0], "name.mp4");
    hashes.push_back(run("ffmpeg -v error -i " + folder.file("name.mp4") + " -frames:v 1 -f framemd5 - | tail -n 1").text);
  }
  std::sort(hashes.begin(), hashes.end());
  EXPECT_EQ(std::adjacent_find(hashes.begin(), hashes.end()), hashes.end()) << hashes[0];
}

TEST(ExportPictures, a_change_of_resolution_renders_nothing_twice_and_touches_nobody_else) {
  const TemporaryFolder folder;
  std::string parts;
  const char* const sizes[] = {"160x120", "320x180", "90x160", "160x120"};
  for (int i = 0; i < 4; ++i) {
    const std::string part = folder.file("part-" + std::to_string(i));
    run_ffmpeg({"-f", "lavfi", "-i", "color=black:s=" + std::string(sizes[i]) + ":r=30:d=0.5,format=gray,geq=lum='70+40*" + std::to_string(i) + "',format=yuv420p", "-c:v",
                "libx264", "-bf", "0", "-f", "h264", part});
    parts += (i > 0 ? "|" : "concat:") + part;
  }
  run_ffmpeg({"-r", "30", "-f", "h264", "-i", parts, "-c", "copy", "-movflags", "frag_keyframe+empty_moov+default_base_moof", folder.file("ana.mp4")});
  run_ffmpeg({"-f", "lavfi", "-i", "color=black:s=160x90:r=30:d=2,format=gray,geq=lum='60+3*N',format=yuv420p", "-c:v", "libvpx", "-b:v", "2M", folder.file("ben.webm")});
  auto plan = plan_export({source({video("Ana", 0, 2000), video("Ben", 0, 2000)}, 2000)}, {});
  ASSERT_TRUE(plan);
  use_files(*plan, folder, "ana.mp4");
  ASSERT_EQ(plan->scenes.size(), 1u);
  render_scene(folder, *plan, plan->scenes[0], "scene.mp4", {"-progress", folder.file("progress")});
  const std::string told = run("tail -n 12 " + folder.file("progress")).text;
  EXPECT_NE(told.find("frame=60\n"), std::string::npos) << told;
  EXPECT_NE(told.find("drop_frames=0\n"), std::string::npos) << "rendered, and thrown away: " << told;
  EXPECT_EQ(levels_of(folder, *plan, "Ana"), "0x15 1x15 2x15 3x15 ");
  const auto ben = brightness(folder.file("scene.mp4"), plan->scenes[0].cells[1]);
  ASSERT_EQ(ben.size(), 60u);
  for (std::size_t i = 0; i < ben.size(); ++i) EXPECT_NEAR(ben[i], 16 + 219.0 / 255 * (60 + 3 * static_cast<double>(i)), 2) << i;
}

}  // namespace
}  // namespace amphi::recording
