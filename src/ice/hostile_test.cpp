// What a stranger, a replaying attacker or a confused peer can do to an agent: nothing but move a counter.
#include <gtest/gtest.h>

#include "ice/test_node.h"
#include "stun/message.h"

namespace amphi::ice {

namespace {

const Address kElsewhere = Address::v4(198, 51, 100, 66, 6666);

stun::Message request_to(const Agent& agent, const std::string& remote_ufrag, std::uint8_t number) {
  stun::Message message;
  message.transaction.fill(static_cast<std::byte>(number));
  message.username = agent.local_credentials().ufrag + ":" + remote_ufrag;
  message.priority = 1;
  return message;
}

std::vector<stun::Message> answers(Agent& agent) {
  std::vector<stun::Message> messages;
  while (auto output = agent.poll_output()) {
    if (const auto* packet = std::get_if<Transmit>(&*output)) messages.push_back(stun::parse(packet->data).value());
  }
  return messages;
}

std::uint64_t total(const Counters<Drop>& drops) {
  std::uint64_t sum = 0;
  drops.for_each([&](std::string_view, std::uint64_t n) { sum += n; });
  return sum;
}

/// A lone agent that has been given the credentials of "peer".
struct Alone {
  explicit Alone(Role role) : agent(role, {kServer}, random) {
    agent.set_remote({"peer", "password-of-the-peer-xx"}, {}, now);
  }
  void receive(Bytes data, const Address& from = kClient) { agent.handle_input({from, kServer, data}, now); }
  void receive(const stun::Message& message, const Address& from = kClient) {
    receive(stun::write(message, agent.local_credentials().password), from);
  }
  SeededRandom random{3};
  Time now = Time{} + 1s;
  Agent agent;
};

}  // namespace

TEST(IceLite, answers_a_binding_request_with_the_mapped_address) {
  Alone server(Role::lite_controlled);
  server.receive(request_to(server.agent, "peer", 1));
  const auto sent = answers(server.agent);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].message_class, stun::Class::success);
  EXPECT_EQ(sent[0].mapped, kClient);
  EXPECT_TRUE(sent[0].has_integrity);
  EXPECT_EQ(server.agent.selected(), (Pair{kServer, kClient}));
}

TEST(IceLite, moves_the_pair_only_for_a_fresh_authenticated_nomination) {
  const struct {
    const char* what;
    bool nominated, replayed, authentic, moves;
  } rows[] = {
      {"a nomination", true, false, true, true},
      {"a check", false, false, true, false},
      {"a replayed nomination", true, true, true, false},
      {"a forged nomination", true, false, false, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Alone server(Role::lite_controlled);
    stun::Message first = request_to(server.agent, "peer", 1);
    first.use_candidate = true;
    server.receive(first);
    stun::Message second = request_to(server.agent, "peer", row.replayed ? 1 : 2);
    second.use_candidate = row.nominated;
    server.receive(stun::write(second, row.authentic ? server.agent.local_credentials().password : "guess"),
                   kElsewhere);
    EXPECT_EQ(server.agent.selected(), (Pair{kServer, row.moves ? kElsewhere : kClient}));
  }
}

TEST(IceLite, a_replayed_request_does_not_stand_for_a_peer_that_is_gone) {
  Alone server(Role::lite_controlled);
  const stun::Message request = request_to(server.agent, "peer", 1);
  server.receive(request);
  for (int i = 0; i < 60; ++i) {
    server.now += 1s;
    server.receive(request);
  }
  EXPECT_EQ(server.agent.state(), State::failed);
  EXPECT_GT(server.agent.drops()[Drop::expired], 0U);
}

TEST(IceLite, a_peer_that_repeats_a_request_whose_answer_was_lost_is_there) {
  Alone server(Role::lite_controlled);
  const stun::Message request = request_to(server.agent, "peer", 1);
  for (const Duration at : {0ms, 500ms, 1500ms, 3500ms, 7500ms}) {
    server.now = Time{} + 1s + at;
    server.receive(request);
    EXPECT_EQ(server.agent.state(), State::connected);
  }
}

TEST(IceLite, after_a_silence_a_check_from_a_new_address_is_enough) {
  Alone server(Role::lite_controlled);
  server.receive(request_to(server.agent, "peer", 1));
  server.now += 6s;
  server.receive(request_to(server.agent, "peer", 2), kElsewhere);
  EXPECT_EQ(server.agent.selected(), (Pair{kServer, kElsewhere}));
  EXPECT_EQ(server.agent.state(), State::connected);
}

TEST(Ice, a_peer_that_claims_our_role_is_told_so) {
  for (const Role role : {Role::lite_controlled, Role::full_controlling}) {
    Alone end(role);
    stun::Message request = request_to(end.agent, "peer", 1);
    (role == Role::lite_controlled ? request.ice_controlled : request.ice_controlling) = 7;
    end.receive(request);
    const auto sent = answers(end.agent);
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(sent[0].error_code, 487);
    EXPECT_TRUE(sent[0].has_integrity);
    EXPECT_EQ(end.agent.drops()[Drop::role_conflict], 1U);
    EXPECT_FALSE(end.agent.selected());
  }
}

TEST(IceControlling, two_controlling_agents_fail_instead_of_arguing_for_ever) {
  testing::Network network(1, {.delay = 5ms});
  testing::World world(network);
  AgentNode one(Role::full_controlling, {kServer}, 1), two(Role::full_controlling, {kClient}, 2);
  world.attach(kServer, one);
  world.attach(kClient, two);
  one.agent.set_remote(two.agent.local_credentials(), two.agent.local_candidates(), world.now());
  two.agent.set_remote(one.agent.local_credentials(), one.agent.local_candidates(), world.now());
  world.run_for(31s);
  EXPECT_EQ(one.agent.state(), State::failed);
  EXPECT_EQ(two.agent.state(), State::failed);
  EXPECT_LT(one.sent.size(), 400U);
}

TEST(IceControlling, retries_after_a_role_conflict_and_connects_once_the_peer_has_given_way) {
  Alone client(Role::full_controlling);
  client.agent.add_remote_candidate({kClient, 1, "1"}, client.now);
  const auto checks = answers(client.agent);
  ASSERT_EQ(checks.size(), 1U);
  EXPECT_EQ(checks[0].username, "peer:" + client.agent.local_credentials().ufrag);
  EXPECT_FALSE(checks[0].use_candidate);
  stun::Message reply;
  reply.message_class = stun::Class::error;
  reply.error_code = 487;
  reply.transaction = checks[0].transaction;
  client.receive(stun::write(reply, "password-of-the-peer-xx"));
  client.now += 500ms;
  client.agent.handle_timeout(client.now);
  const auto again = answers(client.agent);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_NE(again[0].transaction, checks[0].transaction);
  reply.message_class = stun::Class::success;
  reply.error_code = 0;
  reply.transaction = again[0].transaction;
  client.receive(stun::write(reply, "password-of-the-peer-xx"));
  EXPECT_EQ(client.agent.state(), State::connected);
  const auto nomination = answers(client.agent);
  ASSERT_EQ(nomination.size(), 1U);
  EXPECT_TRUE(nomination[0].use_candidate);
}

TEST(IceControlling, checks_a_full_peer_that_reached_it_from_an_address_nobody_named) {
  Alone client(Role::full_controlling);
  client.receive(request_to(client.agent, "peer", 1), kElsewhere);
  const auto sent = answers(client.agent);
  ASSERT_EQ(sent.size(), 2U) << "the answer, and a triggered check";
  EXPECT_EQ(sent[0].message_class, stun::Class::success);
  EXPECT_EQ(sent[1].message_class, stun::Class::request);
}

TEST(IceControlling, believes_only_answers_that_are_authentic_expected_and_on_the_way_they_were_asked) {
  const struct {
    const char* what;
    bool right_password, right_transaction, right_address;
    std::optional<Drop> drop;
  } rows[] = {
      {"the answer", true, true, true, std::nullopt},
      {"forged", false, true, true, Drop::bad_integrity},
      {"to a question never asked", true, false, true, Drop::unknown_transaction},
      {"from somewhere else", true, true, false, Drop::unexpected_address},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Alone client(Role::full_controlling);
    client.agent.add_remote_candidate({kClient, 1, "1"}, client.now);
    stun::Message reply;
    reply.message_class = stun::Class::success;
    reply.mapped = kServer;
    reply.transaction = answers(client.agent).at(0).transaction;
    if (!row.right_transaction) reply.transaction[3] ^= std::byte{1};
    client.receive(stun::write(reply, row.right_password ? "password-of-the-peer-xx" : "guess"),
                   row.right_address ? kClient : kElsewhere);
    EXPECT_EQ(client.agent.state(), row.drop ? State::checking : State::connected);
    if (row.drop) {
      EXPECT_EQ(client.agent.drops()[*row.drop], 1U);
      EXPECT_TRUE(answers(client.agent).empty());
    }
  }
}

TEST(IceControlling, an_unauthenticated_error_does_not_end_a_check) {
  Alone client(Role::full_controlling);
  client.agent.add_remote_candidate({kClient, 1, "1"}, client.now);
  stun::Message reply;
  reply.message_class = stun::Class::error;
  reply.error_code = 401;
  reply.transaction = answers(client.agent).at(0).transaction;
  client.receive(stun::write(reply, ""));
  client.now += 500ms;
  client.agent.handle_timeout(client.now);
  EXPECT_EQ(answers(client.agent).size(), 1U);
}

TEST(Ice, garbage_is_counted_and_changes_nothing) {
  for (const Role role : {Role::lite_controlled, Role::full_controlling}) {
    Alone end(role);
    const Bytes good = stun::write(request_to(end.agent, "peer", 1), end.agent.local_credentials().password);
    answers(end.agent);
    std::uint64_t inputs = 0;
    const std::size_t covered = good.size() - 8;  // a FINGERPRINT turned into something else is no reason to refuse
    for (std::size_t bit = 0; bit < covered * 8; ++bit) {
      Bytes bad = good;
      bad[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
      end.receive(bad);
      ++inputs;
    }
    for (std::size_t size = 0; size < good.size(); ++size, ++inputs) {
      end.receive(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)));
    }
    SeededRandom random(5);
    for (int i = 0; i < 1000; ++i, ++inputs) {
      Bytes noise(random.below(200));
      random.fill(noise);
      end.receive(noise);
    }
    EXPECT_EQ(total(end.agent.drops()), inputs);
    EXPECT_TRUE(answers(end.agent).empty());
    EXPECT_FALSE(end.agent.selected());
  }
}

TEST(Ice, early_and_late_timeouts_are_both_fine) {
  Call call;
  ASSERT_TRUE(call.connect());
  const std::size_t sent = call.client.sent.size();
  for (int i = 0; i < 1000; ++i) call.client.handle_timeout(call.world.now());
  EXPECT_LE(call.client.sent.size(), sent + 1);
  call.client.handle_timeout(call.world.now() + 1h);
  EXPECT_EQ(call.client.agent.state(), State::failed);
  EXPECT_EQ(call.client.agent.next_timeout(), Time::max());
}

}  // namespace amphi::ice
