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
  /// What the agent sent since the last call, to `to`.
  std::vector<stun::Message> sent_to(const Address& to) {
    std::vector<stun::Message> messages;
    while (auto output = agent.poll_output()) {
      const auto* packet = std::get_if<Transmit>(&*output);
      if (packet && packet->remote == to) messages.push_back(stun::parse(packet->data).value());
    }
    return messages;
  }
  /// Answers the check that was sent to `at`; false: none was.
  bool answer_check(const Address& at) {
    std::optional<stun::TransactionId> newest;
    for (const auto& message : sent_to(at))
      if (message.message_class == stun::Class::request) newest = message.transaction;
    if (!newest) return false;
    stun::Message response;
    response.message_class = stun::Class::success;
    response.transaction = *newest;
    receive(stun::write(response, "password-of-the-peer-xx"), at);
    return true;
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
  ASSERT_EQ(sent.size(), 2U) << "the answer, and a check of the path";
  EXPECT_EQ(sent[0].message_class, stun::Class::success);
  EXPECT_EQ(sent[0].mapped, kClient);
  EXPECT_TRUE(sent[0].has_integrity);
  EXPECT_EQ(sent[1].message_class, stun::Class::request);
  EXPECT_EQ(sent[1].username, "peer:" + server.agent.local_credentials().ufrag);
  EXPECT_TRUE(sent[1].ice_controlled);
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
    ASSERT_TRUE(server.answer_check(kClient));
    stun::Message second = request_to(server.agent, "peer", row.replayed ? 1 : 2);
    second.use_candidate = row.nominated;
    server.receive(stun::write(second, row.authentic ? server.agent.local_credentials().password : "guess"),
                   kElsewhere);
    EXPECT_EQ(server.agent.selected(), (Pair{kServer, kClient})) << "the old pair carries on";
    EXPECT_EQ(server.answer_check(kElsewhere), row.moves);
    EXPECT_EQ(server.agent.selected(), (Pair{kServer, row.moves ? kElsewhere : kClient}));
  }
}

TEST(IceLite, a_nominated_address_gets_the_media_only_when_it_proves_that_it_receives) {
  const struct {
    const char* what;
    bool right_transaction, right_password, right_address, error, moves;
  } rows[] = {
      {"its answer", true, true, true, false, true},
      {"an authentic refusal is a round trip too", true, true, true, true, true},
      {"a guess of the transaction", false, true, true, false, false},
      {"without the password", true, false, true, false, false},
      {"from another address", true, true, false, false, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Alone server(Role::lite_controlled);
    server.receive(request_to(server.agent, "peer", 1));
    ASSERT_TRUE(server.answer_check(kClient));
    stun::Message nomination = request_to(server.agent, "peer", 2);
    nomination.use_candidate = true;
    server.receive(nomination, kElsewhere);
    const auto sent = server.sent_to(kElsewhere);
    ASSERT_EQ(sent.size(), 2U);
    stun::Message response;
    response.message_class = row.error ? stun::Class::error : stun::Class::success;
    response.error_code = row.error ? 487 : 0;
    response.transaction = sent[1].transaction;
    if (!row.right_transaction) response.transaction[0] ^= std::byte{1};
    server.receive(stun::write(response, row.right_password ? "password-of-the-peer-xx" : "guess-guess-guess-guess"),
                   row.right_address ? kElsewhere : kClient);
    EXPECT_EQ(server.agent.selected(), (Pair{kServer, row.moves ? kElsewhere : kClient}));
  }
}

/// Pion checks all its addresses at once, nominates one of them, and sends media from there only.
TEST(IceLite, a_check_that_another_address_answers_late_does_not_undo_the_nomination) {
  const struct {
    const char* what;
    int nominated;  // 0: none, 1: the first address, 2: the second
    bool before_the_first_answer;
  } rows[] = {{"no nomination yet", 0, false}, {"nominated after its answer", 1, false}, {"nominated before its answer", 1, true},
              {"the other one nominated", 2, false}, {"the other one nominated before any answer", 2, true}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Alone server(Role::lite_controlled);
    server.receive(request_to(server.agent, "peer", 1), kClient);
    server.receive(request_to(server.agent, "peer", 2), kElsewhere);
    auto checks = answers(server.agent);
    std::erase_if(checks, [](const stun::Message& message) { return message.message_class != stun::Class::request; });
    ASSERT_EQ(checks.size(), 2U);
    const auto answer = [&](std::size_t i, const Address& from) {
      stun::Message response;
      response.message_class = stun::Class::success;
      response.transaction = checks[i].transaction;
      server.receive(stun::write(response, "password-of-the-peer-xx"), from);
    };
    const auto nominate = [&] {
      stun::Message nomination = request_to(server.agent, "peer", 3);
      nomination.use_candidate = true;
      if (row.nominated != 0) server.receive(nomination, row.nominated == 1 ? kClient : kElsewhere);
    };
    if (row.before_the_first_answer) nominate();
    answer(0, kClient);
    if (!row.before_the_first_answer) nominate();
    answer(1, kElsewhere);
    EXPECT_EQ(server.agent.selected(), (Pair{kServer, row.nominated == 2 ? kElsewhere : kClient}));
  }
}

TEST(IceLite, an_address_that_never_answers_is_sent_at_most_three_times_its_bytes) {
  const struct {
    const char* what;
    bool first, nominates;
  } rows[] = {{"as the first address of its peer", true, false}, {"by nomination", false, true}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Alone server(Role::lite_controlled);
    if (!row.first) {
      server.receive(request_to(server.agent, "peer", 255));
      ASSERT_TRUE(server.answer_check(kClient));
    }
    std::size_t received = 0, sent = 0;
    const Pair victim{kServer, kElsewhere};
    for (int i = 0; i < 250; ++i) {
      if (i % 10 == 0) {
        stun::Message request = request_to(server.agent, "peer", static_cast<std::uint8_t>(i));
        request.use_candidate = row.nominates;
        Bytes data = stun::write(request, server.agent.local_credentials().password);
        received += data.size();
        server.receive(std::move(data), kElsewhere);
      }
      server.now += 100ms;
      server.agent.handle_timeout(server.now);
      while (auto output = server.agent.poll_output())
        if (const auto* packet = std::get_if<Transmit>(&*output); packet && packet->remote == kElsewhere)
          sent += packet->data.size();
      while (server.agent.spend(victim, 100)) sent += 100;  // media
      ASSERT_LE(sent, 3 * received);
    }
    EXPECT_FALSE(server.agent.validated(victim));
    EXPECT_GT(sent, received) << "the bound is used";
  }
}

TEST(IceLite, a_path_whose_peer_no_longer_answers_checks_is_bounded_again_after_thirty_seconds) {
  Alone server(Role::lite_controlled);
  server.receive(request_to(server.agent, "peer", 0));
  ASSERT_TRUE(server.answer_check(kClient));
  for (std::uint8_t i = 1; i <= 35; ++i) {  // its requests go on, as if somebody else sent them in its name
    server.now += 1s;
    server.receive(request_to(server.agent, "peer", i));
    EXPECT_EQ(server.agent.validated({kServer, kClient}), i < 30);
  }
  EXPECT_EQ(server.agent.state(), State::connected);
  EXPECT_FALSE(server.agent.spend({kServer, kClient}, 100'000));
  server.receive(request_to(server.agent, "peer", 40));
  ASSERT_TRUE(server.answer_check(kClient));
  EXPECT_TRUE(server.agent.spend({kServer, kClient}, 100'000));
}

TEST(IceLite, an_abandoned_path_is_forgotten_two_seconds_later) {
  Alone server(Role::lite_controlled);
  server.receive(request_to(server.agent, "peer", 1));
  ASSERT_TRUE(server.answer_check(kClient));
  stun::Message nomination = request_to(server.agent, "peer", 2);
  nomination.use_candidate = true;
  server.receive(nomination, kElsewhere);
  EXPECT_TRUE(server.agent.knows({kServer, kElsewhere}, server.now)) << "what it sends counts before it is validated";
  ASSERT_TRUE(server.answer_check(kElsewhere));
  EXPECT_TRUE(server.agent.knows({kServer, kClient}, server.now + 1999ms));
  EXPECT_FALSE(server.agent.knows({kServer, kClient}, server.now + 2s));
  EXPECT_TRUE(server.agent.knows({kServer, kElsewhere}, server.now + 1h));
}

TEST(IceLite, a_flood_of_checks_is_answered_a_hundred_times_a_second) {
  Alone server(Role::lite_controlled);
  std::size_t answered = 0;
  for (int i = 0; i < 10'000; ++i) {  // 10 s, each from another address
    server.receive(request_to(server.agent, "peer", static_cast<std::uint8_t>(i)),
                   Address::v4(198, 51, 100, static_cast<std::uint8_t>(i % 250), static_cast<std::uint16_t>(i)));
    answered += answers(server.agent).size();
    server.now += 1ms;
  }
  EXPECT_LE(answered, 2 * (200U + 10 * 100) + 1);
  EXPECT_GT(server.agent.drops()[Drop::too_many_requests], 8000U);
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
  ASSERT_TRUE(server.answer_check(kElsewhere));
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
