// The plan of an export: who is shown when and where, which part of which file, which sound, which chapters; and names as hostile as
// they come.
#include "recording/export_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "recording/test_files.h"
#include "recording/test_media.h"

namespace amphi::recording {
namespace {

Manifest::Track track(const std::string& who, rtp::CodecName codec, std::int64_t offset_ms, std::int64_t duration_ms) {
  Manifest::Track t;
  t.path = who + ".bin";
  t.codec.name = codec;
  t.offset_ms = offset_ms;
  t.duration_ms = duration_ms;
  t.participant_identity = who;
  return t;
}
Manifest::Track video(const std::string& who, std::int64_t offset_ms, std::int64_t duration_ms) { return track(who, rtp::CodecName::vp8, offset_ms, duration_ms); }
Manifest::Track audio(const std::string& who, std::int64_t offset_ms, std::int64_t duration_ms) { return track(who, rtp::CodecName::opus, offset_ms, duration_ms); }

ExportSource source(std::vector<Manifest::Track> tracks, std::int64_t duration_ms, std::vector<Marker> markers = {}) {
  ExportSource s;
  s.manifest.id = RecordingId("rec");
  s.manifest.duration_ms = duration_ms;
  s.manifest.tracks = std::move(tracks);
  s.manifest.markers = std::move(markers);
  s.folder = "/r";
  return s;
}

/// "frames:who,who frames:…"
std::string scenes(const ExportPlan& plan) {
  std::string text;
  for (const ExportScene& scene : plan.scenes) {
    text += std::to_string(scene.frames) + ":";
    for (const ExportCell& cell : scene.cells) text += plan.pictures[cell.piece].name + ",";
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

bool has(const std::vector<std::string>& arguments, const std::string& name, const std::string& value) {
  const auto found = std::find(arguments.begin(), arguments.end(), name);
  return found != arguments.end() && std::next(found) != arguments.end() && *std::next(found) == value;
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
  EXPECT_EQ(scenes(*plan), "30:Ben, 90:Ana,Ben, 60:Ben, 60:Ana,Ben, 60:Ana,Ben, ");
  EXPECT_EQ(plan->pictures.size(), 2u) << "one file, one piece";
  const auto part = plan_export({source({ana, video("Ben", 0, 10'000)}, 10'000)}, {5000, 7000});
  ASSERT_TRUE(part);
  EXPECT_EQ(scenes(*part), "30:Ben, 30:Ana,Ben, ");
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
  EXPECT_FALSE(plan_export({source({video("Ana", 0, 1000)}, 1000)}, {700, 300}));
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

TEST(ExportPlan, a_scene_takes_its_part_of_each_file_to_the_frame) {
  auto plan = plan_export({source({video("Ana", 0, 10'000), video("Ben", 2010, 4000)}, 10'000)}, {});
  ASSERT_TRUE(plan);
  const auto arguments = scene_arguments(*plan, plan->scenes[1], {"/n0", "/n1"}, "/font.ttf", "/out.mp4");
  EXPECT_TRUE(has(arguments, "-frames:v", std::to_string(plan->scenes[1].frames)));
  std::vector<std::string> starts;
  for (std::size_t i = 0; i + 1 < arguments.size(); ++i)
    if (arguments[i] == "-ss") starts.push_back(arguments[i + 1]);
  EXPECT_EQ(starts, (std::vector<std::string>{"2.000000", "0.000000"})) << "frame 60 is at 2 s, where Ben's first picture is 10 ms ahead";
}

/// `ffmpeg` with these arguments.
void run_ffmpeg(const std::vector<std::string>& arguments) {
  std::string command = "ffmpeg -v error -nostdin -y";
  for (const auto& argument : arguments) command += " '" + argument + "'";
  const auto result = test::run(command);
  EXPECT_EQ(result.status, 0) << command << "\n" << result.text;
}

/// "lavfi.…=VALUE" lines.
std::vector<double> values_in(const std::string& text) {
  std::vector<double> values;
  for (std::size_t at = 0; (at = text.find("lavfi.", at)) != std::string::npos;) values.push_back(std::stod(text.substr(at = text.find('=', at) + 1)));
  return values;
}

TEST(ExportPlan, a_track_whose_first_frame_comes_late_stays_where_it_was) {
  const test::TemporaryFolder folder;
  // Black from 0.4 s, white from 1 s on; a tone from 0.4 s on.
  run_ffmpeg({"-f", "lavfi", "-i", "color=black:s=64x36:r=30:d=0.6[a];color=white:s=64x36:r=30:d=1[b];[a][b]concat", "-c:v", "libvpx", "-output_ts_offset", "0.4", folder.file("p.webm")});
  run_ffmpeg({"-f", "lavfi", "-i", "sine=d=1.6", "-c:a", "libopus", "-output_ts_offset", "0.4", folder.file("s.webm")});
  for (const std::int64_t from_ms : {0, 200, 500, 800}) {
    SCOPED_TRACE(from_ms);
    auto plan = plan_export({source({video("Ana", 0, 2000), audio("Ana", 0, 2000)}, 2000)}, {from_ms, {}});
    ASSERT_TRUE(plan);
    plan->pictures[0].file = folder.file("p.webm");
    plan->sounds[0].file = folder.file("s.webm");
    (void)folder.write("name", as_bytes("Ana"));
    ASSERT_EQ(plan->scenes.size(), 1u);
    run_ffmpeg(scene_arguments(*plan, plan->scenes[0], {folder.file("name")}, "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", folder.file("p.mp4")));
    run_ffmpeg(sound_arguments(*plan, folder.file("s.mp4")));
    const auto light = values_in(test::run("ffmpeg -v error -i " + folder.file("p.mp4") + " -vf signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=- -f null -").text);
    const auto white = std::find_if(light.begin(), light.end(), [](double y) { return y > 128; }) - light.begin();
    EXPECT_NEAR(static_cast<double>(white), static_cast<double>(1000 - from_ms) * 30 / 1000, 1);
    if (from_ms >= 400) continue;
    const auto silence = test::run("ffmpeg -v error -i " + folder.file("s.mp4") + " -af silencedetect=n=-40dB:d=0.05,ametadata=print:key=lavfi.silence_end:file=- -f null -").text;
    ASSERT_FALSE(values_in(silence).empty()) << silence;
    EXPECT_NEAR(values_in(silence).front(), static_cast<double>(400 - from_ms) / 1000, 0.01);
  }
}

TEST(ExportPlan, a_strangers_words_stay_words) {
  const std::string hostile = "=;#\\\n[CHAPTER]\ntitle=x':[]";
  auto plan = plan_export({source({video("Ana", 0, 1000), audio("Ana", 0, 1000)}, 1000, {{0, hostile, ""}})}, {});
  ASSERT_TRUE(plan);
  EXPECT_EQ(chapters_text(*plan), ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=\\=\\;\\#\\\\\\\n[CHAPTER]\\\ntitle\\=x':[]\n");
  // A name reaches FFmpeg by a file only.
  plan->pictures[0].name = hostile;
  for (const auto& argument : scene_arguments(*plan, plan->scenes[0], {"/n"}, "/f", "/o")) EXPECT_EQ(argument.find("CHAPTER"), std::string::npos);
  // A path may hold anything but is an input of its own, with its protocol named.
  plan->pictures[0].file = "http://x/'[a]:b";
  const auto arguments = scene_arguments(*plan, plan->scenes[0], {"/n"}, "/f", "/o");
  EXPECT_TRUE(has(arguments, "-i", "file:http://x/'[a]:b"));
}

}  // namespace
}  // namespace amphi::recording
