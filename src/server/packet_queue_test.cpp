#include "server/packet_queue.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>

namespace amphi::server {
namespace {

TEST(PacketQueue, gives_back_in_order_and_says_when_it_is_full) {
  PacketQueue<int> queue(4);
  EXPECT_EQ(queue.front(), nullptr);
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue.push([&](int& slot) { slot = i; }));
    EXPECT_FALSE(queue.push([](int&) { FAIL() << "a full queue has no slot to fill"; }));
    for (int i = 0; i < 4; ++i) {
      ASSERT_NE(queue.front(), nullptr);
      EXPECT_EQ(*queue.front(), i);
      queue.pop();
    }
    EXPECT_EQ(queue.front(), nullptr);
  }
}

TEST(PacketQueue, loses_and_repeats_nothing_between_two_threads) {
  struct Slot {
    std::uint64_t number, twice;
  };
  PacketQueue<Slot> queue(64);
  constexpr std::uint64_t kCount = 100'000;
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kCount;) {
      if (queue.push([&](Slot& slot) { slot = {i, 2 * i}; })) ++i;
      else std::this_thread::yield();
    }
  });
  std::uint64_t wrong = 0;
  for (std::uint64_t expected = 0; expected < kCount;) {
    if (const Slot* slot = queue.front()) {
      wrong += slot->number != expected || slot->twice != 2 * expected;
      queue.pop();
      ++expected;
    } else {
      std::this_thread::yield();
    }
  }
  producer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(queue.front(), nullptr);
}

}  // namespace
}  // namespace amphi::server
