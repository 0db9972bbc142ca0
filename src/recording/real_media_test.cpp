// Real coded media, in virtual time over an emulated network, recorded and then judged by ffmpeg and ffprobe.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/random.h"
#include "recording/journal.h"
#include "recording/test_files.h"
#include "recording/test_media.h"

namespace amphi::recording::test {
namespace {

constexpr Duration kLength = 6250ms;  // of the recordings; the media ends a little earlier

struct Network {
  const char* name;
  double loss;
  Duration repaired_after;  // zero: what is lost stays lost
  Duration jitter;          // beyond a packet's distance: reorders
};
constexpr Network kClean{"clean", 0, 0ms, 0ms};
constexpr Network kRepaired{"repaired", 0.05, 90ms, 30ms};
constexpr Network kLossy{"lossy", 0.05, 0ms, 30ms};

struct Source {
  std::string id;
  rtp::Codec codec;
  Duration interval;
  std::vector<Payloads> frames;
  std::vector<int> shown{};  // the place of each frame in the order in which they are shown; empty: as they are sent
  enum class Marks { last, every, none } marks = Marks::last;
};

struct Made {
  TemporaryFolder folder;
  Source vp8{"cam-vp8", vp8_codec(), Duration(33'333'333), {}};
  Source h264{"cam-h264", h264_codec(), Duration(33'333'333), {}};
  Source slow{"slow", vp8_codec(), 100ms, {}};
  Source opus{"mic", opus_codec(), 20ms, {}};

  Made() {
    const std::string video = "ffmpeg -v error -f lavfi -i testsrc2=size=320x180:rate=30:duration=6 ";
    const std::string vp8_options = "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 600k -auto-alt-ref 0 ";
    must(video + vp8_options + "-g 15 -f ivf " + folder.file("a.ivf"));
    must("ffmpeg -v error -f lavfi -i testsrc2=size=160x120:rate=10:duration=6 " + vp8_options + "-g 10 -f ivf " +
         folder.file("s.ivf"));
    must(video +
         "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -b:v 600k -g 15 "
         "-x264-params aud=1:repeat-headers=1 -f h264 " +
         folder.file("a.h264"));
    must("ffmpeg -v error -f lavfi -i sine=frequency=440:duration=6 -ac 2 -c:a libopus -b:a 64k -f ogg " +
         folder.file("a.ogg"));
    unsigned picture = 0;
    for (const Bytes& frame : ivf_frames(read_whole(folder.file("a.ivf"))))
      vp8.frames.push_back(packetize_vp8(frame, picture++));
    for (const Bytes& frame : ivf_frames(read_whole(folder.file("s.ivf"))))
      slow.frames.push_back(packetize_vp8(frame, picture++));
    for (const auto& unit : annexb_access_units(read_whole(folder.file("a.h264"))))
      h264.frames.push_back(packetize_h264(unit));
    for (const Bytes& packet : ogg_packets(read_whole(folder.file("a.ogg")))) opus.frames.push_back({packet});
  }
  static void must(const std::string& command) {
    const auto result = run(command);
    EXPECT_EQ(result.status, 0) << command << "\n" << result.text;
  }
};
Made& made() {
  static Made media;
  return media;
}

struct Arrival {
  Duration at;
  const Source* source;
  rtp::Seq seq;
  rtp::WireTimestamp timestamp;
  bool marker;
  const Bytes* payload;
};

std::vector<Arrival> arrivals(const std::vector<const Source*>& sources, const Network& network, Random& random) {
  std::vector<Arrival> all;
  for (const Source* source : sources) {
    rtp::Seq seq = 65'500;  // its wire number wraps soon
    for (std::size_t f = 0; f < source->frames.size(); ++f) {
      const Duration sent = 20ms + static_cast<std::int64_t>(f) * source->interval;
      const auto place = source->shown.empty() ? static_cast<std::int64_t>(f) : source->shown[f];
      const auto timestamp = static_cast<rtp::WireTimestamp>(
          0xffff'8000 + static_cast<std::uint64_t>((place * source->interval).count() * source->codec.clock_rate / 1'000'000'000));
      for (std::size_t p = 0; p < source->frames[f].size(); ++p, ++seq) {
        Duration at = sent + 10ms + static_cast<std::int64_t>(p) * 200us +
                      Duration(static_cast<std::int64_t>(random.unit() * static_cast<double>(network.jitter.count())));
        // Nobody knows that a first packet is missing.
        if (random.unit() < network.loss && f + p > 0) {
          if (network.repaired_after == 0ms) continue;
          at += network.repaired_after;
        }
        all.push_back({at, source, seq, timestamp, source->marks == Source::Marks::every || (source->marks == Source::Marks::last && p + 1 == source->frames[f].size()), &source->frames[f][p]});
      }
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const Arrival& a, const Arrival& b) { return a.at < b.at; });
  return all;
}

void play(Studio& studio, const std::vector<const Source*>& sources, const Network& network, std::uint64_t seed) {
  SeededRandom random(seed);
  for (const Source* source : sources) studio.recorder.add_feed(feed(source->id, source->codec), studio.at(0ms));
  for (const Arrival& a : arrivals(sources, network, random)) {
    studio.packet(a.source->id, a.seq, a.timestamp, a.marker, *a.payload, studio.at(a.at));
  }
  studio.stop(kLength);
}

nlohmann::json probe(const std::string& path, const std::string& options) {
  const auto result = run("ffprobe -v error -of json " + options + " " + path);
  return nlohmann::json::parse(result.text, nullptr, false);
}

void expect_plays_without_error(const std::string& path) {
  const auto decoded = run("ffmpeg -v error -i " + path + " -f null -");
  EXPECT_EQ(decoded.status, 0) << path;
  EXPECT_EQ(decoded.text, "") << path;
}

/// The same where the steps are uneven, of which ffmpeg's outputs complain.
void expect_decodes(const std::string& path, std::uint64_t frames) {
  const auto decoded = run("ffprobe -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 " + path);
  EXPECT_EQ(decoded.text, std::to_string(frames) + "\n") << path;
}

std::uint64_t counted_frames(const std::string& path) {
  const auto json = probe(path, "-count_frames -show_entries stream=nb_read_frames");
  if (json.is_discarded() || json["streams"].empty()) return 0;
  return std::stoull(json["streams"][0]["nb_read_frames"].get<std::string>());
}

double duration_of(const std::string& path) {
  const auto json = probe(path, "-show_entries format=duration");
  return json.is_discarded() ? -1 : std::stod(json["format"].value("duration", "-1"));
}

std::vector<double> times_of(const std::string& path) {
  std::vector<double> times;
  const auto json = probe(path, "-show_entries packet=pts_time");
  for (const auto& packet : json.at("packets")) times.push_back(std::stod(packet["pts_time"].get<std::string>()));
  return times;
}

std::vector<const Source*> all_sources() {
  return {&made().vp8, &made().h264, &made().slow, &made().opus};
}

const Source& source_of(const TrackSummary& track) {
  for (const Source* source : all_sources()) {
    if (source->id == track.feed.value) return *source;
  }
  throw std::runtime_error("a track of no feed");
}

}  // namespace

class RealMedia : public ::testing::TestWithParam<Network> {};

TEST_P(RealMedia, every_file_decodes_without_error_lasts_as_long_as_the_recording_and_seeks) {
  const Network& network = GetParam();
  Studio studio;
  play(studio, all_sources(), network, 7);
  ASSERT_TRUE(studio.finished);
  ASSERT_EQ(studio.finished->tracks.size(), 4u);
  TemporaryFolder folder;
  for (const TrackSummary& track : studio.finished->tracks) {
    SCOPED_TRACE(track.path + " over a network that is " + network.name);
    const MemoryFile& file = *studio.file(track.path);
    EXPECT_EQ(track.sha256, to_hex(sha256(file.data)));
    const std::string path = folder.write(track.path, file.data);
    expect_plays_without_error(path);
    const auto warnings = run("ffprobe -v warning -show_format " + path + " > /dev/null");
    EXPECT_EQ(warnings.text, "");
    EXPECT_EQ(counted_frames(path), track.frames);
    const std::uint64_t sent = source_of(track).frames.size();
    const bool all_arrived = network.loss == 0 || network.repaired_after > 0ms;
    EXPECT_EQ(track.frames == sent, all_arrived) << track.frames << " of " << sent;
    EXPECT_GT(track.frames, sent / 10);
    EXPECT_NEAR(duration_of(path), 6.25, 0.02);
    EXPECT_NEAR(static_cast<double>(track.duration_ms), 6250, 2);
    const auto sought = run("ffmpeg -v error -ss 3 -i " + path + " -frames 1 -f framemd5 -");
    EXPECT_EQ(sought.status, 0);
    EXPECT_NE(sought.text.find("\n0,"), std::string::npos) << "no frame after seeking: " << sought.text;
  }
}

INSTANTIATE_TEST_SUITE_P(, RealMedia, ::testing::Values(kClean, kRepaired, kLossy),
                         [](const auto& each) { return each.param.name; });

TEST(RealMediaTimes, frames_lie_on_the_time_line_where_they_were_sent) {
  Studio studio;
  play(studio, all_sources(), kRepaired, 11);
  TemporaryFolder folder;
  for (const TrackSummary& track : studio.finished->tracks) {
    SCOPED_TRACE(track.path);
    const auto times = times_of(folder.write(track.path, studio.file(track.path)->data));
    const Source& source = source_of(track);
    ASSERT_EQ(times.size(), source.frames.size());
    double worst = 0;
    for (std::size_t i = times.size() / 3; i < times.size(); ++i) {
      const double sent = 0.030 + static_cast<double>(i) * std::chrono::duration<double>(source.interval).count();
      worst = std::max(worst, std::abs(times[i] - sent));
      ASSERT_GT(times[i], times[i - 1]);
    }
    EXPECT_LT(worst, 0.020);
  }
}

namespace {

/// Five seconds of H.264 by x264, one access unit a frame; `shown` where it has B frames.
Source made_h264(const std::string& options) {
  TemporaryFolder folder;
  Made::must("ffmpeg -v error -f lavfi -i testsrc2=size=320x180:rate=30:duration=5 -c:v libx264 -preset veryfast -pix_fmt yuv420p -b:v 600k -x264-params aud=1:repeat-headers=1:scenecut=0:threads=1:" + options +
             " -f h264 " + folder.file("b.h264"));
  Source source{"cam-h264", h264_codec(), Duration(33'333'333), {}};
  for (const auto& unit : annexb_access_units(read_whole(folder.file("b.h264")))) source.frames.push_back(packetize_h264(unit));
  const auto shown = probe(folder.file("b.h264"), "-show_entries frame=coded_picture_number").at("frames");
  source.shown.resize(shown.size());
  for (std::size_t i = 0; i < shown.size(); ++i) source.shown.at(shown[i]["coded_picture_number"].get<std::size_t>()) = static_cast<int>(i);
  return source;
}

std::vector<double> shown_times(const std::string& path) {
  std::vector<double> times;
  std::istringstream lines(run("ffprobe -v error -of csv=p=0 -show_entries frame=pts_time " + path).text);
  for (std::string line; std::getline(lines, line);)
    if (!line.empty() && line[0] != ',') times.push_back(std::stod(line));
  return times;
}

}  // namespace

namespace {

struct Order {
  const char* options;
  bool reordered;
};
constexpr Order kOrders[] = {{"keyint=60:bframes=1:b-adapt=0", true},
                             {"keyint=60:bframes=2:b-adapt=0:b-pyramid=none", true},
                             {"keyint=30:bframes=3:b-adapt=0:b-pyramid=normal", true},
                             {"keyint=300:bframes=5:b-adapt=0:b-pyramid=normal:ref=4", true},
                             {"keyint=250:bframes=8:b-adapt=0:b-pyramid=none", true},
                             {"keyint=7:min-keyint=7:bframes=3:b-adapt=0", true},
                             {"keyint=300:open-gop=1:bframes=2:b-adapt=0:slices=3", true},
                             {"keyint=15:open-gop=1:bframes=3:b-adapt=0:b-pyramid=strict", true},
                             {"keyint=60:bframes=2:b-adapt=0:tff=1", true},
                             {"keyint=60:bframes=2:b-adapt=0:bff=1", true},
                             {"keyint=60:bframes=3:b-adapt=0:weightp=2:weightb=1:ref=6", true},
                             {"keyint=15:bframes=0", false}};

/// The recording of a camera whose timestamps are those of display, or those of sending.
void record(Studio& studio, Source camera, bool display_times, const Network& network = kClean, Duration from = 500ms) {
  if (!display_times) camera.shown.clear();
  studio.recorder.add_feed(feed(camera.id, camera.codec), studio.at(0ms));
  SeededRandom random(5);
  for (const Arrival& a : arrivals({&camera}, network, random)) studio.packet(camera.id, a.seq, a.timestamp, a.marker, *a.payload, studio.at(from + a.at));
}

void expect_even_steps(const std::vector<double>& times, std::size_t count) {
  ASSERT_EQ(times.size(), count);
  for (std::size_t i = 1; i < times.size(); ++i) EXPECT_NEAR(times[i] - times[i - 1], 1.0 / 30, 0.001) << "picture " << i;
}

}  // namespace

TEST(RealMediaOrder, pictures_that_are_sent_out_of_order_are_shown_in_even_steps_whatever_their_timestamps_follow) {
  for (const Order& order : kOrders) {
    const Source camera = made_h264(order.options);
    ASSERT_EQ(camera.frames.size(), 150u);
    ASSERT_EQ(std::is_sorted(camera.shown.begin(), camera.shown.end()), !order.reordered);
    for (const bool display_times : {true, false}) {
      SCOPED_TRACE(std::string(order.options) + (display_times ? " with" : " without") + " display times");
      Studio studio;
      record(studio, camera, display_times);
      studio.stop(6s);
      TemporaryFolder folder;
      const std::string path = folder.write("b.mp4", studio.file(studio.finished->tracks[0].path)->data);
      expect_plays_without_error(path);
      expect_even_steps(shown_times(path), 150);
      EXPECT_NEAR(duration_of(path), 6.0, 0.02);
      for (const double from : {0.9, 2.5, 4.0}) {
        const auto sought = run("ffmpeg -v error -ss " + std::to_string(from) + " -i " + path + " -frames 1 -f framemd5 -");
        EXPECT_EQ(sought.status, 0);
        EXPECT_NE(sought.text.find("\n0,"), std::string::npos) << "no frame after seeking: " << sought.text;
      }
      const bool sending = order.reordered && !display_times;
      for (const auto& [at, report] : studio.reports)
        for (const FeedStatus& status : report.feeds) EXPECT_EQ(status.of(FeedFault::picture_order).message, "");
      const auto manifest = nlohmann::json::parse(studio.manifest());
      EXPECT_EQ(manifest["tracks"][0].value("pictureOrder", "display"), sending ? "sending" : "display");
      EXPECT_EQ(manifest["tracks"][0]["gaps"].size(), 0u) << manifest["tracks"][0]["gaps"];
      const MemoryFile& file = *studio.file("journal.jsonl");
      const auto journal = parse_journal({reinterpret_cast<const char*>(file.data.data()), file.data.size()});
      ASSERT_TRUE(journal);
      EXPECT_EQ(journal->tracks[0].record.sending_order, sending) << "a repair knows it too";
    }
  }
}

TEST(RealMediaOrder, pictures_are_never_shown_backward_when_some_are_lost) {
  for (const Order& order : kOrders) {
    const Source camera = made_h264(order.options);
    for (const bool display_times : {true, false}) {
      SCOPED_TRACE(std::string(order.options) + (display_times ? " with" : " without") + " display times");
      for (const Network& network : {kRepaired, Network{"lossy", 0.01, 0ms, 30ms}}) {
        Studio studio;
        record(studio, camera, display_times, network);
        studio.stop(6s);
        TemporaryFolder folder;
        const std::string path = folder.write("b.mp4", studio.file(studio.finished->tracks[0].path)->data);
        expect_decodes(path, studio.finished->tracks[0].frames);
        const auto times = shown_times(path);
        for (std::size_t i = 1; i < times.size(); ++i) EXPECT_GT(times[i], times[i - 1]) << "picture " << i;
      }
    }
  }
}

TEST(RealMediaOrder, a_file_that_is_cut_off_at_any_moment_has_even_steps_and_all_but_the_last_second) {
  const Source camera = made_h264("keyint=30:bframes=3:b-adapt=0:b-pyramid=normal");
  for (Duration until = 1200ms; until < 5s; until += 370ms) {
    SCOPED_TRACE(to_ms(until));
    Studio studio;
    Source part = camera;
    part.frames.resize(static_cast<std::size_t>(until / camera.interval));
    record(studio, part, false, kClean, 0ms);
    studio.run_until(studio.at(until));
    TemporaryFolder folder;
    const std::string path = folder.write("cut.mp4", studio.files.at(1).data);
    expect_plays_without_error(path);
    auto times = shown_times(path);
    EXPECT_GT(times.size(), static_cast<std::size_t>((until - 1s) / camera.interval));
    times.resize(times.size() - 3);  // the pictures that were cut off are missing between these
    expect_even_steps(times, times.size());
  }
}

TEST(RealMediaOrder, b_frames_that_come_too_slowly_to_be_put_in_order_are_told) {
  Source camera = made_h264("keyint=60:bframes=5:b-adapt=0:b-pyramid=none");
  camera.frames.resize(60);
  camera.interval = 400ms;
  Studio studio;
  record(studio, camera, false);
  studio.stop(25s);
  std::string told;
  for (const auto& [at, report] : studio.reports)
    for (const FeedStatus& status : report.feeds)
      if (status.of(FeedFault::picture_order).changed) told = status.of(FeedFault::picture_order).message;
  EXPECT_EQ(told, "camera: B-frames without display times arrive too slowly to be put in order; frames are shown unevenly");
  EXPECT_EQ(studio.finished->tracks[0].frames, 60u) << "and all are recorded";
  TemporaryFolder folder;
  expect_decodes(folder.write("b.mp4", studio.file(studio.finished->tracks[0].path)->data), 60);
}

TEST(RealMediaMarkers, pictures_of_several_slices_are_whole_whatever_their_sender_marks) {
  for (const auto marks : {Source::Marks::last, Source::Marks::every, Source::Marks::none}) {
    for (const Network& network : {kClean, kRepaired, kLossy}) {
      SCOPED_TRACE(std::string(network.name) + " network, marks " + std::to_string(static_cast<int>(marks)));
      Source slices = made_h264("keyint=15:bframes=0:slices=4");
      Source vp8 = made().vp8;
      slices.marks = vp8.marks = marks;
      Studio studio;
      play(studio, {&slices, &vp8}, network, 13);
      ASSERT_EQ(studio.finished->tracks.size(), 2u);
      TemporaryFolder folder;
      for (const TrackSummary& track : studio.finished->tracks) {
        const std::string path = folder.write(track.path, studio.file(track.path)->data);
        expect_plays_without_error(path);
        EXPECT_EQ(counted_frames(path), track.frames);
        const std::size_t sent = (track.feed.value == slices.id ? slices : vp8).frames.size();
        EXPECT_EQ(track.frames == sent, network.loss == 0 || network.repaired_after > 0ms) << track.frames << " of " << sent;
      }
    }
  }
}

TEST(RealMediaGrowth, a_file_cut_at_any_synced_point_decodes_without_error) {
  Studio studio;
  play(studio, {&made().vp8, &made().h264, &made().opus}, kClean, 3);
  TemporaryFolder folder;
  for (const TrackSummary& track : studio.finished->tracks) {
    const MemoryFile& done = *studio.file(track.path);
    // The same recording, stopped being written in mid air.
    Studio growing;
    SeededRandom random(3);
    const Source& source = source_of(track);
    growing.recorder.add_feed(feed(source.id, source.codec), growing.at(0ms));
    std::size_t cuts = 0;
    for (const Arrival& a : arrivals({&source}, kClean, random)) {
      growing.packet(a.source->id, a.seq, a.timestamp, a.marker, *a.payload, growing.at(a.at));
      const MemoryFile* file = growing.files.files.contains(1) ? &growing.files.files.at(1) : nullptr;
      if (file == nullptr || file->synced.size() <= cuts * 5 + 1) continue;  // the first is that of its head
      ++cuts;
      SCOPED_TRACE(track.path + " cut at " + std::to_string(file->data.size()) + " of " +
                   std::to_string(done.data.size()));
      EXPECT_EQ(file->synced.back(), file->data.size()) << "every append is synced";
      const std::string path = folder.write("cut" + std::to_string(cuts) + track.path, file->data);
      expect_plays_without_error(path);
      const double behind = std::chrono::duration<double>(a.at).count() - times_of(path).back();
      EXPECT_LT(behind, 0.1) << "what was just written reaches up to now";
    }
    EXPECT_GE(cuts, 2u);
  }
}

TEST(RealMediaChange, a_change_of_resolution_stays_in_one_file_that_decodes) {
  TemporaryFolder folder;
  Made::must(
      "ffmpeg -v error -f lavfi -i testsrc2=size=480x270:rate=30:duration=2 -c:v libx264 -preset ultrafast -tune "
      "zerolatency "
      "-pix_fmt yuv420p -x264-params aud=1:repeat-headers=1 -f h264 " +
      folder.file("b.h264"));
  Made::must(
      "ffmpeg -v error -f lavfi -i testsrc2=size=480x270:rate=30:duration=2 -c:v libvpx -deadline realtime -cpu-used 8 "
      "-auto-alt-ref 0 -f ivf " +
      folder.file("b.ivf"));
  Source h264{
      "h264", h264_codec(), Duration(33'333'333), {made().h264.frames.begin(), made().h264.frames.begin() + 60}};
  Source vp8{"vp8", vp8_codec(), Duration(33'333'333), {made().vp8.frames.begin(), made().vp8.frames.begin() + 60}};
  unsigned picture = 60;
  for (const auto& unit : annexb_access_units(read_whole(folder.file("b.h264"))))
    h264.frames.push_back(packetize_h264(unit));
  for (const Bytes& frame : ivf_frames(read_whole(folder.file("b.ivf"))))
    vp8.frames.push_back(packetize_vp8(frame, picture++));
  Studio studio;
  play(studio, {&h264, &vp8}, kClean, 5);
  ASSERT_EQ(studio.finished->tracks.size(), 2u);
  for (const TrackSummary& track : studio.finished->tracks) {
    SCOPED_TRACE(track.path);
    const std::string path = folder.write(track.path, studio.file(track.path)->data);
    expect_plays_without_error(path);
    EXPECT_EQ(counted_frames(path), 120u);
    const auto sizes = run("ffprobe -v error -show_entries frame=width -of csv=p=0 " + path);
    EXPECT_NE(sizes.text.find("320"), std::string::npos);
    EXPECT_NE(sizes.text.find("480"), std::string::npos);
  }
}

}  // namespace amphi::recording::test
