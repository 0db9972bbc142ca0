// Whether each feed is being recorded, as everybody is told while the recording runs; and a greedy participant beside a well-behaved one.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "dtls/transport.h"
#include "peer/peer.h"
#include "hostile_offer.h"
#include "raw_client.h"
#include "recorded_files.h"
#include "runtime/clock.h"
#include "runtime/media_loop.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

using nlohmann::json;
const std::string kSignalling = "/v1/sessions/theatre/signalling";

json join(const std::string& token) { return {{"type", "join"}, {"version", 1}, {"token", token}}; }

/// Publishes one VP8 feed over the real transport, 30 small frames a second; keyframes only while `keyframes` is set.
class Sender final : public runtime::MediaHandler {
 public:
  Sender() : certificate_(dtls::Certificate::generate().value()) {
    loop_ = runtime::MediaLoop::create("sender", {Address::v4(127, 0, 0, 1, 0)}, *this).value();
    peer_ = std::make_unique<peer::Peer>(peer::Config{peer::End::client, loop_->local_addresses(), certificate_, "sender"}, random_);
    peer_->add_line({"", {rtp::CodecName::vp8, 90'000, 0, ""}, "s", "t"});
  }
  void publish(RawClient& signalling, const std::string& label) {
    signalling.send({{"type", "publishOffer"}, {"sdp", peer_->create_offer(runtime::now())}, {"feeds", {{{"mid", "0"}, {"kind", "video"}, {"label", label}}}}});
    const auto answer = signalling.receive_type("publishAnswer");
    ASSERT_TRUE(answer);
    ASSERT_TRUE(peer_->accept_answer(answer->at("sdp").get<std::string>(), runtime::now()));
    loop_->start();
  }
  void handle_datagrams(std::span<Datagram> in, SendBatch& out, Time now) override {
    for (auto& datagram : in) peer_->handle_input(datagram, now);
    drain(out);
  }
  void handle_timeout(SendBatch& out, Time now) override {
    peer_->handle_timeout(now);
    drain(out);
    if (!peer_->connected() || now < frame_at_) return;
    frame_at_ = now + 33ms;
    // RFC 7741: descriptor, and a frame header of 320 x 180 with a first partition of 20 bytes.
    const bool key = keyframes && sent_ % 30 == 0;
    Bytes payload;
    for (const int byte : {0x10, key ? 0x90 : 0x91, 0x02, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00}) payload.push_back(static_cast<std::byte>(byte));
    payload.resize(60);
    ++sent_;
    peer_->send_rtp(0, sent_, {true, 0, 0, static_cast<rtp::WireTimestamp>(sent_ * 2970), 0}, payload, out, now);
  }
  Time next_timeout() const noexcept override { return std::min(peer_->next_timeout(), peer_->connected() ? frame_at_ : Time::max()); }

  std::atomic<bool> keyframes{false};

 private:
  void drain(SendBatch& out) {
    while (auto output = peer_->poll_output())
      if (const auto* transmit = std::get_if<Transmit>(&*output)) out.send(*transmit);
  }
  runtime::SystemRandom random_;
  std::shared_ptr<const dtls::Certificate> certificate_;
  std::unique_ptr<peer::Peer> peer_;
  rtp::Seq sent_ = 0;
  Time frame_at_{};
  std::unique_ptr<runtime::MediaLoop> loop_;
};

const MediaServerSession::SessionRecordingState::Feed* find(const MediaServerSession::SessionRecordingState& state, const std::string& label) {
  const auto found = std::find_if(state.feeds.begin(), state.feeds.end(), [&](const auto& feed) { return feed.label == label; });
  return found != state.feeds.end() ? &*found : nullptr;
}

std::string metric(const ServerProcess& server, const std::string& name) {
  const std::string text = http(server.port(), "GET", "/metrics").body;
  const auto at = text.find("\n" + name + " ");
  return at == std::string::npos ? "" : text.substr(at + name.size() + 2, text.find('\n', at + 1) - at - name.size() - 2);
}

TEST(RecordingStatus, a_feed_that_cannot_be_recorded_is_told_to_everybody_with_its_reason_and_so_is_its_recovery) {
  ServerProcess server;
  SessionProbe surgeon(server.session_url("theatre"), server.token("theatre", "surgeon"));
  SessionProbe student(server.session_url("theatre"), server.token("theatre", "student", "subscribe"));
  ASSERT_TRUE(surgeon.connect() && student.connect()) << server.log();
  surgeon->setOutgoingAudioFeed("voice", AudioInputComponentTone{});
  RawClient signalling(server.port(), kSignalling);
  signalling.send(join(server.token("theatre", "tower")));
  ASSERT_TRUE(signalling.receive_type("joined"));
  Sender sender;
  sender.publish(signalling, "endoscope");
  ASSERT_TRUE(surgeon->requestSessionRecording(true));
  ASSERT_TRUE(surgeon.wait_recording(true)) << server.log();
  for (SessionProbe* each : {&surgeon, &student}) {
    ASSERT_TRUE(each->wait([&] {
      const auto state = (*each)->sessionRecordingState();
      const auto *scope = find(state, "endoscope"), *voice = find(state, "voice");
      return scope && !scope->recorded && scope->reason == "no_keyframe" && voice && voice->recorded;
    }, 15s)) << server.log();
    const auto state = (*each)->sessionRecordingState();
    EXPECT_EQ(find(state, "endoscope")->message.rfind("endoscope: not recorded, no keyframe for ", 0), 0u) << find(state, "endoscope")->message;
    ASSERT_EQ(state.warnings.size(), 1u);
    EXPECT_EQ(state.warnings[0].code, "feed_not_recorded");
    EXPECT_EQ(state.warnings[0].feedId, find(state, "endoscope")->feedId);
    ASSERT_TRUE(state.warning);
    EXPECT_EQ(state.warning->code, "feed_not_recorded");
  }
  EXPECT_EQ(metric(server, "amphi_feeds_not_recorded"), "1");
  EXPECT_EQ(metric(server, "amphi_feeds_not_recorded_total{reason=\"no_keyframe\"}"), "1");
  EXPECT_NE(server.log().find("recording.feed_not_recorded"), std::string::npos);

  sender.keyframes = true;
  ASSERT_TRUE(student.wait([&] {
    const auto state = student->sessionRecordingState();
    return find(state, "endoscope") && find(state, "endoscope")->recorded && state.warnings.empty();
  }, 15s)) << server.log();
  EXPECT_EQ(metric(server, "amphi_feeds_not_recorded"), "0");
  const auto folder = server.recordings() / "theatre" / surgeon->sessionRecordingState().recordingId;
  ASSERT_TRUE(surgeon->requestSessionRecording(false));
  ASSERT_TRUE(surgeon.wait_recording(false));
  EXPECT_TRUE(surgeon->sessionRecordingState().feeds.empty());
  const auto manifest = read_manifest(folder);
  EXPECT_EQ(manifest.at("tracks").size(), 2u);
  expect_sound(folder);
}

TEST(RecordingStatus, a_guest_who_offers_thousands_of_feeds_without_media_keeps_no_feed_of_others_from_being_recorded) {
  ServerProcess server;
  SessionProbe surgeon(server.session_url("theatre"), server.token("theatre", "surgeon"));
  ASSERT_TRUE(surgeon.connect()) << server.log();
  ASSERT_TRUE(surgeon->requestSessionRecording(true));
  ASSERT_TRUE(surgeon.wait_recording(true)) << server.log();
  const auto told = [&] {
    const auto state = surgeon->sessionRecordingState();
    return std::any_of(state.warnings.begin(), state.warnings.end(), [](const auto& warning) { return warning.code == "limit_exceeded"; });
  };
  // Until the guest has reached its limit, and everybody is told. One connection may send 200 messages at once.
  const std::string beyond = "amphi_drops_total{where=\"recording\",reason=\"unlisted_feed\"}";
  std::unique_ptr<RawClient> guest;
  int turn = 0;
  ASSERT_TRUE(surgeon.wait([&] {
    for (int i = 0; i < 50; ++i, ++turn) {
      if (turn % 130 == 0) {
        guest = std::make_unique<RawClient>(server.port(), kSignalling);
        guest->send(join(server.token("theatre", "guest", "publish")));
        EXPECT_TRUE(guest->receive_type("joined")) << server.log();
      }
      guest->send(offer_without_media(turn));
      const auto answer = guest->receive_type("publishAnswer");
      EXPECT_TRUE(answer) << "turn " << turn << "\n" << server.log();
      if (!answer) return true;
    }
    return told();
  }, 60s)) << turn << " offers\n" << server.log();
  EXPECT_TRUE(told());
  EXPECT_NE(metric(server, beyond), "0");
  const auto scope = surgeon->addOutgoingVideoFeed("endoscope", numbered(VideoCodec::vp8));
  ASSERT_TRUE(surgeon.wait([&] {
    const auto state = surgeon->sessionRecordingState();
    return find(state, "endoscope") && find(state, "endoscope")->recorded && scope->statistics().frames > 50;
  }, 20s)) << server.log();
  const auto folder = server.recordings() / "theatre" / surgeon->sessionRecordingState().recordingId;
  ASSERT_TRUE(surgeon->requestSessionRecording(false));
  ASSERT_TRUE(surgeon.wait_recording(false));
  const auto manifest = read_manifest(folder);
  ASSERT_EQ(manifest.at("tracks").size(), 1u);
  EXPECT_EQ(manifest.at("tracks")[0].at("label"), "endoscope");
  EXPECT_GT(manifest.at("tracks")[0].at("frames").get<int>(), 40);
  EXPECT_LT(manifest.at("feedsWithoutMedia").size(), 250u);
  expect_sound(folder);
}

}  // namespace
}  // namespace amphi::end_to_end
