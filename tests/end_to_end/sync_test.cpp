// A clip in which a white flash and a 1 kHz beep begin at the same instant is published by the SDK and recorded by the real server. How
// far each flash lies from its beep is measured in the recorded files and in the export, as FFmpeg decodes them.
//
// What measuring itself adds: a beep's beginning is found to 1 ms, and a little early where Opus lets it ring before; the clip has 50
// pictures a second, and each flash begins with one, so none is lost to rounding there. WebM counts in milliseconds (half of one). The
// export has 30 pictures a second, and a picture goes to the nearest: up to 17 ms either way. The flashes are 1.02 s apart, so that they
// fall on all phases of those 30 and their median shows what is systematic.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

namespace fs = std::filesystem;

constexpr double kPictureMs = 20;  // of the clip
constexpr double kTogether = 20, kEach = 40;  // ms: the median, and any single pair

/// A flash and a beep every 1.02 s, each 100 ms long; the first at 0.5 s.
void make_clip(const fs::path& file, const std::string& seconds) {
  const auto made = run_command({"ffmpeg", "-v", "error", "-f", "lavfi", "-i",
                                 "color=black:s=320x180:r=50:d=" + seconds + ",drawbox=c=white:t=fill:enable='gte(n,25)*lt(mod(n-25,51),5)'", "-f", "lavfi", "-i",
                                 "aevalsrc=exprs='if(gte(n,24000)*lt(mod(n-24000,48960),4800),0.8*sin(2*PI*(n-24000)/48),0)':s=48000:d=" + seconds, "-c:v", "mjpeg", "-q:v", "3",
                                 "-c:a", "pcm_s16le", file.string()});
  ASSERT_EQ(made.status, 0) << made.out;
}

struct Level {
  double at_ms, value;
};

/// What one of FFmpeg's measuring filters says of each frame, at the file's own times.
std::vector<Level> levels(const fs::path& file, const std::string& option, const std::string& filter, const std::string& key) {
  const auto result = run_command({"ffmpeg", "-v", "error", "-copyts", "-i", "file:" + file.string(), option, filter, "-f", "null", "-"});
  EXPECT_EQ(result.status, 0) << file << ": " << result.out.substr(0, 500);
  std::vector<Level> found;
  std::istringstream lines(result.out);
  double at = 0;
  for (std::string line; std::getline(lines, line);) {
    if (const auto time = line.find("pts_time:"); time != std::string::npos) at = std::strtod(line.c_str() + time + 9, nullptr) * 1000;
    if (line.rfind(key, 0) == 0) found.push_back({at, std::strtod(line.c_str() + key.size(), nullptr)});
  }
  return found;
}
std::vector<Level> brightness(const fs::path& file) {
  return levels(file, "-vf", "format=gray,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-", "lavfi.signalstats.YAVG=");
}
std::vector<Level> loudness(const fs::path& file) {
  return levels(file, "-af",
                "aformat=sample_fmts=flt:channel_layouts=mono,asetnsamples=48,astats=metadata=1:reset=1:measure_perchannel=RMS_level:measure_overall=none,"
                "ametadata=print:key=lavfi.astats.1.RMS_level:file=-",
                "lavfi.astats.1.RMS_level=");
}

struct Onset {
  double at_ms;
  double unsure_ms;  // how long before it nothing is known
};
std::vector<Onset> onsets(const std::vector<Level>& series, double threshold, double offset_ms) {
  std::vector<Onset> found;
  for (std::size_t i = 1; i < series.size(); ++i)
    if (series[i].value > threshold && series[i - 1].value <= threshold) found.push_back({series[i].at_ms + offset_ms, series[i].at_ms - series[i - 1].at_ms});
  return found;
}

void expect_together(const std::string& what, const std::vector<Onset>& flashes, const std::vector<Onset>& beeps, double picture_ms, std::size_t least) {
  std::vector<double> apart;
  std::size_t left_out = 0;
  std::string all;
  for (const Onset& flash : flashes) {
    // A picture that the encoder left out, because the machine was too slow for it, tells nothing of time.
    if (flash.unsure_ms > 1.5 * picture_ms) {
      ++left_out;
      continue;
    }
    const auto near = std::min_element(beeps.begin(), beeps.end(), [&](const Onset& a, const Onset& b) { return std::abs(a.at_ms - flash.at_ms) < std::abs(b.at_ms - flash.at_ms); });
    if (near == beeps.end() || std::abs(near->at_ms - flash.at_ms) > 500) continue;
    apart.push_back(near->at_ms - flash.at_ms);
    char text[32];
    std::snprintf(text, sizeof text, " %.1f", apart.back());
    all += text;
    EXPECT_LE(std::abs(apart.back()), kEach) << what << ": the flash at " << flash.at_ms << " ms";
  }
  ASSERT_GE(apart.size(), least) << what << ": " << flashes.size() << " flashes, " << left_out << " left out, " << beeps.size() << " beeps";
  std::sort(apart.begin(), apart.end());
  const double median = apart[apart.size() / 2];
  std::printf("%s: beep after flash, ms: median %.1f, from %.1f to %.1f, of %zu (%zu left out):%s\n", what.c_str(), median, apart.front(), apart.back(), apart.size(), left_out, all.c_str());
  EXPECT_LE(std::abs(median), kTogether) << what;
}

struct Publisher {
  Publisher(ServerProcess& server, const std::string& room, VideoCodec coding, const fs::path& file, bool again)
      : codec(coding), clip(file.string()), loop(again), session(server.session_url(room), server.token(room, "player")) {}
  void publish() {
    audio = session->setOutgoingAudioFeed("sound", AudioInputComponentFile{clip, loop});
    video = session->addOutgoingVideoFeed("pictures", {VideoInputComponentFile{clip, loop}, {codec, 600'000, 320, 180, 50}});
  }
  bool flowing() const { return video->statistics().frames > 25 && audio->statistics().packets > 25; }

  VideoCodec codec;
  std::string clip;
  bool loop;
  SessionProbe session;
  std::shared_ptr<OutgoingAudioFeed> audio;
  std::shared_ptr<OutgoingVideoFeed> video;
};

void expect_tracks_together(const std::string& what, const fs::path& folder, std::size_t least) {
  const auto tracks = read_manifest(folder).at("tracks");
  std::vector<Onset> flashes, beeps;
  ASSERT_EQ(tracks.size(), 2u);
  for (const auto& track : tracks) {
    const fs::path file = folder / track.at("path").get<std::string>();
    const double offset = track.at("offsetMs");
    if (track.at("codec") == "opus")
      beeps = onsets(loudness(file), -12, offset);
    else
      flashes = onsets(brightness(file), 128, offset);
  }
  expect_together(what, flashes, beeps, kPictureMs, least);
}

void measure(const fs::path& folder, const std::string& codec, std::size_t least) {
  expect_tracks_together(codec + ", recorded files", folder, least);
  const TemporaryFolder place;
  const fs::path tracks = place.path() / "tracks.mkv";
  const auto copied = run_command({AMPHI_SERVER_BINARY, "export", folder, "--tracks", "-o", tracks});
  ASSERT_EQ(copied.status, 0) << copied.out;
  expect_together(codec + ", exported tracks", onsets(brightness(tracks), 128, 0), onsets(loudness(tracks), -12, 0), kPictureMs, least);
  const fs::path composite = place.path() / "all.mp4";
  const auto made = run_command({AMPHI_SERVER_BINARY, "export", folder, "--composite", "-o", composite});
  ASSERT_EQ(made.status, 0) << made.out;
  expect_together(codec + ", composite", onsets(brightness(composite), 128, 0), onsets(loudness(composite), -12, 0), 1000.0 / 30, least);
}

fs::path folder_of(ServerProcess& server, const std::string& room, SessionProbe& session) {
  return server.recordings() / room / session->sessionRecordingState().recordingId;
}

}  // namespace

TEST(Sync, flash_and_beep_of_a_published_clip_lie_together_in_the_recorded_files_and_in_the_export) {
  const TemporaryFolder clips;
  make_clip(clips.path() / "once.mkv", "12.24");
  make_clip(clips.path() / "loop.mkv", "5.1");
  ServerProcess server;
  // One recording is there before the clip begins; the other finds a clip that plays for a while, and begins again and again.
  Publisher once(server, "once", VideoCodec::h264, clips.path() / "once.mkv", false), looping(server, "looping", VideoCodec::vp8, clips.path() / "loop.mkv", true);
  ASSERT_TRUE(once.session.connect());
  ASSERT_TRUE(looping.session.connect());
  looping.publish();
  ASSERT_TRUE(looping.session.wait([&] { return looping.flowing(); })) << server.log();
  ASSERT_TRUE(once.session->requestSessionRecording(true));
  ASSERT_TRUE(looping.session->requestSessionRecording(true));
  ASSERT_TRUE(once.session.wait_recording(true));
  ASSERT_TRUE(looping.session.wait_recording(true));
  once.publish();
  EXPECT_TRUE(once.session.wait([&] { return once.video->state() == FeedState::stopped && once.audio->state() == FeedState::stopped; }, 60s));
  for (Publisher* publisher : {&once, &looping}) {
    ASSERT_TRUE(publisher->session->requestSessionRecording(false));
    ASSERT_TRUE(publisher->session.wait_recording(false));
  }
  measure(folder_of(server, "once", once.session), "H.264", 10);
  measure(folder_of(server, "looping", looping.session), "VP8, a clip that loops", 10);
}

}  // namespace amphi::end_to_end
