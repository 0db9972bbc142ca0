// One participant attacks a real server over real sockets, and another one watches undisturbed: retransmissions, keyframes, bandwidth
// estimates, paths. All tests share a server; each has a session of its own. The numbers are those of docs/limits.md.
#include <gtest/gtest.h>

#include "attack_stage.h"
#include "peer/retransmission.h"
#include "rtp/rtcp.h"

namespace amphi::end_to_end {
namespace {

using testing::PeerNode;
using testing::RawNode;
using Clock = std::chrono::steady_clock;

class GreedyMedia : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = std::make_unique<ServerProcess>(); }
  static void TearDownTestSuite() { server_.reset(); }
  void SetUp() override {
    stage_ = std::make_unique<AttackStage>(*server_, "theatre-" + std::to_string(++sessions_));
    stage_->start();
    ASSERT_FALSE(HasFatalFailure()) << "no media";
    ssrc_ = stage_->greedy.on_loop([](RawNode& node, Time) { return node.lines.at(0).ssrc; });
    rtx_ = stage_->greedy.on_loop([](RawNode& node, Time) { return node.lines.at(0).rtx_ssrc; });
    first_ = stage_->sent() + 1;
  }
  void TearDown() override {
    if (!stage_) return;
    EXPECT_TRUE(stage_->good_has_all(first_)) << "the well-behaved subscriber lost media\n" << server_->log();
    stage_.reset();
  }

  std::size_t greedy_packets(std::uint32_t ssrc) { return stage_->greedy.on_loop([&](RawNode& node, Time) { return node.packets(ssrc); }); }
  std::size_t greedy_bytes(std::uint32_t ssrc) { return stage_->greedy.on_loop([&](RawNode& node, Time) { return node.bytes(ssrc); }); }
  void send_rtcp(const Bytes& packet, int times = 1) {
    stage_->greedy.on_loop([&](RawNode& node, Time) {
      for (int i = 0; i < times; ++i) node.send_rtcp(packet);
    });
  }
  /// A NACK with as many entries as fit a datagram, all for the newest 17 packets.
  Bytes nack(std::size_t entries = 270) {
    const std::uint16_t newest = stage_->greedy.on_loop([&](RawNode& node, Time) { return node.newest(ssrc_); });
    Bytes packet;
    const auto put16 = [&](std::size_t v) { packet.push_back(std::byte(v >> 8)), packet.push_back(std::byte(v)); };
    for (const std::size_t v : {std::size_t{0x8100 | 205}, 2 + entries, std::size_t{0}, std::size_t{1}, std::size_t{ssrc_ >> 16}, std::size_t{ssrc_ & 0xffff}}) put16(v);
    for (std::size_t i = 0; i < entries; ++i) put16(static_cast<std::uint16_t>(newest - 16)), put16(0xffff);
    return packet;
  }

  static std::unique_ptr<ServerProcess> server_;
  static int sessions_;
  std::unique_ptr<AttackStage> stage_;
  std::uint32_t ssrc_ = 0, rtx_ = 0, first_ = 0;
};
std::unique_ptr<ServerProcess> GreedyMedia::server_;
int GreedyMedia::sessions_ = 0;

TEST_F(GreedyMedia, a_flood_of_nack_gets_a_share_of_the_subscribers_own_rate_and_is_counted) {
  const std::size_t sent_before = greedy_bytes(ssrc_);
  const std::uint64_t duplicates = drops_of(*server_, "duplicate_nack"), retransmitted = metric_sum(*server_, "amphi_retransmitted_total");
  stage_->stream(1000, [&] { send_rtcp(nack(), 5); });  // 2,500 reports a second at most, of 4,590 numbers each
  const std::size_t sent = greedy_bytes(ssrc_) - sent_before;
  EXPECT_GT(sent, 400'000u);
  EXPECT_GT(greedy_packets(rtx_), 0u) << "an honest part is served";
  EXPECT_LT(greedy_bytes(rtx_), sent * 6 / 10 + 2 * peer::RetransmissionBudget::kLeastBurst);
  EXPECT_GT(drops_of(*server_, "duplicate_nack"), duplicates + 1000);
  EXPECT_GE(metric_sum(*server_, "amphi_retransmitted_total") - retransmitted, greedy_packets(rtx_));
}

TEST_F(GreedyMedia, a_compound_packet_of_many_small_nacks_is_no_way_around_the_budget) {
  Bytes compound;
  const std::uint16_t newest = stage_->greedy.on_loop([&](RawNode& node, Time) { return node.newest(ssrc_); });
  while (compound.size() < 1200) rtp::append_rtcp(compound, rtp::Nack{1, ssrc_, {newest, static_cast<std::uint16_t>(newest - 1)}});
  send_rtcp(compound, 500);
  stage_->stream(300);
  EXPECT_LE(greedy_packets(rtx_), 2u * 100) << "two packets, once in a round trip each";
}

TEST_F(GreedyMedia, floods_of_pli_and_fir_cost_a_bounded_number_of_keyframes) {
  const std::uint64_t throttled = metric_sum(*server_, "amphi_keyframes_throttled_total");
  const std::size_t asked = stage_->keyframes_asked();
  const auto began = Clock::now();
  std::uint8_t command = 0;
  stage_->stream(1000, [&] {
    Bytes packet;
    rtp::append_rtcp(packet, rtp::PictureLoss{1, ssrc_});
    for (int i = 0; i < 50; ++i) rtp::append_rtcp(packet, rtp::FullIntraRequest{1, ssrc_, command++});
    send_rtcp(packet);
  });
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - began).count() + 1;
  EXPECT_LE(stage_->keyframes_asked() - asked, static_cast<std::size_t>(5 + seconds / 2 + 2));
  EXPECT_GT(metric_sum(*server_, "amphi_keyframes_throttled_total"), throttled + 100);
  // The well-behaved subscriber's own request is served while the flood goes on.
  const std::size_t before = stage_->keyframes_asked();
  stage_->good.on_loop([](PeerNode& node, Time now) { node.peer.request_keyframe(0, now); });
  bool served = false;
  for (int i = 0; i < 200 && !served; ++i) {
    stage_->stream(10);
    served = stage_->keyframes_asked() > before;
  }
  EXPECT_TRUE(served);
}

TEST_F(GreedyMedia, bandwidth_estimates_that_lie_disturb_nobody_else) {
  for (const std::uint64_t bps : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 62}) {
    SCOPED_TRACE(bps);
    Bytes packet;
    rtp::append_rtcp(packet, rtp::ReceiverBandwidth{1, bps, {ssrc_}});
    const std::uint32_t first = stage_->sent() + 1;
    stage_->stream(300, [&] { send_rtcp(packet, 3); });
    EXPECT_TRUE(stage_->good_has_all(first));
  }
}

TEST_F(GreedyMedia, transport_feedback_that_claims_thousands_of_packets_is_bounded_by_its_work) {
  Bytes flood;
  for (int i = 0; i < 45; ++i)
    for (const int b : {0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0x1f, 0xff, 0, 0, 0, i, 0x1f, 0xff, 0, 0}) flood.push_back(std::byte(b));
  const std::uint64_t before = drops_of(*server_, "rtcp_over_budget");
  stage_->stream(500, [&] { send_rtcp(flood, 10); });
  EXPECT_GT(drops_of(*server_, "rtcp_over_budget"), before + 1000);
}

/// An address that takes no part, and what it is sent.
struct Victim {
  explicit Victim(const Address& at) : address(at) {}
  void handle_input(const Datagram& in, Time) { bytes += in.data.size(); }
  void handle_timeout(Time) {}
  std::vector<Transmit> take(Time) { return {}; }
  Time next_timeout() const { return Time::max(); }
  Address address;
  std::size_t bytes = 0;
};

TEST_F(GreedyMedia, an_address_that_answers_no_check_is_sent_three_times_its_bytes_at_most_and_no_media) {
  OnSockets<Victim> victim(1, [](const Address& address) { return std::make_unique<Victim>(address); });
  const Address server = stage_->greedy.on_loop([](RawNode& node, Time) { return node.server; });
  const std::size_t before = greedy_packets(ssrc_);
  std::size_t spoofed = 0;
  for (int i = 0; i < 500; ++i) {
    if (i % 10 == 0) {
      Bytes request = stage_->greedy.on_loop([&](RawNode& node, Time) { return node.request(i % 20 == 0); });
      spoofed += request.size();
      victim.send({victim.address(0), server, std::move(request)});
    }
    stage_->stream(1);
  }
  const std::size_t got = victim.on_loop([](Victim& node, Time) { return node.bytes; });
  EXPECT_GT(got, 0u) << "the answers";
  EXPECT_LE(got, 3 * spoofed);
  EXPECT_GE(greedy_packets(ssrc_) - before, 475u) << "the media stay on the old path";
}

TEST_F(GreedyMedia, a_path_that_answers_checks_gets_the_media_and_feedback_from_the_old_path_ends_soon) {
  const Address second = stage_->greedy.address(1);
  const auto at_second = [&] { return stage_->greedy.on_loop([&](RawNode& node, Time) { return node.packets_at(second, ssrc_); }); };
  stage_->greedy.on_loop([&](RawNode& node, Time) {
    node.checks = false;  // it answers the server's, and sends none that would bring the media back
    node.send_request(second, true);
  });
  for (int i = 0; i < 200 && at_second() < 50; ++i) stage_->stream(10);
  ASSERT_GE(at_second(), 50u) << "the media have moved";
  for (int i = 0; i < 30; ++i) {  // 3 s at least: the overlap is 2 s
    stage_->greedy.on_loop([&](RawNode& node, Time) { node.send_request(second, true); });
    stage_->stream(50);
  }
  const std::size_t again = greedy_packets(rtx_);
  const std::size_t there = at_second();
  send_rtcp(nack(1), 20);
  stage_->stream(100);
  EXPECT_EQ(greedy_packets(rtx_), again) << "a NACK from the abandoned path";
  EXPECT_GE(at_second(), there + 90) << "the media stay on the new path";
}

TEST_F(GreedyMedia, a_participant_that_speaks_from_anothers_address_takes_nothing_from_it) {
  const Address server = stage_->greedy.on_loop([](RawNode& node, Time) { return node.server; });
  const auto request = [&](bool nominates) { return stage_->greedy.on_loop([&](RawNode& node, Time) { return node.request(nominates); }); };
  for (int i = 0; i < 150; ++i) {
    stage_->good.send({stage_->good.address(0), server, request(i % 2 == 0)});
    stage_->camera.send({stage_->camera.address(0), server, request(i % 2 == 0)});
    stage_->stream(2);
  }
  EXPECT_TRUE(stage_->good_has_all(first_));
  const std::size_t asked = stage_->keyframes_asked();
  stage_->good.on_loop([](PeerNode& node, Time now) { node.peer.request_keyframe(0, now); });
  bool served = false;
  for (int i = 0; i < 200 && !served; ++i) {
    stage_->stream(10);
    served = stage_->keyframes_asked() > asked;
  }
  EXPECT_TRUE(served) << "its feedback is still its own";
}

TEST_F(GreedyMedia, floods_of_checks_are_answered_to_a_bound_and_counted) {
  const Address second = stage_->greedy.address(1);
  const std::uint64_t before = drops_of(*server_, "too_many_requests");
  stage_->stream(300, [&] {
    stage_->greedy.on_loop([&](RawNode& node, Time) {
      for (int i = 0; i < 20; ++i) node.send_request(second, false);
    });
  });
  EXPECT_GT(drops_of(*server_, "too_many_requests"), before + 500);
}

}  // namespace
}  // namespace amphi::end_to_end
