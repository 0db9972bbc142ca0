// Sources that change on one m-line, through real peers, the session and a recorder in virtual time: each frame carries its source and
// its number. All frames of the selected sources are in the file, verify finds the recording sound, and a viewer sees numbers without a
// gap and timestamps that go on.
#include <algorithm>

#include "recording/verify.h"
#include "recording_rig.h"
#include "sdp/session_description.h"
#include "sfu/test_room.h"

namespace amphi::recording::test {
namespace {

constexpr Time kStart = Time(50s);

struct Turn {
  int source;
  Duration from, to;
  Duration late{};  // of its last packet
};

struct Row {
  const char* what;
  std::vector<Turn> turns;
  std::vector<std::pair<int, int>> out;  // runs of frames: of which source, how many
  bool competing = false;
};

/// One offer's m-line that names the sources of several lines of a client; so a client peer sends several sources on it.
std::string merged_offer(const std::string& offer) {
  auto description = sdp::parse(offer).value();
  sdp::Media& media = description.media.front();
  for (std::size_t i = 1; i < description.media.size(); ++i) {
    const sdp::Media& other = description.media[i];
    media.ssrcs.insert(media.ssrcs.end(), other.ssrcs.begin(), other.ssrcs.end());
    media.ssrc_groups.insert(media.ssrc_groups.end(), other.ssrc_groups.begin(), other.ssrc_groups.end());
  }
  std::erase_if(media.extensions, [](const auto& extension) { return extension.uri.ends_with("sdes:mid"); });
  description.media.resize(1);
  description.bundle = {media.mid};
  return sdp::write(description);
}
std::string split_answer(const std::string& answer, const std::vector<peer::LineInfo>& lines) {
  auto description = sdp::parse(answer).value();
  description.media.resize(1);
  description.bundle.clear();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) description.media.push_back(description.media.front());
    description.media[i].mid = lines[i].mid;
    description.bundle.push_back(lines[i].mid);
  }
  return sdp::write(description);
}

/// A publisher with up to three sources on one line, a viewer, and a recorder.
class Stage final : sfu::Tap {
 public:
  explicit Stage(const Sender& sender, int sources = 3, double loss = 0)
      : sender_(sender), room_(1, {.delay = 10ms, .loss = loss}), client_(room_.join("par_1", true, false)), viewer_(room_.join("par_2", false, true)) {
    for (int i = 0; i < sources; ++i) lines_.push_back(client_.publishing.peer.add_line({"", sender.codec, "stream", "track"}));
    const auto lines = client_.publishing.peer.lines();
    const auto offer = merged_offer(client_.publishing.peer.create_offer(now()));
    const auto answer = room_.server.session->publish_offer(client_.id, offer, {{lines[0].mid, sender.codec.kind(), "mixer"}}, now());
    EXPECT_TRUE(answer);
    EXPECT_EQ(answer->feeds.size(), 1u);
    EXPECT_TRUE(client_.publishing.peer.accept_answer(split_answer(answer->sdp, lines), now()));
    room_.signal();
    room_.run(5s);
    start_ = now();
    recorder_.emplace(RecordingInfo{RecordingId("rec_1"), SessionId("room"), "surgeon", WallTime{1'700'000'000'000}, Duration{}, RecordingId()}, start_);
    room_.server.session->set_tap(this, start_);
    keyframe_due_.assign(static_cast<std::size_t>(sources), true);
    sent_.assign(static_cast<std::size_t>(sources), 0);
    for (int i = 0; i < sources; ++i) zero_.push_back(0x4000'0000u + static_cast<std::uint32_t>(i) * 0x6000'0000u);
  }

  void play(const std::vector<Turn>& turns) {
    Duration end{};
    for (const Turn& turn : turns) end = std::max(end, turn.to + turn.late);
    for (Duration t{}; t < end; t += 1ms) {
      for (const Turn& turn : turns) {
        const Duration step = t - turn.from;
        const bool last = step >= 0ms && step + sender_.interval >= turn.to - turn.from;
        if (t >= turn.from && t < turn.to && step % sender_.interval == 0ms && !(last && turn.late > 0ms)) send(turn.source, t);
        if (turn.late > 0ms && t == turn.from + (turn.to - turn.from - 1ms) / sender_.interval * sender_.interval + turn.late) send(turn.source, t - turn.late);
      }
      run(1ms);
    }
  }
  void run(Duration by) { room_.run(by); }
  void send(int source, Duration t) {
    const auto index = static_cast<std::size_t>(source);
    const auto asked = keyframe_requests();
    if (asked > answered_) std::fill(keyframe_due_.begin(), keyframe_due_.end(), true);
    answered_ = asked;
    const bool key = std::exchange(keyframe_due_[index], false) || sender_.codec.kind() == rtp::Kind::audio;
    const int number = sent_[index]++;
    const auto ticks = static_cast<rtp::WireTimestamp>(t.count() / 1000 * sender_.codec.clock_rate / 1'000'000);
    client_.publishing.send(lines_[index], first_seq_[index] + number, zero_[index] + ticks, sender_.payload(static_cast<std::uint32_t>(source * 100'000 + number), key), now());
    client_.publishing.drain(room_.network, now());
  }
  void report(int source, rtp::NtpTime ntp, Duration t) {
    const auto index = static_cast<std::size_t>(source);
    const auto ticks = static_cast<rtp::WireTimestamp>(t.count() / 1000 * sender_.codec.clock_rate / 1'000'000);
    client_.publishing.peer.send_sender_report(lines_[index], ntp, zero_[index] + ticks, now());
    client_.publishing.drain(room_.network, now());
  }
  std::size_t reports_seen() const { return viewer_.subscribing.count<peer::SenderReported>(); }
  /// The source's sender starts again: other numbers and timestamps.
  void start_again(int source) {
    const auto index = static_cast<std::size_t>(source);
    first_seq_[index] += 12'345;
    zero_[index] -= 0x2000'0000u;
    keyframe_due_[index] = true;
  }
  void stop() {
    run(1s);
    room_.server.session->set_tap(nullptr, now());
    recorder_->stop(now(), WallTime{1'700'000'009'000});
    serve(now());
  }

  nlohmann::json track() const {
    const auto manifest = nlohmann::json::parse(as_text(disk_.content("manifest.json")));
    EXPECT_EQ(manifest["tracks"].size(), 1u);
    return manifest["tracks"].at(0);
  }
  std::vector<std::uint32_t> recorded() const {
    const std::string path = track()["path"];
    return facts_of(path, disk_.content(path)).frames;
  }
  std::vector<std::uint32_t> seen() const {
    std::vector<std::uint32_t> frames;
    for (const auto& packet : viewer_.subscribing.received) frames.push_back(last_number(packet.payload));
    return frames;
  }
  const std::vector<testing::ReceivedCopy>& viewed() const { return viewer_.subscribing.received; }
  VerifyReport verified() const { return verify(disk_, {}); }
  std::uint64_t dropped(peer::Drop drop) const { return room_.server.session->peer_drops()[drop]; }
  std::size_t told() const { return sfu::count<sfu::SourcesCompete>(room_.server.events); }
  Time now() const { return room_.world.now(); }
  std::uint64_t keyframe_requests() const { return client_.publishing.count<peer::KeyframeRequested>(); }

 private:
  void serve(Time at) {
    testing::serve(*recorder_, disk_, at, [&](const Output& output) {
      if (const auto* wanted = std::get_if<KeyframeWanted>(&output)) room_.server.session->request_keyframe(wanted->feed, at);
    });
  }
  void step(Time at) {
    for (Time next = recorder_->next_timeout(); next <= at; next = recorder_->next_timeout()) recorder_->handle_timeout(next), serve(next);
  }
  void feed_added(const sfu::FeedInfo& feed, Time at) override { recorder_->add_feed({feed.id, feed.participant, feed.participant_identity, feed.label, feed.codec}, at); }
  void feed_removed(const FeedId& feed, Time at) override { recorder_->remove_feed(feed, at); }
  void packet(const FeedId& feed, const peer::ReceivedRtp& packet, Time at) override {
    step(at);
    recorder_->handle_packet(feed, packet.seq, packet.header, packet.payload, at);
    serve(at);
  }
  void sender_report(const FeedId& feed, rtp::NtpTime ntp, rtp::WireTimestamp timestamp, Time at) override {
    step(at);
    recorder_->handle_sender_report(feed, ntp, timestamp, at);
  }
  void packets_dropped(const FeedId& feed, std::uint64_t not_selected, std::uint64_t repeated, Time at) override {
    step(at);
    if (not_selected > 0) recorder_->handle_dropped(feed, recording::Drop::not_selected_source, not_selected, at);
    if (repeated > 0) recorder_->handle_dropped(feed, recording::Drop::repeated_packet, repeated, at);
  }

  Sender sender_;
  sfu::Room room_;
  sfu::ClientPair& client_;
  sfu::ClientPair& viewer_;
  std::vector<peer::Line> lines_;
  std::optional<Recorder> recorder_;
  testing::EmulatedDisk disk_;
  Time start_{};
  std::vector<char> keyframe_due_;
  std::vector<int> sent_;
  std::vector<rtp::WireTimestamp> zero_;
  rtp::Seq first_seq_[3]{65'500, 20'000, 100};
  std::size_t answered_ = 0;
};

/// Runs of frames of one source, each frame behind the one before it.
std::vector<std::pair<int, int>> runs(const std::vector<std::uint32_t>& frames) {
  std::vector<std::pair<int, int>> result;
  std::uint32_t before = 0;
  for (const std::uint32_t frame : frames) {
    const int source = static_cast<int>(frame / 100'000);
    if (result.empty() || result.back().first != source || frame != before + 1) result.emplace_back(source, 0);
    ++result.back().second;
    before = frame;
  }
  return result;
}

void expect_continuous(const Stage& stage, std::uint32_t clock_rate) {
  const auto& viewed = stage.viewed();
  ASSERT_FALSE(viewed.empty());
  auto packets = viewed;
  std::sort(packets.begin(), packets.end(), [](const auto& a, const auto& b) { return a.seq < b.seq; });
  for (std::size_t i = 1; i < packets.size(); ++i) {
    EXPECT_EQ(packets[i].seq, packets[i - 1].seq + 1) << "frame " << last_number(packets[i].payload);
    const auto step = static_cast<std::int32_t>(packets[i].timestamp - packets[i - 1].timestamp);
    EXPECT_GT(step, 0) << "frame " << last_number(packets[i].payload);
    EXPECT_LT(step, static_cast<std::int32_t>(clock_rate)) << "frame " << last_number(packets[i].payload);
  }
}

const std::vector<Row>& rows() {
  static const std::vector<Row> table{
      {"one source", {{0, 0s, 4s}}, {{0, 100}}},
      {"the next packet is of another source", {{0, 0s, 2s}, {1, 2s, 4s}}, {{0, 50}, {1, 50}}},
      {"a source returns", {{0, 0s, 2s}, {1, 2s, 4s}, {0, 4s, 6s}}, {{0, 50}, {1, 50}, {0, 50}}},
      {"three sources in turn, each 400 ms", {{0, 0s, 400ms}, {1, 400ms, 800ms}, {2, 800ms, 1200ms}, {0, 1200ms, 1600ms}}, {{0, 10}, {1, 10}, {2, 10}, {0, 10}}},
      {"a straggler of the source before", {{0, 0s, 2s, 60ms}, {1, 2s, 4s}}, {{0, 50}, {1, 50}}},
      {"two sources at the same time", {{0, 0s, 4s}, {1, 7ms, 4s}}, {{0, 100}}, true},
      {"three sources at the same time", {{0, 0s, 4s}, {1, 7ms, 4s}, {2, 9ms, 4s}}, {{0, 100}}, true},
      {"a second source beside the first for a while", {{0, 0s, 6s}, {1, 1s, 5s}}, {{0, 150}}, true},
  };
  return table;
}

}  // namespace

TEST(Sources, every_frame_of_the_selected_source_is_recorded_and_seen) {
  for (const Sender& sender : {Sender{"camera", vp8(), 40ms, 100'000}, Sender{"camera", h264(), 40ms, 100'000}, Sender{"voice", opus(), 40ms}})
    for (const Row& row : rows()) {
      SCOPED_TRACE(std::string(row.what) + ", " + std::string(rtp::text(sender.codec.name)));
      Stage stage(sender);
      stage.play(row.turns);
      stage.stop();
      EXPECT_EQ(runs(stage.recorded()), row.out) << stage.track().dump();
      EXPECT_EQ(runs(stage.seen()), row.out);
      expect_continuous(stage, sender.codec.clock_rate);
      const auto report = stage.verified();
      EXPECT_TRUE(report.sound()) << (report.findings.empty() ? "" : report.findings[0].what);
      EXPECT_EQ(stage.dropped(peer::Drop::unknown_stream), 0u);
      EXPECT_EQ(stage.dropped(peer::Drop::not_selected_source) > 0, row.competing);
      EXPECT_EQ(stage.told(), row.competing ? 1u : 0u);
      EXPECT_EQ(stage.track()["dropped"].value("not_selected_source", std::uint64_t{0}), stage.dropped(peer::Drop::not_selected_source));
    }
}

TEST(Sources, a_switch_asks_for_a_keyframe) {
  Stage stage({"camera", vp8(), 40ms, 100'000});
  stage.play({{0, 0s, 2s}});
  stage.run(1s);
  const auto before = stage.keyframe_requests();
  stage.play({{1, 0s, 400ms}});
  EXPECT_GT(stage.keyframe_requests(), before);
}

TEST(Sources, a_source_that_starts_again_with_other_numbers_and_timestamps_goes_on) {
  for (const Sender& sender : {Sender{"camera", vp8(), 40ms, 100'000}, Sender{"voice", opus(), 40ms}}) {
    SCOPED_TRACE(sender.id);
    Stage stage(sender);
    stage.play({{0, 0s, 2s}});
    stage.start_again(0);
    stage.play({{0, 0s, 2s}});
    stage.stop();
    EXPECT_EQ(runs(stage.recorded()), (std::vector<std::pair<int, int>>{{0, 100}})) << stage.track().dump();
    EXPECT_LE(stage.track()["lostPackets"].get<int>(), 1) << "a step of 12,345 numbers is no loss of as many packets";
    EXPECT_TRUE(stage.verified().sound());
    for (std::size_t i = 1; i < stage.viewed().size(); ++i)
      EXPECT_LT(static_cast<std::int32_t>(stage.viewed()[i].timestamp - stage.viewed()[i - 1].timestamp), static_cast<std::int32_t>(sender.codec.clock_rate));
  }
}

TEST(Sources, retransmissions_follow_their_source) {
  for (const Sender& sender : {Sender{"camera", vp8(), 20ms, 100'000}, Sender{"voice", opus(), 20ms}}) {
    SCOPED_TRACE(sender.id);
    Stage stage(sender, 2, 0.05);
    stage.play({{0, 0s, 10s}, {1, 7ms, 10s}});
    stage.stop();
    const auto out = runs(stage.recorded());
    ASSERT_EQ(out.size(), 1u) << "the source whose first packet arrives, without a hole: " << stage.track().dump();
    EXPECT_GE(out[0].second, 490);
    EXPECT_TRUE(stage.verified().sound());
  }
}

TEST(Sources, sender_reports_are_those_of_the_selected_source_and_tell_a_time) {
  struct Step {
    const char* what;
    int source;
    std::uint64_t seconds;  // NTP
    Duration media;
    std::size_t seen;       // by the viewer, from the beginning on
  };
  Stage stage({"camera", vp8(), 40ms, 100'000}, 2);
  stage.play({{0, 0s, 2s}, {1, 7ms, 2s}});
  for (const Step& step : {Step{"the first", 0, 3'900'000'000, 2s, 1}, Step{"of a source that is not selected", 1, 3'900'000'000, 2s, 1}, Step{"NTP 0", 0, 0, 3s, 1},
                           Step{"confirmed", 0, 3'900'000'001, 3s, 2}, Step{"a clock that stands still", 0, 3'900'000'001, 4s, 2},
                           Step{"a clock that stands still", 0, 3'900'000'001, 5s, 2}, Step{"a clock that was set", 0, 3'900'007'200, 6s, 2},
                           Step{"a clock that was set, and goes on", 0, 3'900'007'201, 7s, 3}}) {
    SCOPED_TRACE(step.what);
    stage.report(step.source, {step.seconds << 32}, step.media);
    stage.run(100ms);
    EXPECT_EQ(stage.reports_seen(), step.seen);
  }
  EXPECT_EQ(stage.dropped(peer::Drop::report_without_clock), 1u);
}

}  // namespace amphi::recording::test
