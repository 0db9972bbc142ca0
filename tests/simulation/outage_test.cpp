// What a publisher's outage, and its padding, leave in the files: a real publisher, the real session and a real recorder over the
// emulated network, in virtual time. What the session asks for again comes in one burst, in time or long after its gap was declared;
// each frame carries its number, and so the instant at which it was taken.
#include <cmath>

#include "recording/test_files.h"
#include "recording_rig.h"
#include "sfu/test_room.h"

namespace amphi::recording::test {
namespace {

constexpr Duration kStep = 4ms;
constexpr double kNear = 40;  // ms from its place
const Sender kVoice{"voice", opus(), 20ms}, kCamera{"camera", vp8(), kStep, 100'000};

struct RecorderTap final : sfu::Tap {
  explicit RecorderTap(Studio& studio_in) : studio(studio_in) {}
  void feed_added(const sfu::FeedInfo& feed, Time now) override {
    studio.recorder.add_feed({feed.id, feed.participant, feed.participant_identity, feed.label, feed.codec}, now);
  }
  void feed_removed(const FeedId& feed, Time now) override { studio.recorder.remove_feed(feed, now); }
  void packet(const FeedId& feed, const peer::ReceivedRtp& packet, Time now) override {
    studio.run_until(now);
    studio.recorder.handle_packet(feed, packet.seq, packet.header, packet.payload, now);
    studio.drain(now);
  }
  void sender_report(const FeedId& feed, rtp::NtpTime ntp, rtp::WireTimestamp timestamp, Time now) override {
    studio.run_until(now);
    studio.recorder.handle_sender_report(feed, ntp, timestamp, now);
  }
  Studio& studio;
};

/// A voice and a camera of one participant, recorded from the first frame on.
class Publisher {
 public:
  explicit Publisher(Duration one_way) : room_(1, {.delay = one_way}), client_(room_.join("par_1", true, false)) {
    lines_[0] = room_.publish(client_, testing::opus_codec(), kVoice.id);
    lines_[1] = room_.publish(client_, testing::vp8_codec(), kCamera.id);
    room_.run(10s);  // round trips are measured
    studio_.emplace(room_.world.now());
    tap_.emplace(*studio_);
    start_ = room_.world.now();
    room_.server.session->set_tap(&*tap_, start_);
  }

  void talk(Duration length) {
    for (const Time end = room_.world.now() + length; room_.world.now() < end; room_.run(kStep)) {
      const Duration t = room_.world.now() - start_;
      pass_keyframe_requests();
      if (t % kVoice.interval == 0ms) send(0, kVoice.payload(sent_[0]));
      const std::size_t asked = client_.publishing.count<peer::KeyframeRequested>();
      send(1, kCamera.payload(sent_[1], sent_[1] == 0 || asked > answered_));
      answered_ = asked;
      if (t % 1s == 0ms) report();
      client_.publishing.drain(room_.network, room_.world.now());
    }
  }
  void out_for(Duration length) {
    room_.network.partition(client_.publishing.address, true);
    talk(length);
    room_.network.partition(client_.publishing.address, false);
  }
  /// RTP that keeps the numbers going and carries nothing (RFC 3550 5.1), in the voice's stream.
  void pad() {
    client_.publishing.send(lines_[0], seq_[0]++, timestamp(0), {}, room_.world.now());
    client_.publishing.drain(room_.network, room_.world.now());
  }
  nlohmann::json stop() {
    room_.run(2s);
    room_.server.session->set_tap(nullptr, room_.world.now());
    studio_->stop(room_.world.now() - start_);
    return nlohmann::json::parse(studio_->manifest());
  }
  const Studio& studio() const { return *studio_; }
  std::uint64_t sent(bool sound) const { return sent_[sound ? 0 : 1]; }

 private:
  rtp::WireTimestamp timestamp(std::size_t which) const {
    const Sender& sender = which == 0 ? kVoice : kCamera;
    return static_cast<rtp::WireTimestamp>(sent_[which] * to_ms(sender.interval) * sender.codec.clock_rate / 1000);
  }
  void send(std::size_t which, const Bytes& payload) {
    client_.publishing.send(lines_[which], seq_[which]++, timestamp(which), payload, room_.world.now());
    ++sent_[which];
  }
  void report() {
    const auto seconds = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(room_.world.now() - start_).count());
    const auto rtp = [&](std::uint32_t rate) { return static_cast<rtp::WireTimestamp>(seconds * rate); };
    client_.publishing.peer.send_sender_report(lines_[0], {(3'900'000'000 + seconds) << 32}, rtp(48'000), room_.world.now());
    client_.publishing.peer.send_sender_report(lines_[1], {(3'900'000'000 + seconds) << 32}, rtp(90'000), room_.world.now());
  }
  void pass_keyframe_requests() {
    for (; passed_ < studio_->keyframes_wanted.size(); ++passed_) room_.server.session->request_keyframe(FeedId(studio_->keyframes_wanted[passed_].first), room_.world.now());
    room_.server.drain(room_.network, room_.world.now());
  }

  sfu::Room room_;
  sfu::ClientPair& client_;
  peer::Line lines_[2]{};
  std::optional<Studio> studio_;
  std::optional<RecorderTap> tap_;
  Time start_{};
  std::uint32_t sent_[2]{};
  rtp::Seq seq_[2]{1, 1};
  std::size_t answered_ = 0, passed_ = 0;
};

void expect_true(const Publisher& publisher, const nlohmann::json& track, Duration one_way, Duration outage) {
  const bool sound = track.at("kind") == "audio";
  const Sender& sender = sound ? kVoice : kCamera;
  const std::string path = track.at("path");
  SCOPED_TRACE(path);
  const FileFacts facts = facts_of(path, publisher.studio().file(path)->data);
  double worst = 0;
  for (std::size_t i = 0; i < facts.frames.size(); ++i) {
    const auto place = static_cast<double>(to_ms(sender.interval * facts.frames[i] + one_way));
    worst = std::max(worst, std::abs(track.at("offsetMs").get<double>() + facts.times_ms[i] - place));
    if (i == 0) continue;
    ASSERT_GT(facts.frames[i], facts.frames[i - 1]) << "an older frame lies behind a newer one, at " << facts.times_ms[i] << " ms";
  }
  EXPECT_LE(worst, kNear);
  const auto& dropped = track.at("dropped");
  const std::uint64_t lost = track.at("lostPackets");
  std::uint64_t in_gaps = 0;
  for (const auto& gap : track.at("gaps")) in_gaps += gap.at("packets").get<std::uint64_t>();
  EXPECT_EQ(facts.frames.size() + lost + dropped.value("frame_before_keyframe", std::uint64_t{0}), publisher.sent(sound)) << "each is there, or accounted for once: " << track.dump();
  EXPECT_EQ(in_gaps, lost) << track.dump();
  EXPECT_LE(lost, static_cast<std::uint64_t>(outage / sender.interval)) << "no more than was cut: " << track.dump();
  EXPECT_LE(dropped.value("late_packet", std::uint64_t{0}), lost) << "what is late was lost";
}

}  // namespace

TEST(Outage, no_frame_lies_behind_a_later_one_and_each_packet_is_accounted_for_once) {
  for (const Duration round_trip : {100ms, 200ms, 300ms, 400ms, 500ms, 600ms, 700ms})
    for (const Duration outage : {1s, 2s, 3s, 4s, 5s}) {
      SCOPED_TRACE("round trip " + std::to_string(to_ms(round_trip)) + " ms, outage " + std::to_string(to_ms(outage)) + " ms");
      Publisher publisher(round_trip / 2);
      publisher.talk(5s);
      publisher.out_for(outage);
      publisher.talk(6s);
      const auto manifest = publisher.stop();
      ASSERT_EQ(manifest.at("tracks").size(), 2u);
      for (const auto& track : manifest.at("tracks")) expect_true(publisher, track, round_trip / 2, outage);
    }
}

TEST(Outage, packets_of_padding_are_no_loss) {
  Publisher publisher(20ms);
  for (int i = 0; i < 5; ++i) {
    publisher.talk(1s);
    publisher.pad();
  }
  publisher.talk(1s);
  const auto manifest = publisher.stop();
  for (const auto& track : manifest.at("tracks")) {
    expect_true(publisher, track, 20ms, 0ms);
    for (const auto& gap : track.at("gaps")) EXPECT_EQ(gap.at("reason"), "silent") << "at the end, and nothing else";
    EXPECT_EQ(track.at("dropped").value("empty_payload", 0), track.at("kind") == "audio" ? 5 : 0);
  }
}

}  // namespace amphi::recording::test
