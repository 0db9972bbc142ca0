// Two peers over an emulated network, in virtual time: handshake and media under loss, reordering and duplication; lies about
// fingerprints; restarts; what each end is told of the other.
#include "peer/peer.h"

#include <gtest/gtest.h>

#include <set>

#include "testing/peer/peer_node.h"
#include "testing/peer/raw_node.h"

namespace amphi::peer {
namespace {

using testing::Conditions;
using testing::Network;
using testing::PeerNode;
using testing::World;

const Address kClient = Address::v4(10, 0, 0, 2, 5000);
const Address kServer = Address::v4(10, 0, 0, 1, 443);

/// A client that publishes to a server, not negotiated yet.
struct Call {
  explicit Call(std::uint64_t seed, Conditions conditions = {.delay = 20ms},
                std::shared_ptr<const dtls::Certificate> server_certificate = testing::shared_certificate())
      : network(seed, conditions), world(network), client(End::client, kClient, seed * 2 + 1),
        server(End::server, kServer, seed * 2 + 2, std::move(server_certificate)) {
    world.attach(kClient, client);
    world.attach(kServer, server);
  }
  void negotiate() {
    const auto answer = server.peer.accept_offer(client.peer.create_offer(world.now()), world.now());
    ASSERT_TRUE(answer) << answer.error().message;
    const auto taken = client.peer.accept_answer(*answer, world.now());
    ASSERT_TRUE(taken) << taken.error().message;
  }
  bool connect(Duration limit = 30s) {
    negotiate();
    return world.run_until([&] { return client.peer.connected() && server.peer.connected(); }, limit);
  }
  /// Packets of 1,000 bytes, one each 10 ms; the number is in the payload.
  void stream(Line line, rtp::Seq first, int count) {
    for (int i = 0; i < count; ++i)
      world.at(world.now() + i * 10ms, [this, line, seq = first + i] {
        Bytes payload(1000, static_cast<std::byte>(seq));
        client.send(line, seq, static_cast<rtp::WireTimestamp>(seq * 900), payload, world.now());
        client.drain(network, world.now());
      });
    world.run_for(count * 10ms);
  }
  Network network;
  World world;
  PeerNode client, server;
};

TEST(Peer, media_flows_after_one_offer_and_one_answer) {
  Call call(1);
  const Line video = call.client.peer.add_line({"", testing::vp8_codec(), "par_1", "fd_1"});
  const Line audio = call.client.peer.add_line({"", testing::opus_codec(), "par_1", "fd_2"});
  ASSERT_TRUE(call.connect());
  EXPECT_LT(call.world.now().time_since_epoch(), 500ms) << "a handful of round trips of 40 ms";
  call.stream(video, 65'530, 100);
  call.stream(audio, 7, 50);
  call.world.run_for(1s);

  ASSERT_EQ(call.server.received.size(), 150u);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(call.server.received[i].line, video);
    EXPECT_EQ(call.server.received[i].seq - call.server.received[0].seq, i) << "numbers go on over the wrap";
  }
  EXPECT_EQ(call.server.received.back().line, audio);
  const auto lines = call.server.peer.lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[video].codec->name, rtp::CodecName::vp8);
  EXPECT_EQ(lines[video].stream_id, "par_1");
  EXPECT_EQ(lines[audio].track_id, "fd_2");
}

TEST(Peer, a_minute_of_media_survives_loss_reordering_and_duplication) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Call call(seed, {.delay = 20ms, .jitter = 10ms, .loss = 0.1, .duplicate = 0.05, .reorder = 0.05});
    const Line video = call.client.peer.add_line({"", testing::h264_codec(), "par_1", "fd_1"});
    ASSERT_TRUE(call.connect());
    call.stream(video, 1, 6000);
    call.world.run_for(2s);

    std::set<rtp::Seq> distinct;
    for (const auto& packet : call.server.received) distinct.insert(packet.seq);
    EXPECT_EQ(distinct.size(), call.server.received.size()) << "every packet is delivered once";
    EXPECT_GE(distinct.size(), 5995u) << "what was lost is asked for again";
    EXPECT_EQ(call.server.peer.drops()[Drop::srtp_authentication], 0u);
    EXPECT_GT(call.server.peer.drops()[Drop::srtp_replayed], 100u) << "the network's duplicates";
    EXPECT_NEAR(call.client.peer.line_stats(video).lost, 600, 200);
  }
}

TEST(Peer, the_handshake_survives_a_third_of_all_packets_lost) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Call call(seed, {.delay = 30ms, .loss = 0.33, .reorder = 0.1});
    call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
    EXPECT_TRUE(call.connect(30s)) << "seed " << seed;
  }
}

TEST(Peer, one_of_several_fingerprints_of_a_description_is_the_certificates_in_any_order) {
  for (const bool right_first : {true, false}) {
    Call call(3);
    const Line video = call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
    const auto with_two = [&](std::string sdp) {
      const std::string truth = "a=fingerprint:sha-256 " + testing::shared_certificate()->fingerprint().value;
      const std::string other = "a=fingerprint:sha-256 " + testing::other_certificate()->fingerprint().value;
      const std::string both = right_first ? truth + "\r\n" + other : other + "\r\n" + truth;
      for (std::size_t at = 0; (at = sdp.find(truth, at)) != std::string::npos; at += both.size()) sdp.replace(at, truth.size(), both);
      return sdp;
    };
    const auto answer = call.server.peer.accept_offer(with_two(call.client.peer.create_offer(call.world.now())), call.world.now());
    ASSERT_TRUE(answer);
    ASSERT_TRUE(call.client.peer.accept_answer(with_two(*answer), call.world.now()));
    call.world.run_for(1s);
    call.stream(video, 1, 10);
    call.world.run_for(1s);
    EXPECT_EQ(call.server.received.size(), 10u) << right_first;
  }
}

TEST(Peer, a_falsified_fingerprint_fails_at_the_end_that_was_lied_to) {
  struct Row {
    const char* what;
    bool lie_to_client;
  };
  for (const Row row : {Row{"the answer lies to the client", true}, Row{"the offer lies to the server", false}}) {
    SCOPED_TRACE(row.what);
    Call call(3);
    const Line video = call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
    const auto lie = [](std::string sdp) {
      const std::string truth = testing::shared_certificate()->fingerprint().value;
      for (std::size_t at = 0; (at = sdp.find(truth, at)) != std::string::npos;)
        sdp.replace(at, truth.size(), testing::other_certificate()->fingerprint().value);
      return sdp;
    };
    std::string offer = call.client.peer.create_offer(call.world.now());
    const auto answer = call.server.peer.accept_offer(row.lie_to_client ? offer : lie(offer), call.world.now());
    ASSERT_TRUE(answer);
    ASSERT_TRUE(call.client.peer.accept_answer(row.lie_to_client ? lie(*answer) : *answer, call.world.now()));
    call.world.run_for(5s);
    PeerNode& deceived = row.lie_to_client ? call.client : call.server;
    const Failed* failed = deceived.last<Failed>();
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->error.code, ErrorCode::fingerprint_mismatch);
    call.stream(video, 1, 10);
    EXPECT_TRUE(call.server.received.empty());
  }
}

std::string with_setup(std::string sdp, const std::string& setup) {
  for (std::size_t at = 0; (at = sdp.find("a=setup:", at)) != std::string::npos; at += 8)
    sdp.replace(at + 8, sdp.find_first_of("\r\n", at) - at - 8, setup);
  return sdp;
}

TEST(Peer, either_end_takes_either_dtls_role) {
  struct Row {
    const char* offered;
    const char* answered;
    bool server_offers;
  };
  for (const Row& row : {Row{"actpass", "passive", false}, Row{"active", "passive", false}, Row{"passive", "active", false},
                         Row{"actpass", "active", true}, Row{"active", "passive", true}, Row{"passive", "active", true}}) {
    SCOPED_TRACE(std::string(row.server_offers ? "the server offers " : "the client offers ") + row.offered);
    for (const double loss : {0.0, 0.3}) {
      Call call(7, {.delay = 20ms, .loss = loss});
      PeerNode& sender = row.server_offers ? call.server : call.client;
      PeerNode& receiver = row.server_offers ? call.client : call.server;
      sender.peer.add_line({"", testing::vp8_codec(), "s", "t"});
      const auto answer = receiver.peer.accept_offer(with_setup(sender.peer.create_offer(Time{}), row.offered), Time{});
      ASSERT_TRUE(answer) << answer.error().message;
      EXPECT_NE(answer->find("a=setup:" + std::string(row.answered)), std::string::npos);
      ASSERT_TRUE(sender.peer.accept_answer(*answer, Time{}));
      EXPECT_TRUE(call.world.run_until([&] { return call.client.peer.connected() && call.server.peer.connected(); }, 14s));
      if (loss == 0) { EXPECT_LT(call.world.now(), Time{} + 300ms); }
      // A later offer leaves the choice open again, and the role stays.
      const auto again = receiver.peer.accept_offer(sender.peer.create_offer(call.world.now()), call.world.now());
      ASSERT_TRUE(again) << again.error().message;
      EXPECT_NE(again->find("a=setup:" + std::string(row.answered)), std::string::npos);
      EXPECT_TRUE(sender.peer.accept_answer(*again, call.world.now()));
    }
  }
}

TEST(Peer, setups_that_cannot_be_are_refused_with_a_reason) {
  Call call(1);
  call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
  const std::string offer = call.client.peer.create_offer(Time{});
  const auto held = call.server.peer.accept_offer(with_setup(offer, "holdconn"), Time{});
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().code, ErrorCode::unsupported);
  const auto answer = call.server.peer.accept_offer(offer, Time{});
  ASSERT_TRUE(answer);
  for (const char* setup : {"actpass", "holdconn"}) {
    const auto taken = call.client.peer.accept_answer(with_setup(*answer, setup), Time{});
    ASSERT_FALSE(taken) << setup;
    EXPECT_NE(taken.error().message.find(setup), std::string::npos);
  }
  ASSERT_TRUE(call.client.peer.accept_answer(*answer, Time{}));
  ASSERT_TRUE(call.world.run_until([&] { return call.client.peer.connected() && call.server.peer.connected(); }, 1s));
  const auto turned = call.server.peer.accept_offer(with_setup(call.client.peer.create_offer(call.world.now()), "passive"), call.world.now());
  ASSERT_FALSE(turned) << "another role needs another association (RFC 8842)";
  EXPECT_EQ(turned.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(call.server.peer.connected());
}

TEST(Peer, a_handshake_that_never_comes_fails_fifteen_seconds_after_ice_is_there) {
  for (const char* setup : {"active", "passive"}) {
    SCOPED_TRACE(setup);
    Network network(1, {.delay = 20ms});
    World world(network);
    PeerNode server(End::server, kServer, 1);
    testing::RawNode silent(kClient, 2);
    silent.handshakes = false;
    world.attach(kServer, server);
    world.attach(kClient, silent);
    server.peer.add_line({"", testing::vp8_codec(), "s", "t"});
    ASSERT_TRUE(server.peer.accept_answer(with_setup(silent.answer(server.peer.create_offer(Time{}), Time{}), setup), Time{}));
    world.run_for(14s);
    EXPECT_EQ(server.count<Failed>(), 0u);
    world.run_for(1100ms);
    ASSERT_EQ(server.count<Failed>(), 1u);
    EXPECT_EQ(server.last<Failed>()->error.code, ErrorCode::timeout);
  }
}

TEST(Peer, a_keyframe_asked_for_often_is_requested_at_intervals) {
  Call call(4);
  const Line video = call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
  ASSERT_TRUE(call.connect());
  call.stream(video, 1, 5);
  for (int i = 0; i < 100; ++i)
    call.world.at(call.world.now() + i * 10ms, [&] {
      call.server.peer.request_keyframe(video, call.world.now());
      call.server.drain(call.network, call.world.now());
    });
  call.world.run_for(2s);
  EXPECT_GE(call.client.count<KeyframeRequested>(), 4u);
  EXPECT_LE(call.client.count<KeyframeRequested>(), 5u);
}

TEST(Peer, sender_reports_arrive_and_give_the_round_trip) {
  Call call(5, {.delay = 50ms});
  const Line video = call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
  ASSERT_TRUE(call.connect());
  for (int i = 0; i < 5; ++i) {
    call.stream(video, 1 + i * 100, 100);
    call.client.peer.send_sender_report(video, {0x1234'5678'0000'0000u + (std::uint64_t(i) << 32)}, 90'000u * i, call.world.now());
    call.client.drain(call.network, call.world.now());
  }
  call.world.run_for(2s);
  ASSERT_EQ(call.server.count<SenderReported>(), 5u);
  EXPECT_EQ(call.server.last<SenderReported>()->rtp_timestamp, 360'000u);
  EXPECT_NEAR(static_cast<double>(to_ms(call.client.peer.stats().round_trip)), 100, 5);
}

TEST(Peer, feeds_come_and_go_by_further_offers) {
  Call call(6);
  const Line first = call.client.peer.add_line({"", testing::vp8_codec(), "s", "a"});
  ASSERT_TRUE(call.connect());
  call.stream(first, 1, 10);
  const Line second = call.client.peer.add_line({"", testing::vp8_codec(), "s", "b"});
  call.negotiate();
  call.stream(second, 1, 10);
  call.client.peer.close_line(first);
  call.negotiate();
  call.stream(first, 11, 10);
  call.stream(second, 11, 10);
  call.world.run_for(1s);
  EXPECT_EQ(call.server.received.size(), 30u);
  EXPECT_FALSE(call.server.peer.lines()[first].active);
}

TEST(Peer, a_line_that_is_over_is_used_again_under_a_new_mid) {
  Call call(14);
  const Line first = call.client.peer.add_line({"", testing::vp8_codec(), "s", "a"});
  const Line second = call.client.peer.add_line({"", testing::vp8_codec(), "s", "b"});
  const Line voice = call.client.peer.add_line({"", testing::opus_codec(), "s", "c"});
  ASSERT_TRUE(call.connect());
  call.client.peer.close_line(second);
  call.client.peer.close_line(voice);
  EXPECT_EQ(call.client.peer.add_line({"", testing::vp8_codec(), "s", "d"}), 3u) << "not yet: the other end has not agreed";
  call.negotiate();
  EXPECT_EQ(call.client.peer.add_line({"", testing::vp8_codec(), "s", "e"}), second);
  EXPECT_EQ(call.client.peer.add_line({"", testing::vp8_codec(), "s", "f"}), 4u) << "what is left was one of sound";
  EXPECT_EQ(call.client.peer.add_line({"", testing::opus_codec(), "s", "g"}), voice);
  call.negotiate();
  const auto lines = call.server.peer.lines();
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[second].track_id, "e");
  EXPECT_EQ(lines[second].mid, "4");
  EXPECT_TRUE(lines[voice].active);
  for (const Line line : {first, second, voice}) call.stream(line, 100, 10);
  call.world.run_for(1s);
  EXPECT_EQ(call.server.received.size(), 30u);
}

TEST(Peer, a_line_that_was_used_again_while_an_offer_was_on_its_way_keeps_what_it_is_now) {
  Call call(15);
  call.client.peer.add_line({"", testing::vp8_codec(), "s", "a"});
  const Line second = call.client.peer.add_line({"", testing::vp8_codec(), "s", "b"});
  ASSERT_TRUE(call.connect());
  call.client.peer.close_line(second);
  call.negotiate();
  const auto answer = call.server.peer.accept_offer(call.client.peer.create_offer(call.world.now()), call.world.now());
  ASSERT_TRUE(answer);
  ASSERT_EQ(call.client.peer.add_line({"", testing::vp8_codec(), "s", "c"}), second);
  ASSERT_TRUE(call.client.peer.accept_answer(*answer, call.world.now()));
  call.negotiate();
  call.stream(second, 1, 10);
  call.world.run_for(1s);
  EXPECT_EQ(call.server.received.size(), 10u);
  EXPECT_EQ(call.server.peer.lines()[second].track_id, "c");
}

TEST(Peer, a_browser_that_stops_a_transceiver_gives_its_m_line_a_new_mid) {
  Call call(16);
  call.client.peer.add_line({"", testing::vp8_codec(), "s", "a"});
  call.client.peer.add_line({"", testing::vp8_codec(), "s", "b"});
  ASSERT_TRUE(call.connect());
  const auto offered = [&](std::string mid_of_second, std::string port) {
    std::string offer = call.client.peer.create_offer(call.world.now());
    const std::size_t section = offer.rfind("m=video 9");
    offer.replace(section, 9, "m=video " + port);
    offer.replace(offer.find("a=mid:1", section), 7, "a=mid:" + mid_of_second);
    const std::size_t bundle = offer.find("BUNDLE 0 1");
    offer.replace(bundle, 10, port == "0" ? "BUNDLE 0" : "BUNDLE 0 " + mid_of_second);
    return call.server.peer.accept_offer(offer, call.world.now());
  };
  EXPECT_FALSE(offered("7", "9")) << "the line is in use";
  const auto stopped = offered("1", "0");
  ASSERT_TRUE(stopped) << stopped.error().message;
  EXPECT_NE(stopped->find("m=video 0 "), std::string::npos) << *stopped;
  const auto again = offered("7", "9");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(call.server.peer.lines()[1].mid, "7");
  EXPECT_TRUE(call.server.peer.lines()[1].active);
}

TEST(Peer, an_ice_restart_keeps_media_flowing) {
  Call call(7);
  const Line video = call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
  ASSERT_TRUE(call.connect());
  call.stream(video, 1, 100);
  call.client.peer.restart_ice(call.world.now());
  call.negotiate();
  call.stream(video, 101, 200);
  call.world.run_for(1s);
  EXPECT_EQ(call.server.received.size(), 300u);
}

TEST(Peer, a_silent_peer_is_given_up_after_thirty_seconds) {
  Call call(8);
  call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
  ASSERT_TRUE(call.connect());
  call.network.partition(kClient, true);
  call.world.run_for(20s);
  EXPECT_EQ(call.server.count<Disconnected>(), 1u);
  EXPECT_EQ(call.server.count<Failed>(), 0u);
  call.world.run_for(20s);
  EXPECT_EQ(call.server.count<Failed>(), 1u);
  EXPECT_EQ(call.client.count<Failed>(), 1u);
  EXPECT_FALSE(call.server.peer.pair());
}

TEST(Peer, an_ice_restart_revives_a_peer_that_was_given_up) {
  Call call(12);
  const Line video = call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
  ASSERT_TRUE(call.connect());
  call.stream(video, 1, 50);
  call.network.partition(kClient, true);
  call.world.run_for(60s);
  ASSERT_EQ(call.client.count<Failed>(), 1u);
  call.network.partition(kClient, false);
  call.client.peer.restart_ice(call.world.now());
  call.negotiate();
  ASSERT_TRUE(call.world.run_until([&] { return call.client.peer.pair() && call.server.peer.pair(); }, 10s));
  call.stream(video, 51, 50);
  call.world.run_for(1s);
  EXPECT_EQ(call.server.received.size(), 100u);
}

TEST(Peer, a_bottleneck_is_found_by_its_feedback) {
  Call call(9, {.delay = 20ms});
  call.network.set_conditions(kClient, kServer, {.delay = 20ms, .bits_per_second = 400'000, .queue_bytes = 20'000});
  const Line video = call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
  ASSERT_TRUE(call.connect());
  call.stream(video, 1, 2000);  // 800 kbit/s into 400
  const auto* estimate = call.client.last<BandwidthEstimated>();
  ASSERT_TRUE(estimate);
  EXPECT_LT(estimate->bits_per_second, 600'000u);
}

TEST(Peer, a_sender_without_transport_wide_feedback_is_told_a_limit_that_follows_its_link) {
  for (const double loss : {0.0, 0.3}) {
    SCOPED_TRACE(loss);
    Call call(12, {.delay = 20ms, .loss = loss});
    const Line video = call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
    std::string offer = call.client.peer.create_offer(call.world.now());
    for (const std::string from : {"a=rtcp-fb:96 transport-cc", "a=extmap:2 http"})
      offer.replace(offer.find(from), from.size(), from[2] == 'r' ? "a=rtcp-fb:96 goog-remb" : "a=extmap:2 unknown");
    const auto answer = call.server.peer.accept_offer(offer, call.world.now());
    ASSERT_TRUE(answer);
    EXPECT_NE(answer->find("a=rtcp-fb:96 goog-remb"), std::string::npos);
    ASSERT_TRUE(call.client.peer.accept_answer(*answer, call.world.now()));
    ASSERT_TRUE(call.world.run_until([&] { return call.client.peer.connected() && call.server.peer.connected(); }, 30s));
    call.stream(video, 1, 1000);  // 800 kbit/s
    const auto* told = call.client.last<BandwidthEstimated>();
    ASSERT_TRUE(told);
    EXPECT_EQ(told->bits_per_second >= 1'999'000u, loss == 0) << told->bits_per_second;
  }
}

TEST(Peer, a_browsers_header_extensions_are_kept_under_its_own_ids_and_unknown_ones_declined) {
  Call call(13);
  call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
  std::string offer = call.client.peer.create_offer(call.world.now());
  const std::string line = "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid";
  offer.replace(offer.find(line), line.size(),
                "a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
                "a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\na=extmap:12 urn:3gpp:video-orientation");
  const auto answer = call.server.peer.accept_offer(offer, call.world.now());
  ASSERT_TRUE(answer);
  for (const char* kept : {"a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid", "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
                           "a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"})
    EXPECT_NE(answer->find(kept), std::string::npos) << kept;
  EXPECT_EQ(answer->find("video-orientation"), std::string::npos);
}

TEST(Peer, hostile_descriptions_are_refused_and_change_nothing) {
  Call call(10);
  call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
  const std::string offer = call.client.peer.create_offer(call.world.now());
  for (std::size_t cut = 0; cut < offer.size(); cut += 7) {
    PeerNode server(End::server, kServer, 99);
    (void)server.peer.accept_offer(std::string_view(offer).substr(0, cut), call.world.now());  // must not crash
  }
  EXPECT_FALSE(call.server.peer.accept_offer("", call.world.now()));
  EXPECT_FALSE(call.server.peer.accept_offer("v=0\r\n", call.world.now()));
  const auto answer = call.server.peer.accept_offer(offer, call.world.now());
  ASSERT_TRUE(answer);
  EXPECT_FALSE(call.client.peer.accept_answer("m=", call.world.now()));
  EXPECT_TRUE(call.client.peer.accept_answer(*answer, call.world.now())) << "a refused answer leaves the offer open";
}

TEST(Peer, garbage_from_the_network_is_counted_and_harmless) {
  Call call(11);
  const Line video = call.client.peer.add_line({"", testing::vp8_codec(), "s", "t"});
  ASSERT_TRUE(call.connect());
  SeededRandom random(11);
  for (int i = 0; i < 20'000; ++i) {
    Bytes noise(random.below(200));
    random.fill(noise);
    call.server.handle_input({kClient, kServer, noise}, call.world.now());
  }
  call.stream(video, 1, 50);
  call.world.run_for(1s);
  EXPECT_EQ(call.server.received.size(), 50u);
  EXPECT_GT(call.server.peer.drops()[Drop::unknown_datagram], 1000u);
}

}  // namespace
}  // namespace amphi::peer
