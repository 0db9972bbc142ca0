// UDP that is dropped, from the start and later: the application is told within about 10 s, nothing says that media flows, and it is told
// when media gets through again.
#include <gtest/gtest.h>

#include "faults.h"
#include "participant.h"

namespace amphi::end_to_end {
namespace {

TEST(MediaUnreachable, from_the_start_is_told_tried_further_and_told_again_when_it_is_over) {
  ServerProcess server;
  Participant surgeon(server, "127.0.0.1", "surgeon"), student(server, "127.0.0.1", "student");
  std::optional<UdpLoss> firewall(std::in_place, 100);
  ASSERT_TRUE(surgeon.join() && student.join()) << server.log();
  ASSERT_TRUE(student.probe.wait([&] { return student.probe.happened().feeds.size() == 1; }));
  const auto seen = student.probe->subscribeVideoFeed(student.probe.happened().feeds.front().id, VideoOutputComponentNull{});
  const std::vector<std::shared_ptr<Feed>> feeds{surgeon.outgoing, student.outgoing, seen};
  for (const SessionProbe* probe : {&surgeon.probe, &student.probe}) {
    ASSERT_TRUE(surgeon.probe.wait([&] { return probe->happened().unreachable == 1; }, 16s)) << "nobody is told\n" << server.log();
    EXPECT_EQ(probe->happened().unreachable_error, Errc::mediaUnreachable);
  }
  for (const auto& feed : feeds) {
    EXPECT_EQ(feed->state(), FeedState::starting) << feed->label();
    EXPECT_TRUE(surgeon.probe.wait([&] { return feed->error() == Errc::mediaUnreachable; }, 5s)) << feed->label();
    EXPECT_EQ(feed->statistics().frames, 0u) << feed->label();
  }
  EXPECT_TRUE(surgeon.probe->isConnected()) << "the session itself is";
  EXPECT_FALSE(surgeon.probe.wait([&] { return surgeon.probe.happened().unreachable > 1 || surgeon.probe.happened().reachable > 0; }, 35s))
      << "told once, and longer than an attempt of ICE lasts";

  firewall.reset();
  for (const SessionProbe* probe : {&surgeon.probe, &student.probe})
    EXPECT_TRUE(surgeon.probe.wait([&] { return probe->happened().reachable == 1; }, 40s)) << server.log();
  for (const auto& feed : feeds) {
    EXPECT_TRUE(surgeon.probe.wait([&] { return feed->state() == FeedState::running; }, 20s)) << feed->label();
    EXPECT_FALSE(feed->error()) << feed->label();
  }
  EXPECT_TRUE(student.probe.wait([&] { return seen->statistics().frames > 20; }, 15s));
  EXPECT_EQ(surgeon.probe.happened().disconnected + student.probe.happened().disconnected, 0);
}

TEST(MediaUnreachable, a_dtls_handshake_that_is_never_answered_is_told_and_tried_anew_over_new_transports) {
  ServerProcess server;
  Participant surgeon(server, "127.0.0.1", "surgeon"), student(server, "127.0.0.1", "student");
  std::optional<UdpLoss> filter(std::in_place, 100, UdpLoss::Of::dtls);
  ASSERT_TRUE(surgeon.join() && student.join()) << server.log();
  ASSERT_TRUE(surgeon.probe.wait([&] { return surgeon.probe.happened().unreachable == 1; }, 16s)) << "ICE connects, and nobody is told\n" << server.log();
  EXPECT_EQ(surgeon.outgoing->state(), FeedState::starting);
  ASSERT_TRUE(surgeon.probe.wait([&] { return surgeon.probe.happened().reconnecting > 0; }, 20s)) << "the handshake has no deadline\n" << server.log();
  filter.reset();
  EXPECT_TRUE(surgeon.probe.wait([&] { return surgeon.probe.happened().reachable == 1 && student.probe.happened().reachable == 1; }, 60s)) << server.log();
  EXPECT_TRUE(surgeon.probe.wait([&] { return surgeon.outgoing->state() == FeedState::running && !surgeon.outgoing->error(); }, 20s));
  EXPECT_EQ(surgeon.probe.happened().disconnected, 0);
}

TEST(MediaUnreachable, later_is_told_as_well_and_the_feeds_go_on_afterwards) {
  ServerProcess server;
  Participant surgeon(server, "127.0.0.1", "surgeon"), student(server, "127.0.0.1", "student");
  ASSERT_TRUE(surgeon.join() && student.join()) << server.log();
  ASSERT_TRUE(surgeon.sees(1) && student.sees(1)) << server.log();
  EXPECT_EQ(surgeon.probe.happened().unreachable, 0);
  {
    const UdpLoss firewall(100);
    ASSERT_TRUE(surgeon.probe.wait([&] { return surgeon.probe.happened().unreachable == 1; }, 25s)) << server.log();
    EXPECT_EQ(surgeon.outgoing->state(), FeedState::running) << "it has not ended";
    EXPECT_TRUE(surgeon.outgoing->statistics().stalled);
    // The session is told when its first transport is lost. A feed is told when its own transport is lost.
    EXPECT_TRUE(surgeon.probe.wait([&] { return surgeon.outgoing->error() == Errc::mediaUnreachable; }, 5s));
  }
  EXPECT_TRUE(surgeon.probe.wait([&] { return surgeon.probe.happened().reachable == 1; }, 40s)) << server.log();
  EXPECT_TRUE(student.sees_more(20, 30s)) << server.log();
  EXPECT_TRUE(surgeon.probe.wait([&] { return !surgeon.outgoing->error() && !surgeon.outgoing->statistics().stalled; }));
}

/// All media of one server for longer than a consent lasts (30 s), while signalling goes on; and on another one, all DTLS (RFC 7983: a first
/// byte of 20 to 63) for longer than a handshake may take (15 s), while ICE connects.
TEST(MediaUnreachable, for_longer_than_consent_or_a_handshake_lasts_it_recovers_by_itself) {
  constexpr int kMediaPort = 7998;
  ServerProcess silent({"--media-port", std::to_string(kMediaPort)}), deaf;
  Participant surgeon(silent, "127.0.0.1", "surgeon"), student(silent, "127.0.0.1", "student");
  ASSERT_TRUE(surgeon.join() && student.join()) << silent.log();
  ASSERT_TRUE(surgeon.sees(1) && student.sees(1)) << silent.log();
  const std::string surgeon_id = surgeon.probe->participantId();
  std::optional<Dropped> media(std::in_place, "udp dport " + std::to_string(kMediaPort));
  std::optional<Dropped> dtls(std::in_place, "meta l4proto udp @th,64,8 >= 20 @th,64,8 <= 63");
  Participant ann(deaf, "127.0.0.1", "Ann"), bob(deaf, "127.0.0.1", "Bob");
  ASSERT_TRUE(ann.join() && bob.join()) << deaf.log();
  const std::string ann_id = ann.probe->participantId();

  EXPECT_TRUE(ann.probe.wait([&] { return ann.probe.happened().unreachable == 1; }, 16s)) << deaf.log();
  EXPECT_TRUE(ann.probe.wait([&] { return ann.probe.happened().reconnected == 1; }, 15s)) << "new transports by a rejoin\n" << deaf.log();
  EXPECT_NE(ann.probe->participantId(), ann_id);
  EXPECT_FALSE(ann.probe.wait([&] { return ann.probe.happened().reconnected > 1 || ann.probe.happened().reachable > 0; }, 5s)) << "bounded";
  dtls.reset();
  EXPECT_TRUE(ann.probe.wait([&] { return ann.probe.happened().reachable == 1; }, 25s)) << deaf.log();
  EXPECT_TRUE(ann.probe.wait([&] { return ann.outgoing->state() == FeedState::running && !ann.outgoing->error(); }, 10s));
  EXPECT_TRUE(bob.sees(1)) << deaf.log();

  EXPECT_FALSE(surgeon.probe.wait([&] { return surgeon.probe.happened().reachable > 0; }, 15s));
  EXPECT_EQ(surgeon.probe.happened().unreachable, 1);
  media.reset();
  EXPECT_TRUE(surgeon.probe.wait([&] { return surgeon.probe.happened().reachable == 1; }, 25s)) << silent.log();
  EXPECT_TRUE(student.sees_more(20, 30s) && surgeon.sees_more(20, 30s)) << silent.log();
  EXPECT_EQ(surgeon.probe->participantId(), surgeon_id) << "an ICE restart is enough";
  for (const SessionProbe* probe : {&surgeon.probe, &student.probe, &ann.probe, &bob.probe}) EXPECT_EQ(probe->happened().disconnected, 0);
}

}  // namespace
}  // namespace amphi::end_to_end
