// The discrete-event world and the collecting batch.
#include "testing/world.h"

#include <gtest/gtest.h>

#include <deque>
#include <stdexcept>

#include "testing/collecting_batch.h"

namespace amphi::testing {

namespace {

/// Sends one byte every `period` and echoes what others send once.
class Ticker final : public Node {
 public:
  Ticker(Address own, Address other, Duration period) : own_(own), other_(other), period_(period) {}

  void handle_input(const Datagram& in, Time now) override {
    heard_.push_back(now);
    if (in.data[0] == std::byte{'p'}) waiting_.push_back({in.local, in.remote, Bytes{std::byte{'e'}}});
  }
  void handle_timeout(Time now) override {
    if (now < next_) return;
    next_ = now + period_;
    waiting_.push_back({own_, other_, Bytes{std::byte{'p'}}});
  }
  void drain(Network& network, Time now) override {
    for (; !waiting_.empty(); waiting_.pop_front()) network.send(waiting_.front(), now);
  }
  Time next_timeout() const override { return next_; }

  std::vector<Time> heard_;

 private:
  Address own_, other_;
  Duration period_;
  Time next_{};
  std::deque<Transmit> waiting_;
};

const Address kA = Address::v4(10, 0, 0, 1, 1), kB = Address::v4(10, 0, 0, 2, 2);

struct Two {
  explicit Two(std::uint64_t seed, Conditions conditions = {.delay = 5ms}) : network(seed, conditions), world(network) {
    world.attach(kA, a);
    world.attach(kB, b);
  }
  Network network;
  World world;
  Ticker a{kA, kB, 100ms}, b{kB, kA, 250ms};
};

}  // namespace

TEST(World, time_jumps_from_deadline_to_deadline_and_stops_where_it_was_told) {
  Two two(1);
  two.world.run_for(1h);
  EXPECT_EQ(two.world.now(), Time{} + 1h);
  // 36,001 pings from a and as many echoes to it, 14,401 from b; the last ones are still under way.
  EXPECT_NEAR(static_cast<double>(two.a.heard_.size()), 36'001 + 14'401, 3);
  EXPECT_EQ(two.a.heard_[0], Time{} + 5ms);
}

TEST(World, the_same_seed_gives_the_same_run) {
  const Conditions rough{.delay = 20ms, .jitter = 10ms, .loss = 0.2, .duplicate = 0.1, .reorder = 0.1};
  Two first(5, rough), again(5, rough), other(6, rough);
  for (Two* two : {&first, &again, &other}) two->world.run_for(1min);
  EXPECT_EQ(first.a.heard_, again.a.heard_);
  EXPECT_EQ(first.world.events(), again.world.events());
  EXPECT_NE(first.a.heard_, other.a.heard_);
}

TEST(World, runs_actions_at_their_time_in_their_order) {
  Two two(1);
  std::vector<std::pair<int, Time>> ran;
  for (const int i : {1, 2}) two.world.at(Time{} + 33ms, [&, i] { ran.emplace_back(i, two.world.now()); });
  two.world.at(Time{} + 7ms, [&] { ran.emplace_back(0, two.world.now()); });
  two.world.run_for(1s);
  EXPECT_EQ(ran, (std::vector<std::pair<int, Time>>{{0, Time{} + 7ms}, {1, Time{} + 33ms}, {2, Time{} + 33ms}}));
}

TEST(World, stops_as_soon_as_the_condition_holds) {
  Two two(1);
  EXPECT_TRUE(two.world.run_until([&] { return two.a.heard_.size() >= 3; }, 10s));
  EXPECT_EQ(two.world.now(), two.a.heard_.back());
  EXPECT_FALSE(two.world.run_until([] { return false; }, 1s));
}

TEST(World, what_arrives_at_a_detached_node_is_swallowed) {
  Two two(1);
  two.world.run_for(1s);
  two.world.detach(two.b);
  const std::size_t heard = two.b.heard_.size();
  two.world.run_for(1s);
  EXPECT_EQ(two.b.heard_.size(), heard);
}

TEST(World, a_node_that_asks_for_a_deadline_and_does_not_serve_it_is_found_out) {
  class Stuck final : public Node {
    void handle_input(const Datagram&, Time) override {}
    void handle_timeout(Time) override {}
    void drain(Network&, Time) override {}
    Time next_timeout() const override { return Time{} + 1s; }
  } stuck;
  Network network(1);
  World world(network);
  world.attach(kA, stuck);
  EXPECT_THROW(world.run_for(2s), std::logic_error);
}

TEST(CollectingBatch, keeps_what_was_committed_until_it_is_taken) {
  CollectingBatch batch;
  EXPECT_GE(batch.slot().size(), kMaxDatagram);
  batch.slot()[0] = std::byte{9};
  batch.commit(1, kA, kB);
  batch.send({kB, kA, Bytes(kMaxDatagram)});
  ASSERT_EQ(batch.sent().size(), 2U);
  EXPECT_EQ(batch.sent()[0].data, Bytes{std::byte{9}});
  EXPECT_EQ(batch.sent()[0].remote, kB);
  EXPECT_EQ(batch.take().size(), 2U);
  EXPECT_TRUE(batch.sent().empty());
}

}  // namespace amphi::testing
