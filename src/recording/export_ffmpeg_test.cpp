// An export in FFmpeg's words: where each file begins in it, sounds in their places, names and paths as hostile as they come, hundreds of people.
#include "recording/export_ffmpeg.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "recording/test_export.h"

namespace amphi::recording {
namespace {

using namespace test;

TEST(ExportFfmpeg, a_scene_takes_its_part_of_each_file_to_the_frame) {
  auto plan = plan_export({source({video("Ana", 0, 10'000), video("Ben", 2010, 4000)}, 10'000)}, {});
  ASSERT_TRUE(plan);
  const auto arguments = scene_run(*plan, plan->scenes[1], {"/n0", "/n1"}, "/graph", "/out.mp4").arguments;
  EXPECT_TRUE(has(arguments, "-frames:v", std::to_string(plan->scenes[1].frames)));
  std::vector<std::string> starts;
  for (std::size_t i = 0; i + 1 < arguments.size(); ++i)
    if (arguments[i] == "-ss") starts.push_back(arguments[i + 1]);
  EXPECT_EQ(starts, (std::vector<std::string>{"2.000000", "0.000000"})) << "frame 60 is at 2 s, where Ben's first picture is 10 ms ahead";
}

TEST(ExportFfmpeg, a_track_whose_first_frame_comes_late_stays_where_it_was) {
  const TemporaryFolder folder;
  // Black from 0.4 s, white from 1 s on; a tone from 0.4 s on.
  run_ffmpeg({"-f", "lavfi", "-i", "color=black:s=64x36:r=30:d=0.6[a];color=white:s=64x36:r=30:d=1[b];[a][b]concat", "-c:v", "libvpx", "-output_ts_offset", "0.4", folder.file("p.webm")});
  run_ffmpeg({"-f", "lavfi", "-i", "sine=d=1.6", "-c:a", "libopus", "-output_ts_offset", "0.4", folder.file("s.webm")});
  for (const std::int64_t from_ms : {0, 200, 500, 800}) {
    SCOPED_TRACE(from_ms);
    auto plan = plan_export({source({video("Ana", 0, 2000), audio("Ana", 0, 2000)}, 2000)}, {from_ms, {}});
    ASSERT_TRUE(plan);
    plan->pictures[0].file = folder.file("p.webm");
    plan->sounds[0].file = folder.file("s.webm");
    ASSERT_EQ(plan->scenes.size(), 1u);
    render_scene(folder, *plan, plan->scenes[0], "p.mp4");
    run_ffmpeg(folder, sound_run(*plan, {}, folder.file("graph"), folder.file("s.mp4")));
    const auto light = brightness(folder.file("p.mp4"), plan->scenes[0].cells[0]);
    const auto white = std::find_if(light.begin(), light.end(), [](double y) { return y > 128; }) - light.begin();
    EXPECT_NEAR(static_cast<double>(white), static_cast<double>(1000 - from_ms) * 30 / 1000, 1);
    if (from_ms >= 400) continue;
    const auto silence = run("ffmpeg -v error -i " + folder.file("s.mp4") + " -af silencedetect=n=-40dB:d=0.05,ametadata=print:key=lavfi.silence_end:file=- -f null -").text;
    ASSERT_FALSE(values_in(silence).empty()) << silence;
    EXPECT_NEAR(values_in(silence).front(), static_cast<double>(400 - from_ms) / 1000, 0.01);
  }
}

TEST(ExportFfmpeg, who_is_only_heard_stands_beside_the_others_for_as_long_as_they_are_there) {
  const TemporaryFolder folder;
  run_ffmpeg({"-f", "lavfi", "-i", "color=c=white:s=64x48:r=30:d=6", "-c:v", "libvpx", folder.file("p.webm")});
  auto plan = plan_export({source({video("Ana", 0, 6000), audio("Ben", 0, 4000)}, 6000)}, {});
  ASSERT_TRUE(plan);
  plan->pictures[0].file = folder.file("p.webm");
  ASSERT_EQ(plan->scenes.size(), 2u);
  render_scene(folder, *plan, plan->scenes[0], "both.mp4");
  ASSERT_EQ(plan->scenes[0].cells.size(), 2u);
  const auto ana = brightness(folder.file("both.mp4"), plan->scenes[0].cells[0]), ben = brightness(folder.file("both.mp4"), plan->scenes[0].cells[1]);
  ASSERT_EQ(ben.size(), 120u);
  for (std::size_t i = 0; i < ben.size(); ++i) {
    EXPECT_GT(ana[i], 100) << i;
    EXPECT_GT(ben[i], 45) << "another colour than where nobody is";
    EXPECT_LT(ben[i], 80) << "and a name: no picture";
  }
}

TEST(ExportFfmpeg, a_strangers_words_stay_words) {
  const std::string hostile = "=;#\\\n[CHAPTER]\ntitle=x':[]";
  auto plan = plan_export({source({video("Ana", 0, 1000), audio("Ana", 0, 1000)}, 1000, {{0, hostile, ""}})}, {});
  ASSERT_TRUE(plan);
  EXPECT_EQ(chapters_text(*plan), ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=\\=\\;\\#\\\\\\\n[CHAPTER]\\\ntitle\\=x':[]\n");
  // A name reaches FFmpeg by a file only.
  plan->pictures[0].name = hostile;
  const auto named = scene_run(*plan, plan->scenes[0], {"/n"}, "/g", "/o");
  EXPECT_EQ(named.graph.find("CHAPTER"), std::string::npos);
  for (const auto& argument : named.arguments) EXPECT_EQ(argument.find("CHAPTER"), std::string::npos);
  // A path may hold anything but is an input of its own, with its protocol named.
  plan->pictures[0].file = "http://x/'[a]:b";
  const auto arguments = scene_run(*plan, plan->scenes[0], {"/n"}, "/g", "/o").arguments;
  EXPECT_TRUE(has(arguments, "-i", "file:http://x/'[a]:b"));
}

TEST(ExportFfmpeg, an_mp4_file_is_read_without_its_index_of_segments) {
  using namespace std::string_literals;
  const std::string ftyp = "\0\0\0\x0c""ftypisom"s, index = "\0\0\0\x0a""sidx12"s, fragment = "\0\0\x10\0moof12"s;
  const auto head = [](const std::string& file) { return std::string(as_text(head_without_index(as_bytes(file)))); };
  EXPECT_EQ(head(ftyp + index + fragment), ftyp + "\0\0\0\x0a""free12"s);
  EXPECT_EQ(head(ftyp + fragment), "") << "there is none";
  EXPECT_EQ(head(ftyp + index), "") << "no fragment";
  EXPECT_EQ(head(ftyp + "\0\0\0\0sidx"s + fragment), "");
  EXPECT_EQ(head(ftyp + "\xff\0\0\0sidx"s + fragment), "");
  EXPECT_EQ(head(""), "");
  auto plan = plan_export({source({video("Ana", 0, 1000)}, 1000)}, {});
  ASSERT_TRUE(plan);
  plan->pictures[0].file = "/file";
  plan->pictures[0].head = "/head";
  plan->pictures[0].head_bytes = 772;
  EXPECT_TRUE(has(scene_run(*plan, plan->scenes[0], {"/n"}, "/g", "/o").arguments, "-i", "concat:/head|subfile,,start,772,end,0,,:/file"));
}

TEST(ExportFfmpeg, hundreds_of_people_fit_into_its_arguments) {
  std::vector<Manifest::Track> tracks;
  for (int i = 0; i < 600; ++i) {
    tracks.push_back(audio("P" + std::to_string(i), 1000 + i, 5000));
    tracks.push_back(video("P" + std::to_string(i), 0, 10'000));
  }
  const auto plan = plan_export({source(std::move(tracks), 10'000)}, {});
  ASSERT_TRUE(plan);
  constexpr std::size_t kLongest = 128 * 1024;  // Linux: MAX_ARG_STRLEN
  const std::string name = "/recordings/theatre/rec_1/exports/amphi-export.mp4.work/name";
  const auto expect_fits = [&](const FfmpegRun& run) {
    for (const auto& argument : run.arguments) EXPECT_LT(argument.size(), kLongest);
  };
  expect_fits(scene_run(*plan, plan->scenes[0], std::vector<std::string>(600, name), "/g", "/o"));
  std::vector<std::string> groups;
  for (std::size_t first = 0; first < plan->sounds.size(); first += kSoundsAtOnce) {
    const auto group = sound_group_run(*plan, first, "/g", "/o");
    EXPECT_LE(std::count(group.arguments.begin(), group.arguments.end(), "-i"), 64);
    groups.push_back("/group");
    expect_fits(group);
  }
  EXPECT_EQ(groups.size(), 10u);
  expect_fits(sound_run(*plan, groups, "/g", "/o"));
}

TEST(ExportFfmpeg, sounds_that_are_mixed_in_groups_are_all_heard) {
  const TemporaryFolder folder;
  run_ffmpeg({"-f", "lavfi", "-i", "sine=d=0.1", "-c:a", "libopus", folder.file("s.webm")});
  std::vector<Manifest::Track> tracks;
  for (int i = 0; i < 70; ++i) tracks.push_back(audio("P" + std::to_string(i), 100 * i, 100));
  auto plan = plan_export({source(std::move(tracks), 7000)}, {});
  ASSERT_TRUE(plan);
  for (ExportPiece& piece : plan->sounds) piece.file = folder.file("s.webm");
  std::vector<std::string> groups;
  for (std::size_t first = 0; first < plan->sounds.size(); first += kSoundsAtOnce) {
    groups.push_back(folder.file("group-" + std::to_string(first)));
    run_ffmpeg(folder, sound_group_run(*plan, first, folder.file("graph"), groups.back()));
  }
  ASSERT_EQ(groups.size(), 2u);
  run_ffmpeg(folder, sound_run(*plan, groups, folder.file("graph"), folder.file("s.mp4")));
  const auto silence = run("ffmpeg -v error -i " + folder.file("s.mp4") + " -af silencedetect=n=-40dB:d=0.05,ametadata=print:key=lavfi.silence_start:file=- -f null -").text;
  EXPECT_TRUE(values_in(silence).empty()) << silence;
  EXPECT_NEAR(std::stod(run("ffprobe -v error -show_entries stream=duration -of csv=p=0 " + folder.file("s.mp4")).text), 7, 0.03);
}

}  // namespace
}  // namespace amphi::recording
