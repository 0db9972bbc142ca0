// DTLS over an emulated network in virtual time: whatever is lost, doubled, reordered or forged, either both ends agree
// on keys with the peer that the description named, or there are no keys.
#include "dtls/transport.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"

namespace amphi::dtls {
namespace {

std::shared_ptr<const Certificate> certificate(int which) {
  static const auto make = [] {
    auto made = Certificate::generate();
    EXPECT_TRUE(made) << made.error().message;
    return *made;
  };
  static const std::array all{make(), make(), make()};
  return all[static_cast<std::size_t>(which)];
}

struct Network {
  double loss = 0;
  double duplicate = 0;
  Duration delay = 10ms;
  Duration jitter = 0ms;  // datagrams overtake each other
};

struct End {
  Transport transport;
  std::optional<SrtpKeys> keys;
  std::optional<Error> error;
  bool closed = false;
  std::vector<Bytes> sent;
};

/// A client and a server and the datagrams between them.
class World {
 public:
  explicit World(Network network = {}, std::uint64_t seed = 1,
                 std::vector<SrtpProfile> client_profiles = {SrtpProfile::aead_aes_128_gcm,
                                                             SrtpProfile::aes128_cm_sha1_80})
      : client{Transport(Role::client, certificate(0), std::move(client_profiles)), {}, {}, false, {}},
        server{Transport(Role::server, certificate(1)), {}, {}, false, {}},
        network_(network),
        random_(seed) {}

  void introduce() {
    client.transport.set_remote_fingerprint(certificate(1)->fingerprint(), now);
    server.transport.set_remote_fingerprint(certificate(0)->fingerprint(), now);
  }
  void run(Duration most) {
    const Time end = now + most;
    for (drain();; drain()) {
      const Time next = std::min({client.transport.next_timeout(), server.transport.next_timeout(),
                                  in_flight_.empty() ? Time::max() : in_flight_.begin()->first});
      if (next > end) break;
      now = std::max(now, next);
      while (!in_flight_.empty() && in_flight_.begin()->first <= now) {
        auto [to, data] = std::move(in_flight_.begin()->second);
        in_flight_.erase(in_flight_.begin());
        to->transport.handle_input(data, now);
      }
      client.transport.handle_timeout(now);
      server.transport.handle_timeout(now);
    }
    now = end;
  }
  void drain() {
    drain(client, server);
    drain(server, client);
  }
  void handshake() {
    introduce();
    client.transport.start(now);
    run(40s);
  }
  void expect_agreement(SrtpProfile profile) {
    ASSERT_TRUE(client.keys && server.keys)
        << (client.error ? client.error->message : "") << (server.error ? server.error->message : "");
    EXPECT_EQ(client.keys->profile, profile);
    EXPECT_EQ(server.keys->profile, profile);
    EXPECT_EQ(client.keys->local.size(), profile == SrtpProfile::aead_aes_128_gcm ? 28u : 30u);
    EXPECT_EQ(to_hex(client.keys->local), to_hex(server.keys->remote));
    EXPECT_EQ(to_hex(client.keys->remote), to_hex(server.keys->local));
    EXPECT_NE(to_hex(client.keys->local), to_hex(client.keys->remote));
    EXPECT_EQ(client.transport.state(), State::connected);
    EXPECT_EQ(server.transport.state(), State::connected);
  }

  End client, server;
  Time now{};
  Time connected_at{};

 private:
  void drain(End& from, End& to) {
    while (auto output = from.transport.poll_output()) {
      if (auto* data = std::get_if<Bytes>(&*output)) {
        EXPECT_LE(data->size(), 1200u);
        EXPECT_TRUE(Transport::accepts(*data));
        from.sent.push_back(*data);
        transmit(to, *data);
        if (random_.unit() < network_.duplicate) transmit(to, *data);
      } else if (auto* up = std::get_if<Connected>(&*output)) {
        EXPECT_FALSE(from.keys || from.error);
        from.keys = std::move(up->keys);
        connected_at = now;
      } else if (auto* failure = std::get_if<Failed>(&*output)) {
        EXPECT_FALSE(from.error);
        from.error = failure->error;
      } else {
        from.closed = true;
      }
    }
  }
  void transmit(End& to, const Bytes& data) {
    if (random_.unit() < network_.loss) return;
    const auto extra =
        network_.jitter.count() > 0 ? random_.below(static_cast<std::uint64_t>(network_.jitter.count())) : 0;
    in_flight_.emplace(now + network_.delay + Duration(static_cast<std::int64_t>(extra)), std::pair(&to, data));
  }

  Network network_;
  SeededRandom random_;
  std::multimap<Time, std::pair<End*, Bytes>> in_flight_;
};

}  // namespace

TEST(DtlsTransport, a_clean_handshake_gives_both_ends_the_same_gcm_keys_in_two_round_trips) {
  World world;
  world.handshake();
  world.expect_agreement(SrtpProfile::aead_aes_128_gcm);
  EXPECT_LE(world.connected_at - Time{}, 60ms) << "with a one-way delay of 10 ms, and a cookie nowhere";
  EXPECT_EQ(world.client.transport.next_timeout(), Time::max());
  EXPECT_EQ(world.server.transport.next_timeout(), Time::max());
}

TEST(DtlsTransport, sha1_80_is_taken_when_only_that_is_common) {
  World world({}, 1, {SrtpProfile::aes128_cm_sha1_80});
  world.handshake();
  world.expect_agreement(SrtpProfile::aes128_cm_sha1_80);
}

TEST(DtlsTransport, loss_duplication_and_reordering_only_cost_time) {
  const struct {
    Network network;
    std::uint64_t seeds;
  } rows[] = {
      {{0.1, 0, 20ms, 0ms}, 60}, {{0.2, 0, 20ms, 0ms}, 60},  {{0.3, 0, 20ms, 0ms}, 60},     {{0, 1, 20ms, 0ms}, 10},
      {{0, 0, 5ms, 100ms}, 60},  {{0, 0.5, 5ms, 400ms}, 60}, {{0.2, 0.2, 20ms, 100ms}, 60},
  };
  for (const auto& row : rows) {
    Duration slowest{};
    for (std::uint64_t seed = 1; seed <= row.seeds; ++seed) {
      SCOPED_TRACE("loss " + std::to_string(row.network.loss) + " duplicate " + std::to_string(row.network.duplicate) +
                   " jitter " + std::to_string(to_ms(row.network.jitter)) + " ms, seed " + std::to_string(seed));
      World world(row.network, seed);
      world.handshake();
      world.expect_agreement(SrtpProfile::aead_aes_128_gcm);
      if (testing::Test::HasFailure()) return;
      slowest = std::max(slowest, world.connected_at - Time{});
    }
    EXPECT_LE(slowest, 25s);
    if (row.network.loss == 0) {
      EXPECT_LE(slowest, 2s);
    }
  }
}

TEST(DtlsTransport, a_wrong_fingerprint_at_either_end_fails_both_and_gives_no_keys) {
  for (const bool at_client : {true, false}) {
    World world;
    world.introduce();
    (at_client ? world.client : world.server)
        .transport.set_remote_fingerprint(certificate(2)->fingerprint(), world.now);
    world.client.transport.start(world.now);
    world.run(40s);
    End& careful = at_client ? world.client : world.server;
    End& other = at_client ? world.server : world.client;
    ASSERT_TRUE(careful.error && other.error);
    EXPECT_EQ(careful.error->code, ErrorCode::fingerprint_mismatch);
    EXPECT_EQ(other.error->code, ErrorCode::internal) << "told by the alert, long before any timeout";
    EXPECT_NE(other.error->message.find("alert"), std::string::npos) << other.error->message;
    EXPECT_FALSE(careful.keys || other.keys);
    EXPECT_EQ(careful.transport.state(), State::failed);
  }
}

TEST(DtlsTransport, fingerprints_of_unknown_algorithms_and_odd_values_never_match) {
  const std::string right = certificate(1)->fingerprint().value;
  std::string lower = right;
  for (char& c : lower) c = static_cast<char>(std::tolower(c));
  const struct {
    Fingerprint fingerprint;
    bool matches;
  } rows[] = {{{"sha-256", right}, true}, {{"SHA-256", lower}, true}, {{"sha-1", right}, false},
              {{"", right}, false},       {{"sha-256", ""}, false},   {{"sha-256", right + ":00"}, false},
              {{"", ""}, false},          {{"md5", ""}, false},       {{"sha-512", right}, false}};
  for (const auto& row : rows) {
    World world;
    world.introduce();
    world.client.transport.set_remote_fingerprint(row.fingerprint, world.now);
    world.client.transport.start(world.now);
    world.run(5s);
    EXPECT_EQ(world.client.keys.has_value(), row.matches) << row.fingerprint.algorithm << " " << row.fingerprint.value;
  }
}

TEST(DtlsTransport, one_of_several_fingerprints_must_match_in_any_order) {
  const std::string right = certificate(1)->fingerprint().value, wrong = certificate(2)->fingerprint().value;
  const struct {
    std::vector<std::string> values;
    bool matches;
  } rows[] = {{{wrong, right}, true}, {{right, wrong}, true}, {{"", wrong, right}, true}, {{wrong, wrong}, false}, {{wrong, ""}, false}, {{}, false}};
  for (const auto& row : rows) {
    World world;
    world.introduce();
    world.client.transport.set_remote_fingerprint({"sha-256", row.values}, world.now);
    world.client.transport.start(world.now);
    world.run(5s);
    EXPECT_EQ(world.client.keys.has_value(), row.matches) << row.values.size();
  }
}

TEST(DtlsTransport, a_client_hello_before_the_answer_is_kept_until_the_fingerprint_is_known) {
  World world;
  world.client.transport.set_remote_fingerprint(certificate(1)->fingerprint(), world.now);
  world.client.transport.start(world.now);
  world.run(100ms);
  EXPECT_EQ(world.server.transport.state(), State::idle);
  EXPECT_TRUE(world.server.sent.empty());
  const Time before = world.now;
  world.server.transport.set_remote_fingerprint(certificate(0)->fingerprint(), world.now);
  world.run(5s);
  world.expect_agreement(SrtpProfile::aead_aes_128_gcm);
  EXPECT_LE(world.connected_at - before, 50ms) << "without waiting for a retransmission";
}

TEST(DtlsTransport, no_more_than_eight_datagrams_are_kept_early) {
  Transport server(Role::server, certificate(1));
  Bytes datagram(100, std::byte{22});
  for (int i = 0; i < 20; ++i) server.handle_input(datagram, Time{});
  EXPECT_EQ(server.drops()[Drop::too_early_overflow], 12u);
}

TEST(DtlsTransport, a_client_hello_in_two_datagrams_is_understood) {
  // The one ClientHello of our client, cut into two handshake fragments as browsers send theirs (RFC 6347 4.2.3).
  World world;
  world.introduce();
  world.client.transport.start(world.now);
  world.client.transport.set_remote_fingerprint(certificate(1)->fingerprint(), world.now);
  auto output = world.client.transport.poll_output();
  ASSERT_TRUE(output && std::holds_alternative<Bytes>(*output));
  const Bytes hello = std::get<Bytes>(*output);
  ByteReader reader(hello);
  reader.skip(13);
  reader.skip(1);
  const std::uint32_t length = reader.u24();
  const ByteView body = ByteView(hello).subspan(25);
  ASSERT_EQ(body.size(), length);
  const std::size_t cut = 40;
  for (const auto& [sequence, from, size] :
       {std::tuple{10u, cut, body.size() - cut}, std::tuple{11u, std::size_t{0}, cut}}) {  // and the second one first
    Bytes datagram(25 + size);
    ByteWriter writer(datagram);
    writer.u8(22);
    writer.u16(0xfefd);
    writer.u16(0);
    writer.u16(0);
    writer.u32(sequence);
    writer.u16(12 + size);
    writer.u8(1);
    writer.u24(length);
    writer.u16(0);
    writer.u24(from);
    writer.u24(size);
    writer.bytes(body.subspan(from, size));
    world.server.transport.handle_input(datagram, world.now);
  }
  world.run(5s);
  world.expect_agreement(SrtpProfile::aead_aes_128_gcm);
}

TEST(DtlsTransport, a_silent_peer_is_a_timeout_after_fifteen_seconds_of_backed_off_attempts) {
  World world({.loss = 1});
  world.handshake();
  ASSERT_TRUE(world.client.error);
  EXPECT_EQ(world.client.error->code, ErrorCode::timeout);
  EXPECT_EQ(world.client.transport.state(), State::failed);
  EXPECT_GE(world.client.sent.size(), 8u);
  EXPECT_LE(world.client.sent.size(), 9u) << "200 ms, doubled up to 3 s";
  EXPECT_EQ(world.client.transport.next_timeout(), Time::max());
}

TEST(DtlsTransport, a_role_can_be_changed_until_the_handshake_begins) {
  World world;
  ASSERT_TRUE(world.client.transport.set_role(Role::server));
  ASSERT_TRUE(world.server.transport.set_role(Role::client));
  world.introduce();
  world.server.transport.start(world.now);
  EXPECT_FALSE(world.server.transport.set_role(Role::server)) << "another role needs another association";
  EXPECT_TRUE(world.server.transport.set_role(Role::client));
  world.run(1s);
  world.expect_agreement(SrtpProfile::aead_aes_128_gcm);
  EXPECT_EQ(world.client.transport.role(), Role::server);
}

TEST(DtlsTransport, an_end_that_waits_for_a_handshake_gives_up_at_its_deadline) {
  World world;
  world.introduce();
  world.server.transport.set_deadline(world.now);
  world.run(10s);
  world.server.transport.set_deadline(world.now);  // a second call does not prolong it
  world.run(4999ms);
  EXPECT_FALSE(world.server.error);
  world.run(1ms);
  ASSERT_TRUE(world.server.error);
  EXPECT_EQ(world.server.error->code, ErrorCode::timeout);
  EXPECT_EQ(world.server.transport.next_timeout(), Time::max());
}

TEST(DtlsTransport, close_notify_reaches_the_other_end_from_both_sides) {
  for (const bool by_client : {true, false}) {
    World world;
    world.handshake();
    End& leaver = by_client ? world.client : world.server;
    End& stayer = by_client ? world.server : world.client;
    leaver.transport.close(world.now);
    world.run(1s);
    EXPECT_TRUE(stayer.closed);
    EXPECT_EQ(stayer.transport.state(), State::closed);
    EXPECT_EQ(leaver.transport.state(), State::closed);
    EXPECT_FALSE(leaver.closed) << "it knows";
    stayer.transport.handle_input(Bytes(50, std::byte{22}), world.now);
    EXPECT_EQ(stayer.transport.drops()[Drop::after_end], 1u);
    EXPECT_FALSE(stayer.transport.poll_output());
  }
}

TEST(DtlsTransport, closing_early_or_twice_is_harmless) {
  World world;
  world.introduce();
  world.client.transport.start(world.now);
  world.drain();
  world.client.transport.close(world.now);
  world.client.transport.close(world.now);
  world.server.transport.close(world.now);
  world.run(40s);
  EXPECT_FALSE(world.client.keys || world.server.keys || world.client.error || world.server.error);
}

TEST(DtlsTransport, what_is_not_dtls_is_counted_and_dropped) {
  Transport server(Role::server, certificate(1));
  server.set_remote_fingerprint(certificate(0)->fingerprint(), Time{});
  server.handle_input({}, Time{});
  server.handle_input(Bytes(100, std::byte{0x80}), Time{});
  server.handle_input(Bytes(12, std::byte{22}), Time{});
  EXPECT_EQ(server.drops()[Drop::not_dtls], 3u);
  EXPECT_EQ(server.state(), State::idle);
}

TEST(DtlsTransport, truncated_and_damaged_datagrams_crash_nothing_and_never_leak_keys_to_a_stranger) {
  World sample;
  sample.handshake();
  std::vector<Bytes> seen = sample.client.sent;
  seen.insert(seen.end(), sample.server.sent.begin(), sample.server.sent.end());
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRandom random(seed);
    World world({}, seed);
    world.introduce();
    world.client.transport.start(world.now);
    for (int i = 0; i < 12; ++i) {
      Bytes data = seen[random.below(seen.size())];
      if (random.below(3) == 0) data.resize(1 + random.below(data.size()));
      for (std::uint64_t flips = random.below(6); flips > 0; --flips) {
        data[random.below(data.size())] ^= static_cast<std::byte>(1 << random.below(8));
      }
      if (random.below(8) == 0) random.fill(data);
      (random.below(2) ? world.server : world.client).transport.handle_input(data, world.now);
    }
    world.run(random.below(2) ? 1s : 40s);
    if (world.client.keys && world.server.keys) {
      EXPECT_EQ(to_hex(world.client.keys->local), to_hex(world.server.keys->remote));
    }
  }
}

TEST(DtlsTransport, random_garbage_during_and_after_the_handshake_does_no_harm) {
  World world;
  world.introduce();
  world.client.transport.start(world.now);
  SeededRandom random(3);
  for (int i = 0; i < 2000; ++i) {
    Bytes data(13 + random.below(200));
    random.fill(data);
    data[0] = static_cast<std::byte>(20 + random.below(44));
    world.client.transport.handle_input(data, world.now);
    world.server.transport.handle_input(data, world.now);
  }
  world.run(5s);
  world.expect_agreement(SrtpProfile::aead_aes_128_gcm);
  for (int i = 0; i < 2000; ++i) {
    Bytes data(13 + random.below(200));
    random.fill(data);
    data[0] = static_cast<std::byte>(20 + random.below(44));
    world.client.transport.handle_input(data, world.now);
  }
  world.drain();
  EXPECT_EQ(world.client.transport.state(), State::connected);
}

TEST(DtlsCertificate, each_has_a_fingerprint_of_its_own) {
  const Fingerprint& one = certificate(0)->fingerprint();
  EXPECT_EQ(one.algorithm, "sha-256");
  EXPECT_EQ(one.value.size(), 32u * 3 - 1);
  EXPECT_NE(one, certificate(1)->fingerprint());
}

}  // namespace amphi::dtls
