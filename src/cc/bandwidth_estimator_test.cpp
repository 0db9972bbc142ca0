// The estimator against a simulated bottleneck, in virtual time: a sender that sends what it may, a link with a queue,
// the real feedback generator, and the real wire format between them.
#include "cc/bandwidth_estimator.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/random.h"
#include "cc/transport_feedback.h"

namespace amphi::cc {
namespace {

class World {
 public:
  explicit World(double link_bps, double loss = 0, Duration delay = 25ms, std::uint64_t seed = 1)
      : link_bps_(link_bps), loss_(loss), delay_(delay), random_(seed) {}

  void set_link(double bps) { link_bps_ = bps; }
  void set_loss(double loss) { loss_ = loss; }
  void set_jitter(Duration jitter) { jitter_ = jitter; }
  /// Sends at most this, whatever the estimate allows.
  void set_source(double bps) { source_bps_ = bps; }

  /// Runs for `length` and returns the mean estimate over it.
  double run(Duration length) {
    double sum = 0;
    std::int64_t steps = 0;
    for (const Time end = now_ + length; now_ < end; now_ += kStep, ++steps) {
      send();
      deliver();
      sum += static_cast<double>(estimator_.bitrate_bps());
    }
    return sum / static_cast<double>(steps);
  }

  const BandwidthEstimator& estimator() const { return estimator_; }
  Duration queueing() const { return std::max(link_free_ - now_, Duration{0}); }

 private:
  static constexpr Duration kStep = 1ms;
  static constexpr std::size_t kPacket = 1'200;
  static constexpr Duration kMaxQueue = 400ms;

  struct InFlight {
    std::uint16_t seq;
    Time arrives;
  };
  struct Report {
    Bytes wire;
    Time arrives;
  };

  void send() {
    budget_ += std::min(static_cast<double>(estimator_.bitrate_bps()), source_bps_) * 0.001;
    for (; budget_ >= kPacket * 8; budget_ -= kPacket * 8) {
      const std::uint16_t seq = next_seq_++;
      estimator_.on_sent(seq, kPacket, now_);
      if (random_.unit() < loss_ || queueing() > kMaxQueue) continue;
      const auto serialisation =
          std::chrono::duration_cast<Duration>(std::chrono::duration<double>(kPacket * 8 / link_bps_));
      link_free_ = std::max(link_free_, now_) + serialisation;
      const auto jitter = std::chrono::duration_cast<Duration>(jitter_ * random_.unit());
      // A queue keeps the order.
      last_arrival_ = std::max(last_arrival_, link_free_ + delay_ + jitter);
      packets_.push_back({seq, last_arrival_});
    }
  }
  void deliver() {
    for (; !packets_.empty() && packets_.front().arrives <= now_; packets_.pop_front()) {
      generator_.on_packet(packets_.front().seq, packets_.front().arrives);
    }
    while (auto feedback = generator_.poll(now_)) {
      Bytes wire;
      rtp::append_rtcp(wire, *feedback);
      reports_.push_back({std::move(wire), now_ + delay_});
    }
    for (; !reports_.empty() && reports_.front().arrives <= now_; reports_.pop_front()) {
      for (const auto& packet : rtp::parse_rtcp(reports_.front().wire)) {
        estimator_.on_feedback(std::get<rtp::TransportFeedback>(packet), now_);
      }
    }
  }

  double link_bps_;
  double loss_;
  Duration delay_;
  Duration jitter_{0};
  double source_bps_ = 1e12;
  SeededRandom random_;
  BandwidthEstimator estimator_;
  FeedbackGenerator generator_;
  Time now_{};
  Time link_free_{};
  Time last_arrival_{};
  double budget_ = 0;
  std::uint16_t next_seq_ = 65'000;
  std::deque<InFlight> packets_;
  std::deque<Report> reports_;
};

}  // namespace

TEST(BandwidthEstimator, starts_where_it_was_told_to) {
  BandwidthEstimator estimator({.min_bps = 1, .max_bps = 1'000'000, .start_bps = 300'000});
  EXPECT_EQ(estimator.bitrate_bps(), 300'000u);
  EXPECT_EQ(estimator.loss(), 0);
  EXPECT_EQ(estimator.round_trip(), Duration{0});
}

TEST(BandwidthEstimator, converges_on_the_capacity_of_a_link) {
  struct Row {
    double link_bps;
    Duration delay, jitter;
  };
  for (const Row& row : {Row{2e6, 25ms, 0ms}, Row{2e6, 5ms, 0ms}, Row{2e6, 100ms, 0ms}, Row{2e6, 25ms, 8ms},
                         Row{5e6, 25ms, 0ms}, Row{800e3, 25ms, 0ms}, Row{300e3, 25ms, 0ms}}) {
    World world(row.link_bps, 0, row.delay);
    world.set_jitter(row.jitter);
    world.run(20s);
    const double mean = world.run(40s);
    EXPECT_GT(mean, 0.70 * row.link_bps) << row.link_bps << " " << to_ms(row.delay) << " " << to_ms(row.jitter);
    EXPECT_LT(mean, 1.05 * row.link_bps) << row.link_bps << " " << to_ms(row.delay) << " " << to_ms(row.jitter);
    EXPECT_LT(world.estimator().loss(), 0.02);
    EXPECT_GE(world.estimator().round_trip(), 2 * row.delay);
    EXPECT_LE(world.estimator().round_trip(), 2 * row.delay + 200ms) << "the queue stays short";
  }
}

TEST(BandwidthEstimator, backs_off_when_the_link_shrinks_and_recovers_when_it_grows) {
  World world(2e6);
  world.run(20s);
  world.set_link(500e3);
  world.run(3s);
  EXPECT_LT(world.run(2s), 1.1 * 500e3) << "within five seconds";
  world.run(5s);
  const double narrow = world.run(20s);
  EXPECT_GT(narrow, 0.70 * 500e3);
  EXPECT_LT(narrow, 1.05 * 500e3);
  EXPECT_LT(world.queueing(), 150ms);
  world.set_link(2e6);
  world.run(30s);
  const double wide = world.run(20s);
  EXPECT_GT(wide, 0.70 * 2e6);
  EXPECT_LT(wide, 1.05 * 2e6);
}

TEST(BandwidthEstimator, random_loss_of_five_percent_does_not_collapse_it) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    World world(2e6, 0.05, 25ms, seed);
    world.run(20s);
    const double mean = world.run(60s);
    EXPECT_GT(mean, 0.5 * 2e6) << "seed " << seed;
    EXPECT_LT(mean, 1.05 * 2e6) << "seed " << seed;
    EXPECT_NEAR(world.estimator().loss(), 0.05, 0.045) << "seed " << seed;
  }
}

TEST(BandwidthEstimator, heavy_loss_lowers_the_rate_and_its_end_raises_it_again) {
  World world(2e6);
  world.run(20s);
  world.set_loss(0.3);
  world.run(15s);
  const double lossy = world.run(5s);
  EXPECT_LT(lossy, 0.6 * 2e6);
  world.set_loss(0);
  world.run(30s);
  EXPECT_GT(world.run(10s), 0.7 * 2e6);
}

TEST(BandwidthEstimator, a_sender_with_little_to_send_is_not_allowed_much_more) {
  World world(10e6);
  world.set_source(400e3);
  world.run(60s);
  EXPECT_LE(world.estimator().bitrate_bps(), 1'000'000u);
}

TEST(BandwidthEstimator, feedback_that_lies_leaves_the_rate_within_its_limits) {
  const RateLimits limits{.min_bps = 50'000, .max_bps = 3'000'000, .start_bps = 600'000};
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SeededRandom random(seed);
    BandwidthEstimator estimator(limits);
    std::uint16_t seq = 0;
    for (int round = 0; round < 200; ++round) {
      const Time now(50ms * round);
      for (int i = 0; i < 20; ++i) estimator.on_sent(seq++, 1'200, now);
      rtp::TransportFeedback feedback;
      auto claimed = static_cast<std::uint16_t>(random.below(4) ? seq - 20 : random.u32());
      for (std::uint64_t i = random.below(40); i > 0; --i) {
        std::optional<std::int64_t> time;
        if (random.below(3))
          time = static_cast<std::int64_t>(random.below(2) ? random.u32() : random.below(1'000)) - 500;
        feedback.arrivals.push_back({claimed++, time});
      }
      estimator.on_feedback(feedback, now + 20ms);
      ASSERT_GE(estimator.bitrate_bps(), limits.min_bps) << "seed " << seed;
      ASSERT_LE(estimator.bitrate_bps(), limits.max_bps) << "seed " << seed;
      ASSERT_GE(estimator.loss(), 0) << "seed " << seed;
      ASSERT_LE(estimator.loss(), 1) << "seed " << seed;
    }
  }
}

TEST(BandwidthEstimator, feedback_for_nothing_sent_changes_nothing) {
  BandwidthEstimator estimator;
  rtp::TransportFeedback feedback;
  for (std::uint16_t seq = 0; seq < 1'000; ++seq)
    feedback.arrivals.push_back({seq, seq % 2 ? std::nullopt : std::optional<std::int64_t>(seq)});
  estimator.on_feedback(feedback, Time(1s));
  EXPECT_EQ(estimator.bitrate_bps(), RateLimits{}.start_bps);
  EXPECT_EQ(estimator.round_trip(), Duration{0});
  EXPECT_EQ(estimator.loss(), 0);
}

TEST(SendHistory, each_number_is_taken_once_and_a_loss_may_be_taken_back) {
  SendHistory history;
  EXPECT_FALSE(history.take_received(0)) << "nothing was sent";
  for (std::uint16_t seq : {65'535, 0, 1}) history.add(seq, 100u + seq % 7, Time(1s));
  EXPECT_EQ(history.take_received(0)->bytes, 100u);
  EXPECT_FALSE(history.take_received(0));
  EXPECT_FALSE(history.take_lost(0)) << "it arrived";
  EXPECT_TRUE(history.take_lost(1));
  EXPECT_FALSE(history.take_lost(1));
  EXPECT_TRUE(history.take_received(1)->was_lost);
  EXPECT_FALSE(history.take_received(2)) << "not sent yet";
  EXPECT_TRUE(history.take_received(65'535));
  for (int i = 0; i < 20'000; ++i) history.add(static_cast<std::uint16_t>(2 + i), 1, Time(2s));
  EXPECT_FALSE(history.take_lost(1)) << "overwritten";
}

}  // namespace amphi::cc
