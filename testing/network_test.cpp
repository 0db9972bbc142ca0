// The emulated network: each condition does what it says, and a seed repeats.
#include "testing/network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace amphi::testing {

namespace {

const Address kA = Address::v4(10, 0, 0, 1, 1000);
const Address kB = Address::v4(10, 0, 0, 2, 2000);

Transmit numbered(std::uint32_t number, std::size_t size = 100) {
  Bytes data(size);
  ByteWriter(data).u32(number);
  return {kA, kB, data};
}

struct Arrival {
  Time at;
  std::uint32_t number;
  bool operator==(const Arrival&) const = default;
};

std::vector<Arrival> collect(Network& network) {
  std::vector<Arrival> arrivals;
  while (network.next_timeout() != Time::max()) {
    const Time now = network.next_timeout();
    while (const auto packet = network.poll(now)) arrivals.push_back({now, ByteReader(packet->data).u32()});
  }
  return arrivals;
}

/// `count` packets, one a millisecond.
std::vector<Arrival> run(std::uint64_t seed, const Conditions& conditions, std::uint32_t count = 10'000) {
  Network network(seed, conditions);
  for (std::uint32_t i = 0; i < count; ++i) network.send(numbered(i), Time{} + milliseconds(i));
  return collect(network);
}

Conditions with(const std::function<void(Conditions&)>& change) {
  Conditions conditions;
  change(conditions);
  return conditions;
}

bool in_order(const std::vector<Arrival>& arrivals) {
  for (std::size_t i = 1; i < arrivals.size(); ++i) {
    if (arrivals[i].number < arrivals[i - 1].number) return false;
  }
  return true;
}

}  // namespace

TEST(Network, without_conditions_everything_arrives_at_once_and_in_order) {
  const auto arrivals = run(1, {}, 100);
  ASSERT_EQ(arrivals.size(), 100U);
  for (std::uint32_t i = 0; i < 100; ++i) EXPECT_EQ(arrivals[i], (Arrival{Time{} + milliseconds(i), i}));
}

TEST(Network, the_same_seed_gives_the_same_run) {
  const Conditions rough = with([](Conditions& c) {
    c.delay = 20ms, c.jitter = 15ms, c.loss = 0.1, c.burst_start = 0.01, c.duplicate = 0.05, c.reorder = 0.05;
    c.bits_per_second = 2'000'000;
  });
  EXPECT_EQ(run(7, rough), run(7, rough));
  EXPECT_NE(run(7, rough), run(8, rough));
}

TEST(Network, nothing_arrives_before_its_delay) {
  Network network(1, with([](Conditions& c) { c.delay = 40ms; }));
  network.send(numbered(5), Time{} + 1s);
  EXPECT_EQ(network.next_timeout(), Time{} + 1040ms);
  EXPECT_FALSE(network.poll(Time{} + 1039ms));
  const auto packet = network.poll(Time{} + 1040ms);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->local, kA);
  EXPECT_EQ(packet->remote, kB);
  EXPECT_EQ(network.next_timeout(), Time::max());
}

TEST(Network, jitter_spreads_arrivals_without_reordering) {
  const auto arrivals = run(3, with([](Conditions& c) { c.delay = 10ms, c.jitter = 20ms; }));
  EXPECT_TRUE(in_order(arrivals));
  Duration longest{};
  for (const Arrival& arrival : arrivals) {
    const Duration took = arrival.at - (Time{} + milliseconds(arrival.number));
    EXPECT_GE(took, 10ms);
    EXPECT_LT(took, 30ms);
    longest = std::max(longest, took);
  }
  EXPECT_GT(longest, 29ms);
}

TEST(Network, loses_the_share_it_was_told_to) {
  const struct {
    const char* what;
    Conditions conditions;
    double low, high;  // of 10,000 packets, the share that arrives
  } rows[] = {
      {"a tenth", with([](Conditions& c) { c.loss = 0.1; }), 0.88, 0.92},
      {"half", with([](Conditions& c) { c.loss = 0.5; }), 0.48, 0.52},
      {"everything", with([](Conditions& c) { c.loss = 1; }), 0, 0},
      // A burst of 10 after every 90 good ones, on average: 0.1 / (0.1 + 1/90) arrives.
      {"bursts", with([](Conditions& c) { c.burst_start = 1.0 / 90, c.burst_end = 0.1; }), 0.86, 0.94},
      {"a tenth twice", with([](Conditions& c) { c.duplicate = 0.1; }), 1.08, 1.12},
  };
  for (const auto& row : rows) {
    const double share = static_cast<double>(run(11, row.conditions).size()) / 10'000;
    EXPECT_GE(share, row.low) << row.what;
    EXPECT_LE(share, row.high) << row.what;
  }
}

TEST(Network, bursts_are_as_long_as_they_should_be) {
  const auto arrivals = run(5, with([](Conditions& c) { c.burst_start = 0.01, c.burst_end = 0.1; }));
  int gaps = 0;
  std::uint32_t missing = 0;
  for (std::size_t i = 1; i < arrivals.size(); ++i) {
    const std::uint32_t gap = arrivals[i].number - arrivals[i - 1].number - 1;
    missing += gap;
    gaps += gap > 0 ? 1 : 0;
  }
  ASSERT_GT(gaps, 0);
  EXPECT_NEAR(static_cast<double>(missing) / gaps, 10, 3);
}

TEST(Network, reordering_delays_some_and_holds_up_no_other) {
  Network network(9, with([](Conditions& c) { c.reorder = 0.1, c.reorder_delay = 5ms; }));
  for (std::uint32_t i = 0; i < 1000; ++i) network.send(numbered(i), Time{} + milliseconds(i));
  const auto arrivals = collect(network);
  EXPECT_EQ(arrivals.size(), 1000U);
  EXPECT_FALSE(in_order(arrivals));
  const auto late = static_cast<std::uint64_t>(std::count_if(arrivals.begin(), arrivals.end(), [](const Arrival& a) {
    return a.at - (Time{} + milliseconds(a.number)) == 5ms;
  }));
  EXPECT_EQ(late, network.counters()[NetworkEvent::reordered]);
  EXPECT_NEAR(static_cast<double>(late), 100, 30);
}

TEST(Network, a_bottleneck_spaces_packets_and_drops_what_its_queue_cannot_hold) {
  // 1000 bytes on the wire take 8 ms at 1 Mbit/s; 10,000 bytes of queue hold 80 ms.
  Network network(1, with([](Conditions& c) { c.bits_per_second = 1'000'000, c.queue_bytes = 10'000; }));
  for (std::uint32_t i = 0; i < 20; ++i) network.send(numbered(i, 972), Time{});
  const auto arrivals = collect(network);
  ASSERT_EQ(arrivals.size(), 11U);
  for (std::uint32_t i = 0; i < 11; ++i) EXPECT_EQ(arrivals[i], (Arrival{Time{} + 8ms * (i + 1), i}));
  EXPECT_EQ(network.counters()[NetworkEvent::queue_full], 9U);
}

TEST(Network, conditions_are_per_direction) {
  Network network(1);
  network.set_conditions(kA, kB, with([](Conditions& c) { c.partitioned = true; }));
  network.send(numbered(1), Time{});
  EXPECT_FALSE(network.poll(Time{} + 1s));
  network.send({kB, kA, Bytes(4)}, Time{});
  EXPECT_TRUE(network.poll(Time{}));
}

TEST(Network, a_partitioned_host_neither_sends_nor_receives_until_it_is_joined_again) {
  Network network(1);
  network.partition(kB, true);
  network.send(numbered(1), Time{});
  network.send({kB, kA, Bytes(4)}, Time{});
  EXPECT_EQ(network.next_timeout(), Time::max());
  EXPECT_EQ(network.counters()[NetworkEvent::partitioned], 2U);
  network.partition(kB, false);
  network.send(numbered(2), Time{});
  EXPECT_TRUE(network.poll(Time{}));
}

TEST(Network, translation_changes_what_the_other_side_sees_and_rebinding_cuts_the_old_way_back) {
  Network network(1);
  const Address first = Address::v4(203, 0, 113, 1, 1), second = Address::v4(203, 0, 113, 1, 2);
  for (const Address& outside : {first, second}) {
    network.translate(kA, outside);
    network.send(numbered(1), Time{});
    const auto there = network.poll(Time{});
    ASSERT_TRUE(there);
    EXPECT_EQ(there->local, outside);
    network.send({kB, outside, Bytes(4)}, Time{});
    const auto back = network.poll(Time{});
    ASSERT_TRUE(back);
    EXPECT_EQ(back->remote, kA);
  }
  network.send({kB, first, Bytes(4)}, Time{});
  EXPECT_FALSE(network.poll(Time{}));
}

}  // namespace amphi::testing
