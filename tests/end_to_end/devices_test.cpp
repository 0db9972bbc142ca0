// Components that need a device, with the device: a window under a real X server (Xvfb), a microphone and a loudspeaker of a real sound
// server (PulseAudio with null sinks). Both are processes of the test's own, in folders of its own.
// A camera is not here: Video4Linux wants a device of the kernel's. That its absence fails one feed alone is in components_test.
#include <gtest/gtest.h>
#include <amphi/frame_barcode.h>
#include <poll.h>
#include <signal.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <numbers>
#include <numeric>

#include "server_process.h"
#include "session_probe.h"

extern char** environ;

namespace amphi::end_to_end {
namespace {

/// A process that ends with the object. Its output is at `out()`.
class Background {
 public:
  explicit Background(const std::vector<std::string>& arguments) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    out_ = ends[0];
    std::vector<char*> argv;
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    const int failed = posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failed) throw std::runtime_error("cannot start " + arguments[0]);
  }
  ~Background() { end(); }
  void end() {
    if (pid_ > 0) {
      kill(pid_, SIGTERM);
      waitpid(pid_, nullptr, 0);
      close(out_);
    }
    pid_ = -1;
  }
  /// The first line that it prints; empty: none within 15 s.
  std::string line() {
    std::string text;
    char letter = 0;
    pollfd readable{out_, POLLIN, 0};
    while (poll(&readable, 1, 15'000) > 0 && read(out_, &letter, 1) == 1 && letter != '\n') text += letter;
    return text;
  }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
};

/// GLib's complaints about a misuse of its objects end the test: nothing else would show them.
[[maybe_unused]] const int kFatal = setenv("G_DEBUG", "fatal-criticals", 1);

OutgoingVideoComponents bars(VideoCodec codec, int width, int height) {
  return {VideoInputComponentTestPattern{VideoInputComponentTestPattern::Pattern::smpte, true}, {codec, 600'000, width, height, 15}};
}

// --- the window -------------------------------------------------------------------------------------------------------------

struct Screen {
  static constexpr int kWidth = 800, kHeight = 600;
  Screen() : server({"Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"}), display(":" + server.line()) {
    if (display == ":") throw std::runtime_error("Xvfb does not start");
    setenv("DISPLAY", display.c_str(), 1);
  }
  ~Screen() { unsetenv("DISPLAY"); }

  /// What the screen shows: rows of red, green and blue.
  std::vector<std::uint8_t> look(const char* keep_as = nullptr) const {
    const TemporaryFolder folder;
    const auto file = folder.path() / "screen.rgb";
    const auto result = run_command({"ffmpeg", "-v", "error", "-f", "x11grab", "-draw_mouse", "0", "-video_size", "800x600", "-i", display, "-frames:v", "1",
                                     "-f", "rawvideo", "-pix_fmt", "rgb24", file.string()});
    if (result.status != 0) throw std::runtime_error(result.out);
    if (const char* evidence = std::getenv("AMPHI_EVIDENCE"); evidence != nullptr && keep_as != nullptr)
      run_command({"ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "800x600", "-i", file.string(), std::string(evidence) + "/" + keep_as});
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  Background server;
  std::string display;
};

/// The number in the picture whose upper left corner is the screen's.
std::optional<std::uint32_t> number_on(const std::vector<std::uint8_t>& screen, int width, int height) {
  std::vector<std::uint8_t> green(screen.size() / 3);
  for (std::size_t i = 0; i < green.size(); ++i) green[i] = screen[3 * i + 1];
  return barcode::decode({green.data(), width, height, Screen::kWidth});
}

std::string colours_on(const std::vector<std::uint8_t>& screen, int width, int y) {
  std::string found;
  for (int bar = 0; bar < 7; ++bar) {
    const auto* pixel = &screen[3 * static_cast<std::size_t>(y * Screen::kWidth + width * (2 * bar + 1) / 14)];
    const int code = (pixel[0] > 100 ? 4 : 0) + (pixel[1] > 100 ? 2 : 0) + (pixel[2] > 100 ? 1 : 0);
    found += "kbgcrmyw"[code];
  }
  return found;
}

class Window : public ::testing::TestWithParam<VideoCodec> {};

TEST_P(Window, shows_what_another_participant_sends) {
  constexpr int kWidth = 640, kHeight = 360;
  const Screen screen;
  ServerProcess server;
  SessionProbe sender(server.session_url("theatre"), server.token("theatre", "sender")), viewer(server.session_url("theatre"), server.token("theatre", "viewer", "subscribe"));
  ASSERT_TRUE(sender.connect());
  ASSERT_TRUE(viewer.connect());
  const auto outgoing = sender->addOutgoingVideoFeed("bars", bars(GetParam(), kWidth, kHeight));
  ASSERT_TRUE(viewer.wait([&] { return !viewer.happened().feeds.empty(); }));
  const auto window = viewer->subscribeVideoFeed(viewer.happened().feeds.front().id, VideoOutputComponentWindow{});
  std::optional<std::uint32_t> first, later;
  EXPECT_TRUE(viewer.wait([&] { return bool(first = number_on(screen.look(), kWidth, kHeight)); }, 15s)) << window->error().message();
  EXPECT_TRUE(viewer.wait([&] { return bool(later = number_on(screen.look(), kWidth, kHeight)) && later > *first + 10; })) << "the picture stands";
  EXPECT_TRUE(sender.wait([&] { return outgoing->statistics().frames > later.value_or(0); })) << "more than was sent";
  EXPECT_EQ(colours_on(screen.look("window.png"), kWidth, kHeight / 2), "wycgmrb") << "the bars of SMPTE ECR 1-1978";
  EXPECT_EQ(window->state(), FeedState::running);

  window->stop();
  EXPECT_TRUE(viewer.wait([&] {
    const auto pixels = screen.look();
    return std::all_of(pixels.begin(), pixels.end(), [](auto p) { return p == 0; });
  })) << "the window is gone with its feed";
}

INSTANTIATE_TEST_SUITE_P(Codecs, Window, ::testing::Values(VideoCodec::vp8, VideoCodec::h264),
                         [](const auto& row) { return row.param == VideoCodec::vp8 ? "vp8" : "h264"; });

TEST(Window, without_a_screen_fails_and_the_session_goes_on) {
  unsetenv("DISPLAY");
  ServerProcess server;
  SessionProbe sender(server.session_url("theatre"), server.token("theatre", "sender")), viewer(server.session_url("theatre"), server.token("theatre", "viewer"));
  ASSERT_TRUE(sender.connect());
  ASSERT_TRUE(viewer.connect());
  const auto outgoing = sender->addOutgoingVideoFeed("bars", bars(VideoCodec::vp8, 320, 180));
  ASSERT_TRUE(viewer.wait([&] { return !viewer.happened().feeds.empty(); }));
  const auto id = viewer.happened().feeds.front().id;
  const auto window = viewer->subscribeVideoFeed(id, VideoOutputComponentWindow{});
  EXPECT_TRUE(viewer.wait([&] { return window->state() == FeedState::failed; }, 15s));
  EXPECT_EQ(window->error(), Errc::outputFailed) << window->error().message();
  const auto again = viewer->subscribeVideoFeed(id, VideoOutputComponentNull{});
  EXPECT_TRUE(viewer.wait([&] { return again->statistics().frames > 10; }));
  EXPECT_EQ(viewer.happened().disconnected, 0);
}

// --- sound ------------------------------------------------------------------------------------------------------------------

constexpr int kRate = 48'000;
constexpr double kMicrophoneTone = 1000, kVoiceTone = 600;  // Hz

/// A sound server with two sinks. What is played into "mic" is a tone, and its monitor is our microphone; "speaker" is our loudspeaker.
struct SoundServer {
  SoundServer() : daemon((write_script(), std::vector<std::string>{"pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
                                                                   "--disable-shm", "-F", (folder.path() / "script.pa").string()})) {
    for (int i = 0; i < 1500 && !std::filesystem::exists(socket()); ++i) usleep(10'000);
    if (!std::filesystem::exists(socket())) throw std::runtime_error("pulseaudio does not start");
    setenv("PULSE_SERVER", ("unix:" + socket().string()).c_str(), 1);
  }
  ~SoundServer() {
    for (const char* name : {"PULSE_SERVER", "PULSE_RUNTIME_PATH", "PULSE_STATE_PATH", "PULSE_COOKIE"}) unsetenv(name);
  }

  /// Two seconds of what comes out of the loudspeaker.
  std::vector<std::int16_t> listen() const {
    const auto file = folder.path() / "heard.raw";
    const auto result = run_command({"ffmpeg", "-v", "error", "-y", "-f", "pulse", "-i", "speaker.monitor", "-t", "2", "-ac", "1", "-ar", "48000", "-f", "s16le", file.string()});
    if (result.status != 0) throw std::runtime_error(result.out);
    std::ifstream in(file, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
    std::vector<std::int16_t> samples(bytes.size() / 2);
    std::memcpy(samples.data(), bytes.data(), samples.size() * 2);
    return samples;
  }

  TemporaryFolder folder;
  Background daemon;

 private:
  std::filesystem::path socket() const { return folder.path() / "native"; }
  void write_script() const {
    setenv("PULSE_RUNTIME_PATH", folder.path().c_str(), 1);
    setenv("PULSE_STATE_PATH", folder.path().c_str(), 1);
    setenv("PULSE_COOKIE", (folder.path() / "cookie").c_str(), 1);
    std::ofstream(folder.path() / "script.pa") << "load-module module-null-sink sink_name=mic rate=48000\n"
                                                  "load-module module-null-sink sink_name=speaker rate=48000\n"
                                                  "load-module module-sine sink=mic frequency=" << kMicrophoneTone << "\n"
                                                  "set-default-source mic.monitor\nset-default-sink speaker\n"
                                                  "load-module module-native-protocol-unix auth-anonymous=1 socket=" << socket().string() << "\n";
  }
};

/// How loud this frequency is in it: the amplitude of the sine, of 32,767 (Goertzel's filter).
double loudness(const std::vector<std::int16_t>& samples, double frequency) {
  const double w = 2 * std::numbers::pi * frequency / kRate;
  double before = 0, last = 0;
  for (const auto sample : samples) {
    const double next = sample + 2 * std::cos(w) * last - before;
    before = std::exchange(last, next);
  }
  const double power = last * last + before * before - 2 * std::cos(w) * last * before;
  return samples.empty() ? 0 : 2 * std::sqrt(power) / static_cast<double>(samples.size());
}

struct Devices {
  const char *name, *microphone, *loudspeaker;
};
class Sound : public ::testing::TestWithParam<Devices> {};

TEST_P(Sound, of_a_microphone_comes_out_of_the_others_loudspeaker_and_nothing_else_does) {
  const SoundServer sound;
  ServerProcess server;
  SessionProbe speaker(server.session_url("theatre"), server.token("theatre", "speaker")), listener(server.session_url("theatre"), server.token("theatre", "listener"));
  ASSERT_TRUE(speaker.connect());
  ASSERT_TRUE(listener.connect());
  const auto microphone = speaker->setOutgoingAudioFeed("microphone", AudioInputComponentDevice{GetParam().microphone});
  const auto own = listener->setOutgoingAudioFeed("own voice", AudioInputComponentTone{kVoiceTone, 0.5});
  const auto loudspeaker = listener->setIncomingAudioFeed(AudioOutputComponentDevice{GetParam().loudspeaker});
  ASSERT_TRUE(listener.wait([&] { return loudspeaker->statistics().frames > 50; }, 15s)) << microphone->error().message() << ", " << loudspeaker->error().message();
  std::vector<std::int16_t> heard;
  EXPECT_TRUE(listener.wait([&] { return loudness(heard = sound.listen(), kMicrophoneTone) > 1000; }, 20s));
  // Nearly all that is heard is that tone: the power of a sine is half its amplitude squared.
  const double tone = loudness(heard, kMicrophoneTone);
  const double power = std::transform_reduce(heard.begin(), heard.end(), 0.0, std::plus{}, [](double s) { return s * s; }) / static_cast<double>(heard.size());
  std::printf("heard: %.0f at %.0f Hz, %.1f at %.0f Hz, of all %.0f %%\n", tone, kMicrophoneTone, loudness(heard, kVoiceTone), kVoiceTone, 100 * tone * tone / 2 / power);
  EXPECT_LT(loudness(heard, kVoiceTone), tone / 100) << "nobody hears their own voice";
  EXPECT_GT(tone * tone / 2, 0.9 * power);
  EXPECT_EQ(microphone->state(), FeedState::running);
  EXPECT_EQ(loudspeaker->state(), FeedState::running);
}

INSTANTIATE_TEST_SUITE_P(Devices, Sound, ::testing::Values(Devices{"named", "mic.monitor", "speaker"}, Devices{"default", "", ""}),
                         [](const auto& row) { return row.param.name; });

TEST(Sound, of_devices_that_are_not_there_or_go_away_fails_and_the_session_goes_on) {
  SoundServer sound;
  ServerProcess server;
  SessionProbe a(server.session_url("theatre"), server.token("theatre", "a")), b(server.session_url("theatre"), server.token("theatre", "b"));
  ASSERT_TRUE(a.connect());
  ASSERT_TRUE(b.connect());
  const auto no_microphone = a->setOutgoingAudioFeed("microphone", AudioInputComponentDevice{"no.such.source"});
  const auto no_loudspeaker = a->setIncomingAudioFeed(AudioOutputComponentDevice{"no.such.sink"});
  EXPECT_TRUE(a.wait([&] { return no_microphone->state() == FeedState::failed && no_loudspeaker->state() == FeedState::failed; }, 15s));
  EXPECT_EQ(no_microphone->error(), Errc::inputFailed) << no_microphone->error().message();
  EXPECT_EQ(no_loudspeaker->error(), Errc::outputFailed) << no_loudspeaker->error().message();

  const auto microphone = a->setOutgoingAudioFeed("microphone", AudioInputComponentDevice{"mic.monitor"});
  const auto loudspeaker = b->setIncomingAudioFeed(AudioOutputComponentDevice{"speaker"});
  const auto picture = a->addOutgoingVideoFeed("bars", bars(VideoCodec::vp8, 320, 180));
  ASSERT_TRUE(b.wait([&] { return loudspeaker->statistics().frames > 50; }, 15s));
  sound.daemon.end();
  EXPECT_TRUE(b.wait([&] { return microphone->state() == FeedState::failed && loudspeaker->state() == FeedState::failed; }, 15s));
  EXPECT_EQ(microphone->error(), Errc::inputFailed) << microphone->error().message();
  EXPECT_EQ(loudspeaker->error(), Errc::outputFailed) << loudspeaker->error().message();

  // Nor is there a default device any more. Silence in its stead would be believed.
  const auto default_microphone = a->setOutgoingAudioFeed("microphone", AudioInputComponentDevice{});
  const auto default_loudspeaker = b->setIncomingAudioFeed(AudioOutputComponentDevice{});
  EXPECT_TRUE(b.wait([&] { return default_microphone->state() == FeedState::failed && default_loudspeaker->state() == FeedState::failed; }, 15s));
  EXPECT_EQ(default_microphone->error(), Errc::inputFailed) << default_microphone->error().message();
  EXPECT_EQ(default_loudspeaker->error(), Errc::outputFailed) << default_loudspeaker->error().message();

  const auto before = picture->statistics().packets;
  EXPECT_TRUE(a.wait([&] { return picture->statistics().packets > before + 20; }));
  EXPECT_EQ(a.happened().disconnected, 0);
  EXPECT_EQ(b.happened().disconnected, 0);
}

}  // namespace
}  // namespace amphi::end_to_end
