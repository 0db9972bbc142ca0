#include "server/media_log.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

namespace amphi::server {
namespace {

struct Entry {
  std::uint64_t number = 0;
  std::shared_ptr<int> owned;
};
using Log = MediaLog<Entry>;

bool put(Log& log, std::uint64_t number, std::size_t size) {
  return log.push(size, [&](Entry& entry, MutableBytes payload) {
    entry.number = number;
    if (size > 0) std::memset(payload.data(), static_cast<int>(number & 0xff), size);
  });
}

/// Whether the front is what `put` made of it.
bool is(Log& log, std::uint64_t number, std::size_t size) {
  const Entry* entry = log.front();
  if (entry == nullptr || entry->number != number || log.payload().size() != size) return false;
  for (const std::byte byte : log.payload())
    if (byte != static_cast<std::byte>(number & 0xff)) return false;
  return true;
}

TEST(MediaLog, gives_back_in_order_whatever_the_sizes) {
  Log log(512, 4);
  EXPECT_EQ(log.front(), nullptr);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(put(log, i, i * 7 % 300));
    ASSERT_TRUE(put(log, i + 5000, 0));
    ASSERT_TRUE(is(log, i, i * 7 % 300)) << i;
    log.pop();
    ASSERT_TRUE(is(log, i + 5000, 0));
    log.pop();
    ASSERT_EQ(log.front(), nullptr);
  }
  EXPECT_LE(log.chunks(), 3u) << "what is emptied goes round";
}

TEST(MediaLog, is_full_at_its_bound_and_takes_on_when_there_is_room_again) {
  Log log(600, 3);
  std::uint64_t first = 0, next = 0;
  for (int round = 0; round < 50; ++round) {
    while (put(log, next, 100)) ++next;
    EXPECT_EQ(log.chunks(), 3u);
    EXPECT_GE(next - first, 3u);
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(is(log, first, 100));
      log.pop();
      ++first;
    }
  }
  EXPECT_FALSE(put(log, 0, 601)) << "larger than a chunk";
  EXPECT_FALSE(put(log, 0, SIZE_MAX / 2));
}

TEST(MediaLog, destroys_what_was_never_taken) {
  const auto owned = std::make_shared<int>(1);
  {
    Log log(256, 8);
    for (int i = 0; i < 6; ++i) log.push(40, [&](Entry& entry, MutableBytes) { entry.owned = owned; });
    log.front();
    log.pop();
    EXPECT_EQ(owned.use_count(), 6);
  }
  EXPECT_EQ(owned.use_count(), 1);
}

TEST(MediaLog, loses_and_repeats_nothing_between_two_threads) {
  Log log(1024, 4);
  constexpr std::uint64_t kCount = 200'000;
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kCount;) {
      if (put(log, i, i % 200)) ++i;
      else std::this_thread::yield();
    }
  });
  std::uint64_t wrong = 0;
  for (std::uint64_t expected = 0; expected < kCount;) {
    if (log.front() != nullptr) {
      wrong += !is(log, expected, expected % 200);
      log.pop();
      ++expected;
    } else {
      std::this_thread::yield();
    }
  }
  producer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(log.front(), nullptr);
}

}  // namespace
}  // namespace amphi::server
