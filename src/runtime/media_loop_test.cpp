#include "runtime/media_loop.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "runtime/clock.h"
#include "runtime/socket.h"

namespace amphi::runtime {
namespace {

Address loopback(std::uint16_t port = 0) { return Address::v4(127, 0, 0, 1, port); }

/// A flag that one thread raises and another waits for: no sleeping, and a bound.
class Signal {
 public:
  void raise() {
    const std::lock_guard lock(mutex_);
    raised_ = true;
    changed_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [this] { return raised_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool raised_ = false;
};

/// Answers every datagram with itself; or collects, and says when it has enough.
class Handler : public MediaHandler {
 public:
  void handle_datagrams(std::span<Datagram> in, SendBatch& out, Time) override {
    largest_batch = std::max(largest_batch, in.size());
    for (const auto& datagram : in) {
      seen.insert(std::string(as_text(datagram.data)));
      last = datagram;
      if (echo) {
        std::memcpy(out.slot().data(), datagram.data.data(), datagram.data.size());
        out.commit(datagram.data.size(), datagram.local, datagram.remote);
      }
    }
    if (seen.size() >= enough) done.raise();
  }
  void handle_timeout(SendBatch&, Time now) override {
    fired_at = now;
    deadline = Time::max();
    done.raise();
  }
  Time next_timeout() const noexcept override { return deadline; }

  bool echo = false;
  std::size_t enough = SIZE_MAX, largest_batch = 0;
  std::set<std::string> seen;
  Datagram last;
  Time deadline = Time::max(), fired_at{};
  Signal done;
};

std::unique_ptr<MediaLoop> make(Handler& handler, std::vector<Address> bind = {loopback()}) {
  auto loop = MediaLoop::create("test", bind, handler);
  EXPECT_TRUE(loop) << (loop ? "" : loop.error().message);
  return std::move(*loop);
}

void send_text(SendBatch& batch, const std::string& text, const Address& from, const Address& to) {
  std::memcpy(batch.slot().data(), text.data(), text.size());
  batch.commit(text.size(), from, to);
}

TEST(MediaLoop, two_loops_exchange_more_datagrams_than_a_batch_holds) {
  Handler near, far;
  far.echo = true;
  near.enough = 500;
  auto a = make(near);
  auto b = make(far);
  const Address from = a->local_addresses()[0], to = b->local_addresses()[0];
  a->post([&](SendBatch& batch, Time) {
    for (int i = 0; i < 500; ++i) send_text(batch, "datagram " + std::to_string(i), from, to);
  });
  b->start();
  a->start();
  EXPECT_TRUE(near.done.wait());
  a->stop();
  b->stop();
  EXPECT_EQ(near.seen.size(), 500u);
  EXPECT_EQ(a->stats().sent, 500u);
  EXPECT_EQ(b->stats().received, 500u);
  EXPECT_EQ(near.last.local, from);
  EXPECT_EQ(near.last.remote, to);
  EXPECT_LE(far.largest_batch, 64u);
}

TEST(MediaLoop, a_datagram_leaves_from_the_address_that_was_named) {
  Handler sender, receiver;
  receiver.enough = 1;
  auto a = make(sender, {loopback(), Address::v4(127, 0, 0, 2, 0)});
  auto b = make(receiver);
  const auto locals = a->local_addresses();
  ASSERT_EQ(locals.size(), 2u);
  a->start();
  b->start();
  a->post([&, to = b->local_addresses()[0]](SendBatch& batch, Time) { send_text(batch, "x", locals[1], to); });
  EXPECT_TRUE(receiver.done.wait());
  b->stop();
  EXPECT_EQ(receiver.last.remote, locals[1]);
}

TEST(MediaLoop, a_socket_that_is_bound_anew_sends_and_receives_there_under_the_name_it_had) {
  Handler moving, receiver;
  moving.enough = receiver.enough = 1;
  auto a = make(moving);
  auto b = make(receiver);
  const Address name = a->local_addresses()[0], to = b->local_addresses()[0];
  a->start();
  b->start();
  bool strange = true, moved = false;
  a->post([&](SendBatch& batch, Time) {
    strange = a->rebind(to, Address::v4(127, 0, 0, 2, 0)).has_value();
    moved = a->rebind(name, Address::v4(127, 0, 0, 2, 0)).has_value();
    send_text(batch, "from there", name, to);
  });
  ASSERT_TRUE(receiver.done.wait());
  b->post([&](SendBatch& batch, Time) { send_text(batch, "and back", to, receiver.last.remote); });
  ASSERT_TRUE(moving.done.wait());
  a->stop();
  b->stop();
  EXPECT_TRUE(moved);
  EXPECT_FALSE(strange) << "no socket of this loop";
  EXPECT_EQ(receiver.last.remote.ip_text(), "127.0.0.2");
  EXPECT_EQ(moving.last.local, name);
  EXPECT_EQ(moving.last.remote, to);
}

TEST(MediaLoop, counts_the_datagrams_that_the_kernel_dropped_for_want_of_room) {
  Handler handler;
  const auto loop = make(handler);  // does not run: nothing is read
  EXPECT_FALSE(loop->count_overflow());
  const auto sender = UdpSocket::bind(loopback()).value();
  sockaddr_storage to{};
  const socklen_t size = to_system(loop->local_addresses()[0], to);
  const Bytes data(1200);
  for (int i = 0; i < 100'000 && !loop->count_overflow(); ++i) sendto(sender.fd(), data.data(), data.size(), 0, reinterpret_cast<const sockaddr*>(&to), size);
  const std::uint64_t dropped = loop->stats().overflow;
  EXPECT_GE(dropped, 1u);
  EXPECT_FALSE(loop->count_overflow()) << "no more since";
  for (int i = 0; i < 10; ++i) sendto(sender.fd(), data.data(), data.size(), 0, reinterpret_cast<const sockaddr*>(&to), size);
  EXPECT_TRUE(loop->count_overflow());
  EXPECT_EQ(loop->stats().overflow, dropped + 10);
}

TEST(MediaLoop, wakes_for_a_deadline_neither_early_nor_much_too_late) {
  Handler handler;
  auto loop = make(handler);
  const Time wanted = now() + 20ms;
  handler.deadline = wanted;
  loop->start();
  EXPECT_TRUE(handler.done.wait());
  loop->stop();
  EXPECT_GE(handler.fired_at, wanted);
  EXPECT_LT(handler.fired_at, wanted + 2s);  // generous: a busy machine is not a broken loop
}

TEST(MediaLoop, a_posted_task_may_bring_the_deadline_nearer) {
  Handler handler;
  auto loop = make(handler);
  loop->start();
  loop->post([&](SendBatch&, Time at) { handler.deadline = at + 1ms; });
  EXPECT_TRUE(handler.done.wait());
}

TEST(MediaLoop, runs_every_task_in_order_before_it_stops_and_none_afterwards) {
  Handler handler;
  auto loop = make(handler);
  loop->start();
  std::vector<int> order;
  for (int i = 0; i < 1000; ++i) loop->post([&order, i](SendBatch&, Time) { order.push_back(i); });
  loop->stop();
  loop->stop();
  loop->post([&](SendBatch&, Time) { order.push_back(-1); });
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(MediaLoop, an_unreachable_destination_or_a_foreign_source_stops_nobody_else) {
  Handler sender, receiver;
  receiver.enough = 1;
  auto a = make(sender);
  auto b = make(receiver);
  a->start();
  b->start();
  const Address from = a->local_addresses()[0];
  a->post([&, to = b->local_addresses()[0]](SendBatch& batch, Time) {
    send_text(batch, "x", from, loopback(0));                          // port 0: EINVAL
    send_text(batch, "x", loopback(1), to);                            // not our address
    send_text(batch, "x", from, *Address::parse("::1", 9));            // the other family
    send_text(batch, "arrives", from, to);
  });
  EXPECT_TRUE(receiver.done.wait());
  a->stop();
  b->stop();
  EXPECT_EQ(a->stats().send_errors, 3u);
  EXPECT_EQ(a->stats().sent, 1u);
}

TEST(MediaLoop, refuses_wildcards_and_addresses_that_are_not_ours) {
  Handler handler;
  for (const Address& address : {Address::v4(0, 0, 0, 0, 0), Address{}, Address::v4(192, 0, 2, 1, 0), *Address::parse("::", 0)}) {
    const auto loop = MediaLoop::create("test", {address}, handler);
    ASSERT_FALSE(loop) << address.text();
    EXPECT_EQ(loop.error().code, ErrorCode::invalid_argument);
  }
}

TEST(MediaLoop, lists_loopback_first_and_only_where_it_is_wanted) {
  const auto all = interface_addresses(true);
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all[0], loopback());
  for (const auto& address : interface_addresses(false)) EXPECT_NE(address, loopback());
}

TEST(Clock, grows_and_random_differs) {
  const Time first = now();
  EXPECT_GE(now(), first);
  EXPECT_GT(wall_now().unix_ms, 1'600'000'000'000);
  SystemRandom random;
  std::set<std::string> tokens;
  for (int i = 0; i < 1000; ++i) tokens.insert(random.token(16));
  EXPECT_EQ(tokens.size(), 1000u);
}

}  // namespace
}  // namespace amphi::runtime
