// Lite against controlling over an emulated network: connecting, consent, restarts, changes of address.
#include "ice/agent.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ice/test_node.h"
#include "stun/message.h"

namespace amphi::ice {

namespace {

using testing::Conditions;

std::vector<State> states_of(const AgentNode& node) {
  std::vector<State> states;
  for (const auto& entry : node.states) states.push_back(entry.first);
  return states;
}

}  // namespace

TEST(Ice, connects_over_a_perfect_link_in_one_round_trip_and_names_the_same_pair) {
  Call call;
  ASSERT_TRUE(call.connect());
  EXPECT_EQ(call.world.now(), Time{} + 20ms);
  EXPECT_TRUE(call.agree());
  EXPECT_EQ(call.client.agent.selected(), (Pair{kClient, kServer}));
  EXPECT_EQ(call.client.agent.round_trip(), 20ms);
  EXPECT_EQ(states_of(call.client), (std::vector{State::checking, State::connected}));
  EXPECT_EQ(states_of(call.server), (std::vector{State::checking, State::connected}));
}

TEST(Ice, connects_and_stays_so_over_bad_links) {
  const struct {
    const char* what;
    Conditions conditions;
    Duration within;
  } rows[] = {
      {"10 % loss", {.delay = 20ms, .loss = 0.1}, 8s},
      {"10 % loss, jitter, duplicates, reordering",
       {.delay = 20ms, .jitter = 30ms, .loss = 0.1, .duplicate = 0.2, .reorder = 0.2, .reorder_delay = 100ms},
       8s},
      {"a satellite", {.delay = 400ms, .jitter = 100ms}, 2s},
      {"30 % loss", {.delay = 20ms, .loss = 0.3}, 30s},
  };
  for (const auto& row : rows) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      SCOPED_TRACE(std::string(row.what) + ", seed " + std::to_string(seed));
      Call call(row.conditions, seed);
      ASSERT_TRUE(call.connect(row.within));
      call.world.run_for(10min);
      EXPECT_TRUE(call.agree());
      EXPECT_NE(call.client.agent.state(), State::failed);
      EXPECT_NE(call.server.agent.state(), State::failed);
      if (row.conditions.loss <= 0.1) {
        EXPECT_EQ(call.client.states.size(), 2U) << "no flapping at 10 % loss";
        EXPECT_EQ(call.server.states.size(), 2U);
      }
    }
  }
}

TEST(Ice, keeps_trying_when_the_first_checks_are_lost) {
  for (const Duration outage : {100ms, 1000ms, 3000ms, 10000ms}) {
    Call call;
    call.network.partition(kServer, true);
    call.world.at(Time{} + outage, [&] { call.network.partition(kServer, false); });
    EXPECT_TRUE(call.connect()) << to_ms(outage) << " ms";
    EXPECT_LT(call.world.now(), Time{} + 2 * outage + 600ms);
  }
}

TEST(Ice, backs_off_between_retransmissions_of_one_transaction) {
  Call call;
  call.network.partition(kServer, true);
  call.signal();
  call.world.run_for(12s);
  ASSERT_GE(call.client.sent.size(), 8U);
  const Duration expected[] = {0ms, 500ms, 1500ms, 2500ms, 3500ms, 4500ms, 5500ms, 6500ms};
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(call.client.sent_at[i], Time{} + expected[i]) << i;
    EXPECT_EQ(call.client.sent[i].data == call.client.sent[0].data, i < 7) << "seven sends of one, then another: " << i;
  }
}

TEST(Ice, connects_when_checks_arrive_before_the_server_knows_the_client) {
  Call call;
  call.client.agent.set_remote(call.server.agent.local_credentials(), call.server.agent.local_candidates(), Time{});
  EXPECT_TRUE(call.world.run_until([&] { return call.both(State::connected); }, 1s));
  call.server.agent.set_remote(call.client.agent.local_credentials(), {}, call.world.now());
  call.world.run_for(1min);
  EXPECT_TRUE(call.both(State::connected));
}

TEST(Ice, takes_candidates_that_trickle_in_later) {
  Call call;
  call.server.agent.set_remote(call.client.agent.local_credentials(), {}, Time{});
  call.client.agent.set_remote(call.server.agent.local_credentials(), {}, Time{});
  call.world.run_for(20s);
  EXPECT_EQ(call.client.agent.state(), State::checking);
  call.client.agent.add_remote_candidate(call.server.agent.local_candidates()[0], call.world.now());
  EXPECT_TRUE(call.world.run_until([&] { return call.both(State::connected); }, 1s));
}

TEST(Ice, wrong_credentials_never_connect_and_fail_after_thirty_seconds) {
  const struct {
    const char* what;
    bool wrong_user;
    Drop drop;
  } rows[] = {{"wrong password", false, Drop::bad_integrity}, {"wrong user", true, Drop::unknown_user}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Call call;
    Credentials wrong = call.server.agent.local_credentials();
    (row.wrong_user ? wrong.ufrag : wrong.password)[0] ^= 1;
    call.server.agent.set_remote(call.client.agent.local_credentials(), {}, Time{});
    call.client.agent.set_remote(wrong, call.server.agent.local_candidates(), Time{});
    call.world.run_for(29s);
    EXPECT_TRUE(call.both(State::checking));
    call.world.run_for(1s);
    EXPECT_TRUE(call.both(State::failed));
    EXPECT_GT(call.server.agent.drops()[row.drop], 0U);
    EXPECT_TRUE(call.server.sent.empty()) << "a stranger gets no answer";
    EXPECT_EQ(call.client.agent.next_timeout(), Time::max());
  }
}

TEST(Ice, the_server_refuses_a_client_that_is_not_the_one_signalled) {
  Call call;
  call.server.agent.set_remote({"other", "another-password-of-some-length"}, {}, Time{});
  call.client.agent.set_remote(call.server.agent.local_credentials(), call.server.agent.local_candidates(), Time{});
  call.world.run_for(5s);
  EXPECT_FALSE(call.server.agent.selected());
  EXPECT_GT(call.server.agent.drops()[Drop::unknown_user], 0U);
}

TEST(Ice, silence_is_disconnected_after_five_seconds_and_failed_after_thirty) {
  Call call;
  ASSERT_TRUE(call.connect());
  call.world.run_for(10s);
  call.network.partition(kServer, true);
  const Time cut = call.world.now();
  call.world.run_for(40s);
  for (const AgentNode* node : {&call.server, &call.client}) {
    ASSERT_EQ(states_of(*node), (std::vector{State::checking, State::connected, State::disconnected, State::failed}));
    // What was heard last was heard at most one consent interval (3 s) before the cut.
    const Time disconnected = node->states[2].second, failed = node->states[3].second;
    EXPECT_GT(disconnected, cut + 1900ms);
    EXPECT_LE(disconnected, cut + 5s);
    EXPECT_EQ(failed - disconnected, 25s);
    EXPECT_FALSE(node->agent.selected());
  }
  const std::size_t sent = call.client.sent.size();
  call.network.partition(kServer, false);
  call.world.run_for(1min);
  EXPECT_EQ(call.client.sent.size(), sent) << "without consent nothing may be sent";
  EXPECT_TRUE(call.both(State::failed)) << "until a restart";
}

TEST(Ice, recovers_by_itself_from_a_silence_shorter_than_consent) {
  Call call;
  ASSERT_TRUE(call.connect());
  call.network.partition(kServer, true);
  call.world.run_for(20s);
  EXPECT_TRUE(call.both(State::disconnected));
  EXPECT_TRUE(call.client.agent.selected()) << "the pair still stands";
  call.network.partition(kServer, false);
  EXPECT_TRUE(call.world.run_until([&] { return call.both(State::connected); }, 1s));
}

TEST(Ice, a_restart_after_failure_connects_again) {
  Call call;
  ASSERT_TRUE(call.connect());
  call.network.partition(kServer, true);
  call.world.run_for(1min);
  ASSERT_TRUE(call.both(State::failed));
  call.network.partition(kServer, false);
  call.restart();
  EXPECT_TRUE(call.both(State::waiting));
  EXPECT_TRUE(call.connect());
  EXPECT_TRUE(call.agree());
}

TEST(Ice, during_a_restart_the_old_pair_carries_on_until_a_new_one_is_selected) {
  Call call;
  ASSERT_TRUE(call.connect());
  const Credentials old = call.server.agent.local_credentials();
  call.restart();
  EXPECT_NE(call.server.agent.local_credentials(), old);
  // The new credentials are on their way for 20 s: consent by the old ones goes on.
  call.world.run_for(20s);
  EXPECT_TRUE(call.both(State::connected));
  EXPECT_TRUE(call.agree());
  call.signal();
  call.world.run_for(20s);
  EXPECT_TRUE(call.both(State::connected));
  EXPECT_EQ(call.client.states.size(), 2U) << "media never paused";
  EXPECT_EQ(call.server.states.size(), 2U);
  // From now on the old credentials are dead.
  Call stranger;
  stranger.client.agent.set_remote(old, call.server.agent.local_candidates(), Time{});
  stranger.world.run_for(1s);
  Bytes data = stranger.client.sent[0].data;
  const auto before = call.server.agent.drops()[Drop::unknown_user];
  call.server.agent.handle_input({kClient, kServer, data}, call.world.now());
  EXPECT_EQ(call.server.agent.drops()[Drop::unknown_user], before + 1);
}

TEST(Ice, a_restart_that_never_completes_leaves_the_old_pair_alone) {
  Call call;
  ASSERT_TRUE(call.connect());
  call.client.agent.restart(call.world.now());  // the server never learns of it
  call.client.agent.set_remote({"nobody", "a-password-nobody-knows-at-all"}, call.server.agent.local_candidates(),
                               call.world.now());
  call.world.run_for(5min);
  EXPECT_TRUE(call.both(State::connected));
  EXPECT_TRUE(call.agree());
}

TEST(Ice, two_restarts_in_a_row_end_with_the_last) {
  Call call;
  ASSERT_TRUE(call.connect());
  call.restart();
  call.world.run_for(100ms);
  call.restart();
  call.signal();
  call.world.run_for(1min);
  EXPECT_TRUE(call.both(State::connected));
  EXPECT_EQ(call.client.states.size(), 2U);
}

TEST(Ice, a_peer_that_restarts_alone_is_followed) {
  Call call;
  ASSERT_TRUE(call.connect());
  call.client.agent.restart(call.world.now());
  call.client.agent.set_remote(call.server.agent.local_credentials(), call.server.agent.local_candidates(),
                               call.world.now());
  call.server.agent.set_remote(call.client.agent.local_credentials(), {}, call.world.now());
  call.world.run_for(1min);
  EXPECT_TRUE(call.both(State::connected));
  EXPECT_TRUE(call.agree());
  EXPECT_EQ(call.server.agent.drops()[Drop::bad_integrity] + call.server.agent.drops()[Drop::unknown_user], 0U);
}

TEST(Ice, renegotiating_with_the_same_credentials_changes_nothing) {
  Call call;
  ASSERT_TRUE(call.connect());
  const std::size_t sent = call.client.sent.size();
  for (int i = 0; i < 100; ++i) call.signal();
  call.world.run_for(500ms);
  EXPECT_LE(call.client.sent.size(), sent + 1);
  EXPECT_TRUE(call.both(State::connected));
}

TEST(Ice, the_server_follows_an_address_translator_that_rebinds) {
  Call call;
  const Address first = Address::v4(203, 0, 113, 5, 1111), second = Address::v4(203, 0, 113, 5, 2222);
  call.network.translate(kClient, first);
  ASSERT_TRUE(call.connect());
  EXPECT_EQ(call.server.agent.selected(), (Pair{kServer, first}));
  call.network.translate(kClient, second);
  EXPECT_TRUE(call.world.run_until([&] { return call.server.agent.selected() == Pair{kServer, second}; }, 3100ms));
  call.world.run_for(1min);
  EXPECT_TRUE(call.both(State::connected));
  EXPECT_EQ(call.client.states.size(), 2U);
}

TEST(Ice, moves_to_a_new_network_with_and_without_a_restart) {
  for (const bool with_restart : {false, true}) {
    SCOPED_TRACE(with_restart);
    Call call;
    call.world.attach(kClientTwo, call.client);
    ASSERT_TRUE(call.connect());
    call.world.run_for(7s);
    call.network.partition(kClient, true);
    call.client.agent.set_local({kClientTwo}, call.world.now());
    if (with_restart) {
      call.restart();
      call.signal();
    }
    EXPECT_TRUE(call.world.run_until(
        [&] {
          return call.agree() && call.client.agent.selected() == Pair{kClientTwo, kServer};
        },
        200ms));
    call.world.run_for(1min);
    EXPECT_TRUE(call.both(State::connected));
  }
}

TEST(Ice, prefers_the_pair_of_highest_priority_of_those_that_work) {
  const struct {
    const char* what;
    std::vector<Address> cut;
    Pair expected;
  } rows[] = {
      {"all work", {}, {kClient, kServer}},
      {"the server's first address is dead", {kServer}, {kClient, kServerTwo}},
      {"the client's first address is dead", {kClient}, {kClientTwo, kServer}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Call call({.delay = 10ms}, 1, {kServer, kServerTwo}, {kClient, kClientTwo, kClientSix});
    for (const Address& address : row.cut) call.network.partition(address, true);
    ASSERT_TRUE(call.connect(1s));
    call.world.run_for(10s);
    EXPECT_EQ(call.client.agent.selected(), row.expected);
    EXPECT_TRUE(call.agree());
    for (const Transmit& packet : call.client.sent) EXPECT_EQ(packet.local.family, packet.remote.family);
  }
}

TEST(Ice, a_slow_better_pair_replaces_a_fast_worse_one_while_settling) {
  Call call({.delay = 2ms}, 1, {kServer, kServerTwo}, {kClient});
  call.network.set_conditions(kClient, kServer, {.delay = 150ms});
  ASSERT_TRUE(call.connect(1s));
  EXPECT_EQ(call.client.agent.selected(), (Pair{kClient, kServerTwo}));
  call.world.run_for(10s);
  EXPECT_EQ(call.client.agent.selected(), (Pair{kClient, kServer}));
  EXPECT_TRUE(call.agree());
}

TEST(Ice, moves_to_another_pair_when_the_selected_one_dies) {
  Call call({.delay = 10ms}, 1, {kServer, kServerTwo}, {kClient, kClientTwo});
  ASSERT_TRUE(call.connect());
  call.world.run_for(10s);
  ASSERT_EQ(call.client.agent.selected(), (Pair{kClient, kServer}));
  call.network.partition(kClient, true);
  call.world.run_for(6s);
  EXPECT_EQ(call.client.agent.selected(), (Pair{kClientTwo, kServer}));
  call.world.run_for(1s);
  EXPECT_TRUE(call.both(State::connected));
  EXPECT_TRUE(call.agree());
}

TEST(Ice, paces_its_first_checks_fifty_milliseconds_apart) {
  std::vector<Address> servers;
  for (std::uint8_t i = 1; i <= 5; ++i) servers.push_back(Address::v4(192, 0, 2, i, 3478));
  Call call({}, 1, servers, {kClient, kClientTwo});
  for (const Address& server : servers) call.network.partition(server, true);
  call.signal();
  call.world.run_for(449ms);
  EXPECT_EQ(call.client.sent.size(), 9U);
  call.world.run_for(1ms);
  EXPECT_EQ(call.client.sent.size(), 10U);
}

TEST(Ice, consent_costs_little) {
  Call call;
  ASSERT_TRUE(call.connect());
  call.world.run_for(100s);
  const auto requests = [](const AgentNode& node) {
    return std::count_if(node.sent.begin(), node.sent.end(), [](const Transmit& packet) {
      return stun::parse(packet.data)->message_class == stun::Class::request;
    });
  };
  EXPECT_GE(requests(call.client), 100 / 3);
  EXPECT_LE(requests(call.client), 100 / 2 + 2);
  EXPECT_GE(requests(call.server), 100 / 10) << "a server renews its validation of the path";
  EXPECT_LE(requests(call.server), 100 / 10 + 2);
}

TEST(Ice, an_hour_of_outages_restarts_and_rebinding_always_ends_connected) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    Call call({.delay = 20ms, .jitter = 20ms, .loss = 0.05, .duplicate = 0.05, .reorder = 0.05}, seed);
    ASSERT_TRUE(call.connect());
    std::uint16_t port = 1000;
    while (call.world.now() < Time{} + 1h) {
      switch (random.below(4)) {
        case 0:
          call.network.partition(kClient, true);
          break;
        case 1:
          call.network.translate(kClient, Address::v4(203, 0, 113, 9, ++port));
          break;
        case 2:
          call.restart();
          call.world.run_for(milliseconds(random.below(3000)));
          call.signal();
          break;
        default:
          break;
      }
      call.world.run_for(milliseconds(random.below(60'000)));
      call.network.partition(kClient, false);
      if (call.client.agent.state() == State::failed || call.server.agent.state() == State::failed) {
        call.restart();
        call.signal();
      }
    }
    EXPECT_TRUE(call.world.run_until([&] { return call.both(State::connected); }, 15s));
    EXPECT_EQ(call.client.agent.selected()->local, kClient);
    EXPECT_EQ(call.server.agent.selected()->local, kServer);
  }
}

TEST(Ice, the_same_seed_gives_the_same_run) {
  const Conditions rough{.delay = 20ms, .jitter = 20ms, .loss = 0.2, .duplicate = 0.1};
  Call first(rough, 4), again(rough, 4);
  for (Call* call : {&first, &again}) {
    call->signal();
    call->world.run_for(1min);
  }
  EXPECT_EQ(first.client.states, again.client.states);
  ASSERT_EQ(first.client.sent.size(), again.client.sent.size());
  EXPECT_EQ(first.client.sent.back().data, again.client.sent.back().data);
}

TEST(Ice, credentials_are_as_long_as_the_rfc_asks) {
  SeededRandom random(1);
  const Credentials one = make_credentials(random), two = make_credentials(random);
  EXPECT_GE(one.ufrag.size(), 4U);
  EXPECT_GE(one.password.size(), 22U);
  EXPECT_NE(one, two);
  EXPECT_EQ(host_priority(65535), 2130706431U);  // RFC 8445 5.1.2.1 for a host candidate
}

}  // namespace amphi::ice
