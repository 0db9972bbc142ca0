// Real GStreamer pipelines, from input to RTP packets and from RTP packets to pictures, with nothing between but memory.
#include "outgoing_pipeline.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "amphi/frame_barcode.h"
#include "amphi/media_server_session.h"
#include "rtp/keyframe.h"
#include "rtp/packet.h"
#include "incoming_video.h"
#include "runtime/clock.h"

namespace amphi::sdk {
namespace {

/// What a pipeline gave; waited for, never slept for.
struct Collected {
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<OutgoingPackets> groups;
  std::vector<PipelineFailure> failures;
  int ends = 0;

  OutgoingPipeline::Events events() {
    OutgoingPipeline::Events e;
    e.packets = [this](OutgoingPackets p) { tell([&] { groups.push_back(std::move(p)); }); };
    e.failed = [this](PipelineFailure f) { tell([&] { failures.push_back(std::move(f)); }); };
    e.ended = [this] { tell([&] { ++ends; }); };
    return e;
  }
  template <class Change>
  void tell(Change change) {
    std::lock_guard lock(mutex);
    change();
    wake.notify_all();
  }
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex);
    return wake.wait_for(lock, 30s, condition);
  }
};

VideoEncodingComponent small(VideoCodec codec) { return {codec, 400'000, 640, 360, 30}; }

rtp::RtpPacket first_packet(const OutgoingPackets& group) {
  return rtp::parse_rtp(ByteView(group.bytes).first(group.sizes.front()), {}).value();
}

TEST(OutgoingPipeline, a_test_pattern_becomes_packets_of_a_bounded_size_that_begin_with_a_keyframe) {
  for (VideoCodec codec : {VideoCodec::vp8, VideoCodec::h264}) {
    Collected out;
    auto thread = std::make_shared<TaskThread>("test");
    auto pipeline = OutgoingPipeline::video({VideoInputComponentTestPattern{}, small(codec)}, thread, out.events());
    thread->post([&] { pipeline->start(); });
    ASSERT_TRUE(out.wait([&] { return out.groups.size() >= 15 || !out.failures.empty(); }));
    thread->post([&] { pipeline->stop(); });
    thread->finish();
    ASSERT_TRUE(out.failures.empty()) << out.failures[0].text;
    const auto name = codec == VideoCodec::vp8 ? rtp::CodecName::vp8 : rtp::CodecName::h264;
    EXPECT_TRUE(rtp::starts_keyframe(name, first_packet(out.groups[0]).payload));
    for (const auto& group : out.groups)
      for (std::size_t size : group.sizes) EXPECT_LE(size, 1150u);
    EXPECT_LT(out.groups.front().captured, out.groups.back().captured);
  }
}

TEST(OutgoingPipeline, a_keyframe_comes_when_asked_for) {
  Collected out;
  auto thread = std::make_shared<TaskThread>("test");
  auto pipeline = OutgoingPipeline::video({VideoInputComponentTestPattern{}, small(VideoCodec::vp8)}, thread, out.events());
  thread->post([&] { pipeline->start(); });
  ASSERT_TRUE(out.wait([&] { return out.groups.size() >= 10; }));
  pipeline->request_keyframe();
  const auto keyframes = [&] {
    int count = 0;
    for (const auto& group : out.groups) count += rtp::starts_keyframe(rtp::CodecName::vp8, first_packet(group).payload) ? 1 : 0;
    return count;
  };
  EXPECT_TRUE(out.wait([&] { return keyframes() == 2; }));
  thread->post([&] { pipeline->stop(); });
  thread->finish();
}

TEST(OutgoingPipeline, silence_and_tone_become_a_packet_each_20_ms) {
  for (AudioInputComponent input : {AudioInputComponent(AudioInputComponentSilence{}), AudioInputComponent(AudioInputComponentTone{})}) {
    Collected out;
    auto thread = std::make_shared<TaskThread>("test");
    auto pipeline = OutgoingPipeline::audio(input, {}, thread, out.events());
    thread->post([&] { pipeline->start(); });
    ASSERT_TRUE(out.wait([&] { return out.groups.size() >= 20 || !out.failures.empty(); }));
    thread->post([&] { pipeline->stop(); });
    thread->finish();
    ASSERT_TRUE(out.failures.empty());
    const auto a = first_packet(out.groups[5]).header.timestamp, b = first_packet(out.groups[15]).header.timestamp;
    EXPECT_EQ(b - a, 9600u);
    EXPECT_EQ(first_packet(out.groups[1]).header.timestamp - first_packet(out.groups[0]).header.timestamp, 960u) << "the encoder's look-ahead is not taken off";
  }
}

TEST(OutgoingPipeline, a_file_that_is_not_there_is_a_failure_of_the_input) {
  Collected out;
  auto thread = std::make_shared<TaskThread>("test");
  auto pipeline = OutgoingPipeline::video({VideoInputComponentFile{"/no/such/file.mp4", true}, {}}, thread, out.events());
  thread->post([&] { pipeline->start(); });
  ASSERT_TRUE(out.wait([&] { return !out.failures.empty(); }));
  thread->post([&] { pipeline->stop(); });
  thread->finish();
  EXPECT_EQ(out.failures[0].code, Errc::inputFailed);
}

TEST(Pipelines, the_number_drawn_into_a_picture_is_read_back_after_coding_packets_and_decoding) {
  for (VideoCodec codec : {VideoCodec::vp8, VideoCodec::h264}) {
    auto dispatcher = std::make_shared<Dispatcher>();
    auto thread = std::make_shared<TaskThread>("test");
    auto feed = std::make_shared<FeedCore>("fd", "pattern", dispatcher);
    const auto name = codec == VideoCodec::vp8 ? rtp::CodecName::vp8 : rtp::CodecName::h264;
    Collected out;
    std::vector<std::uint32_t> numbers;
    VideoOutputComponentApplication application;
    application.onFrame = [&](const VideoFrame& frame) {
      const auto number = barcode::decode({frame.planes[0], frame.width, frame.height, frame.strides[0]});
      out.tell([&] { numbers.push_back(number.value_or(0xffffffff)); });
    };
    const auto session = MediaServerSession::create({"http://127.0.0.1:1/s/x", "", "test", ""});  // events need one that lives
    dispatcher->attach(session);
    IncomingVideoPipeline incoming(application, {feed, dispatcher, thread, [] {}});
    VideoInputComponentTestPattern pattern;
    pattern.frameNumber = true;
    auto events = out.events();
    rtp::Seq seq = 0;
    events.packets = [&, keep = events.packets](OutgoingPackets packets) {
      std::size_t at = 0;
      for (std::size_t size : packets.sizes) {
        const auto packet = rtp::parse_rtp(ByteView(packets.bytes).subspan(at, size), {});
        at += size;
        seq = seq == 0 ? packet->header.seq : rtp::extend(packet->header.seq, seq);
        peer::ReceivedRtp received;
        received.seq = seq;
        received.header = packet->header;
        received.payload = packet->payload;
        incoming.inlet()->push(received);
      }
      keep(std::move(packets));
    };
    auto outgoing = OutgoingPipeline::video({pattern, small(codec)}, thread, events);
    thread->post([&] { incoming.start(name, runtime::now()); });
    thread->post([&] { outgoing->start(); });
    ASSERT_TRUE(out.wait([&] { return numbers.size() >= 20 || feed->ended(); }));
    EXPECT_FALSE(feed->ended()) << feed->error().message();
    EXPECT_EQ(feed->statistics().width, 640);
    EXPECT_EQ(feed->state(), FeedState::running);
    thread->post([&] { outgoing->stop(); });
    thread->post([&] { incoming.stop(); });
    thread->finish();
    dispatcher->stop();
    // A machine that is too slow leaves pictures out; it never repeats, reorders or misreads one.
    for (std::size_t i = 1; i < numbers.size(); ++i) EXPECT_GT(numbers[i], numbers[i - 1]) << i;
    EXPECT_LT(numbers.back(), 10'000u);
  }
}

}  // namespace
}  // namespace amphi::sdk
