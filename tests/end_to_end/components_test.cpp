// Feed components through a real session: what an application pushes comes out at the other end under its number, a file's sound and a
// tone are heard by the others and never by their owner, and one feed's failure is its own.
#include <amphi/frame_barcode.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <set>
#include <thread>

#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

constexpr int kWidth = 640, kHeight = 360;

struct Loudness {
  std::atomic<std::uint64_t> samples{0};
  std::atomic<int> peak{0};
  AudioOutputComponentApplication output() {
    return {[this](const AudioFrame& frame) {
      samples += frame.samplesPerChannel;
      for (std::size_t i = 0; i < frame.samplesPerChannel * AudioFrame::kChannels; ++i)
        peak = std::max(peak.load(), std::abs(static_cast<int>(frame.samples[i])));
    }};
  }
};

TEST(Components, what_an_application_pushes_arrives_under_its_number) {
  ServerProcess server;
  SessionProbe sender(server.session_url("theatre"), server.token("theatre", "sender"));
  SessionProbe receiver(server.session_url("theatre"), server.token("theatre", "receiver", "subscribe"));
  ASSERT_TRUE(sender.connect());
  ASSERT_TRUE(receiver.connect());
  VideoInputComponentApplication input;
  auto outgoing = sender->addOutgoingVideoFeed("application", {input, {VideoCodec::h264, 800'000, kWidth, kHeight, 25}});
  std::atomic<bool> more{true};
  std::thread producer([&] {
    std::vector<std::uint8_t> luma(kWidth * kHeight, 60), chroma(kWidth * kHeight / 4, 128);
    auto next = std::chrono::steady_clock::now();
    for (std::uint32_t number = 0; more; ++number, next += 40ms) {
      barcode::encode(number, luma.data(), kWidth, kHeight, kWidth);
      VideoFrame frame;
      frame.width = kWidth;
      frame.height = kHeight;
      frame.planes = {luma.data(), chroma.data(), chroma.data()};
      frame.strides = {kWidth, kWidth / 2, kWidth / 2};
      frame.timestamp = next.time_since_epoch();
      (void)input.pushFrame(frame);
      std::this_thread::sleep_until(next + 40ms);  // a camera's pace
    }
  });
  std::mutex mutex;
  std::vector<std::uint32_t> numbers;
  std::shared_ptr<IncomingVideoFeed> incoming;
  const bool added = receiver.wait([&] { return !receiver.happened().feeds.empty(); });
  if (added)
    incoming = receiver->subscribeVideoFeed(receiver.happened().feeds.front().id, VideoOutputComponentApplication{[&](const VideoFrame& frame) {
      const auto number = barcode::decode({frame.planes[0], frame.width, frame.height, frame.strides[0]});
      const std::lock_guard lock(mutex);
      if (number) numbers.push_back(*number);
    }});
  EXPECT_TRUE(receiver.wait([&] {
    const std::lock_guard lock(mutex);
    return numbers.size() > 60;
  }, 15s));
  more = false;
  producer.join();
  receiver->disconnect();
  const std::lock_guard lock(mutex);
  // The feed keeps its rate: where the application is late, a picture stands twice. None comes back, and few are left out.
  for (std::size_t i = 1; i < numbers.size(); ++i) EXPECT_GE(numbers[i], numbers[i - 1]) << i;
  EXPECT_GT(std::set<std::uint32_t>(numbers.begin(), numbers.end()).size(), numbers.size() * 8 / 10);
}

TEST(Components, everybody_hears_the_others_and_nobody_their_own_voice) {
  ServerProcess server;
  Loudness at_a, at_b;
  SessionProbe a(server.session_url("theatre"), server.token("theatre", "a")), b(server.session_url("theatre"), server.token("theatre", "b"));
  ASSERT_TRUE(a.connect());
  ASSERT_TRUE(b.connect());
  a->setIncomingAudioFeed(at_a.output());
  b->setIncomingAudioFeed(at_b.output());
  auto tone = a->setOutgoingAudioFeed("tone", AudioInputComponentTone{440, 0.5});
  b->setOutgoingAudioFeed("silence", AudioInputComponentSilence{});
  EXPECT_TRUE(b.wait([&] { return at_b.samples > 2 * 48'000 && at_b.peak > 8'000; }, 15s)) << "peak " << at_b.peak;
  EXPECT_TRUE(a.wait([&] { return at_a.samples > 2 * 48'000; }, 15s));
  EXPECT_LT(at_a.peak, 200) << "a hears b's silence, and not its own tone";
  a->disconnect();
  b->disconnect();
}

TEST(Components, sound_from_a_file_is_heard) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "beep.wav";
  ASSERT_EQ(run_command({"ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=frequency=600:duration=30", "-ac", "2", file.string()}).status, 0);
  ServerProcess server;
  Loudness heard;
  SessionProbe a(server.session_url("theatre"), server.token("theatre", "a")), b(server.session_url("theatre"), server.token("theatre", "b"));
  ASSERT_TRUE(a.connect());
  ASSERT_TRUE(b.connect());
  b->setIncomingAudioFeed(heard.output());
  a->setOutgoingAudioFeed("file", AudioInputComponentFile{file.string()});
  EXPECT_TRUE(b.wait([&] { return heard.peak > 1'000; }, 15s)) << "peak " << heard.peak;
  b->disconnect();
}

TEST(Components, a_feed_that_fails_leaves_the_session_and_the_other_feeds_alone) {
  ServerProcess server;
  SessionProbe a(server.session_url("theatre"), server.token("theatre", "a"));
  ASSERT_TRUE(a.connect());
  auto broken = a->addOutgoingVideoFeed("no such file", {VideoInputComponentFile{"/nowhere/at/all.mp4"}, {}});
  auto camera = a->addOutgoingVideoFeed("no such camera", {VideoInputComponentDevice{"/dev/video99"}, {}});
  auto good = a->addOutgoingVideoFeed("pattern", {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 300'000, 320, 240, 15}});
  EXPECT_TRUE(a.wait([&] { return broken->state() == FeedState::failed && camera->state() == FeedState::failed; }, 15s));
  EXPECT_EQ(broken->error(), Errc::inputFailed) << broken->error().message();
  EXPECT_EQ(camera->error(), Errc::inputFailed) << camera->error().message();
  EXPECT_TRUE(a.wait([&] { return good->statistics().packets > 20; }, 15s));
  EXPECT_TRUE(a->isConnected());
  EXPECT_EQ(a.happened().disconnected, 0);
}

/// At its end it never plays: a seek that waited for it would keep the session's end waiting, and every other feed.
TEST(Components, a_repeated_file_of_one_picture_keeps_neither_other_feeds_nor_the_sessions_end_waiting) {
  ServerProcess server;
  const TemporaryFolder folder;
  const auto file = folder.path() / "one.mp4";
  ASSERT_EQ(run_command({"ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=1/6", "-frames:v", "1", "-c:v", "libx264", "-pix_fmt", "yuv420p", file}).status, 0);
  SessionProbe a(server.session_url("theatre"), server.token("theatre", "a"));
  ASSERT_TRUE(a.connect());
  const auto still = a->addOutgoingVideoFeed("still", {VideoInputComponentFile{file.string(), true}, {VideoCodec::vp8, 300'000, 320, 180, 15}});
  std::this_thread::sleep_for(2s);  // it is at its end by then, and begins again
  const auto good = a->addOutgoingVideoFeed("pattern", {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 300'000, 320, 240, 15}});
  EXPECT_TRUE(a.wait([&] { return good->statistics().packets > 20; }, 15s));
  a->disconnect();
  EXPECT_TRUE(a.wait([&] { return a.happened().disconnected == 1; }));
}

}  // namespace
}  // namespace amphi::end_to_end
