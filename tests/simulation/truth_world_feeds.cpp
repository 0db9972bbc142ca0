// The feeds of a TruthWorld, and the worker that carries them to a recording's sink as server/media_worker does.
#include <algorithm>

#include "tests/simulation/truth_world.h"

namespace amphi::services::simulation {

namespace rec = amphi::recording;
using server::RecordingSink;

void TruthWorld::start_feeds() {
  // Few packets: what goes wrong does so between them, not because of many.
  static const std::vector<rec::test::Sender> kSenders{
      {"fd_wide", rec::test::vp8(), 200ms, 5}, {"fd_mic", rec::test::opus(), 100ms, 1}, {"fd_scope", rec::test::h264(), 150ms, 8}};
  const std::size_t count = 1 + random_.below(kSenders.size());
  for (std::size_t i = 0; i < count; ++i) {
    sources_.push_back(std::make_unique<Source>(kSenders[i]));
    after(between(0, 3'000), [this, i] { change(i); });
    after(between(0, 100), [this, i] { tick(i); });
  }
  if (pre_roll_ > Duration::zero()) after(kKept, [this] { look_after_keeper(); });
}

/// It comes, goes, falls silent or is heard again.
void TruthWorld::change(std::size_t which) {
  Source& source = *sources_[which];
  if (server_ && !source.present) {
    const auto every = static_cast<std::uint32_t>(source.sender.keyframe_every);
    source.present = true;
    source.silent = chance(20);
    source.frame = source.first = (source.frame + every - 1) / every * every;
    source.since = now_;
    if (tap_) tap_->feed_added(source.info(), now_);
    tapped(0);
  } else if (server_ && chance(20)) {
    source.present = false;
    if (tap_) tap_->feed_removed(FeedId(source.sender.id), now_);
    tapped(0);
  } else {
    source.silent = !source.silent;
  }
  after(source.silent ? between(500, 12'000) : between(1'000, 15'000), [this, which] { change(which); });
}

/// A packet a frame, over a network that delays, loses and turns them round. Each time that it comes its numbers begin anew.
void TruthWorld::tick(std::size_t which) {
  Source& source = *sources_[which];
  after(source.sender.interval, [this, which] { tick(which); });
  if (!server_ || !source.present || source.silent) return;
  const std::uint32_t frame = source.frame++;
  if (chance(2)) return;
  const auto ticks = (now_ - source.since).count() / 1000 * source.sender.codec.clock_rate / 1'000'000;
  after(chance(3) ? between(20, 500) : between(1, 15), [this, which, frame, ticks, since = source.since] {
    if (server_ && sources_[which]->present && sources_[which]->since == since) arrive(which, frame, static_cast<rtp::WireTimestamp>(ticks));
  });
}

void TruthWorld::arrive(std::size_t which, std::uint32_t frame, rtp::WireTimestamp timestamp) {
  Source& source = *sources_[which];
  if (!tap_) return;
  const Bytes payload = source.sender.payload(frame);
  peer::ReceivedRtp packet;
  packet.seq = static_cast<rtp::Seq>(frame - source.first);
  packet.header = {true, 96, static_cast<rtp::WireSeq>(packet.seq), timestamp, static_cast<std::uint32_t>(which + 1)};
  packet.payload = payload;
  const std::uint64_t dropped_before = tap_->dropped();
  tap_->packet(FeedId(source.sender.id), packet, now_);
  const bool dropped = tap_->dropped() > dropped_before;
  source.ledger.offer(frame, source.first, now_, dropped);
  if (dropped) check_dropped();
  else tapped(payload.size());
}

/// The sink has taken something.
void TruthWorld::tapped(std::size_t payload) {
  if (!tap_) return;
  const std::uint64_t weight = testing::EmulatedJob::weight(payload);
  if (!tap_->keeping()) {
    given_ += weight;
    return writer_.look_soon();
  }
  in_tap_.push_back({now_, weight});
  while (in_tap_.front().first < now_ - pre_roll_) in_tap_.pop_front();
}

// ------------------------------------------------------------------------------------------------------------ the worker

void TruthWorld::to_worker(std::function<void()> act) {
  at_worker_ = std::max(at_worker_, now_ + between(0, 2));
  after(at_worker_ - now_, [this, epoch = server_epoch_, act = std::move(act)] {
    if (server_ && epoch == server_epoch_) act();
  });
}

void TruthWorld::set_tap(std::shared_ptr<RecordingSink> sink, Time at) {
  tap_ = std::move(sink);
  tapping_ = nullptr;
  in_tap_.clear();
  if (!tap_) return;
  for (const auto& source : sources_) {
    if (!source->present) continue;
    tap_->feed_added(source->info(), at);
    in_tap_.push_back({at, testing::EmulatedJob::weight(0)});
  }
}

void TruthWorld::keep_pre_roll() { set_tap(pre_roll_ > Duration::zero() ? std::make_shared<RecordingSink>(pre_roll_, sink_limits_) : nullptr, now_); }

void TruthWorld::look_after_keeper() {
  if (tap_ && tap_->keeping()) tap_->forget_old(now_);
  after(kKept, [this] { look_after_keeper(); });
}

/// MediaWorker::begin_recording, as it was asked for at `asked`.
void TruthWorld::begin_tap(Recorded& folder, std::uint64_t ceiling) {
  Duration pre_roll{};
  if (tap_ && tap_->keeping()) {
    pre_roll = tap_->hand_over(folder.asked_at);
    check_pre_roll(folder, pre_roll);
  } else {
    set_tap(std::make_shared<RecordingSink>(Duration::zero(), sink_limits_), folder.asked_at);
  }
  given_ = 0;
  for (const auto& [at, weight] : in_tap_) given_ += weight;
  folder.begins_at = folder.asked_at - pre_roll;
  tapping_ = &folder;
  writer_.add(folder.job, tap_, pre_roll, [this, job = folder.job, ceiling] { return prepare(job, ceiling); });
}

void TruthWorld::end_tap() {
  if (tap_ && tap_->keeping()) return;
  if (tapping_) tapping_->tap_ended_at = now_;
  keep_pre_roll();
}

void TruthWorld::lose_feeds() {
  for (auto& source : sources_) source->present = false;
  set_tap(nullptr, now_);
}

// ------------------------------------------------------------------------------------------------------------ what is compared

/// That far back is held, of what came since somebody keeps it; less where memory was short.
void TruthWorld::check_pre_roll(Recorded& folder, Duration pre_roll) {
  while (!in_tap_.empty() && in_tap_.front().first < folder.asked_at - pre_roll_) in_tap_.pop_front();
  const Duration held = in_tap_.empty() ? Duration::zero() : std::max(folder.asked_at - in_tap_.front().first, Duration::zero());
  const auto records = (sink_limits_.kept_chunks - 1) * (sink_limits_.chunk_bytes / kLargestRecord);
  const bool room = in_tap_.size() < records;
  require(room ? pre_roll == held : pre_roll <= held, "a pre-roll of " + std::to_string(to_ms(pre_roll)) + " ms, and what is there begins " + std::to_string(to_ms(held)) + " ms before");
  folder.short_of_memory = pre_roll < held;
  if (pre_roll > Duration::zero()) ++truth_.pre_rolls;
}

/// Nothing is dropped while there is room in the share of the feeds' identity: as much as is free, and a chunk before it goes on.
void TruthWorld::check_dropped() {
  if (!tapping_) return require(false, "nobody records, and something is dropped");
  ++truth_.dropped;
  tapping_->dropped = true;
  const std::size_t chunks = sink_limits_.chunks + (pre_roll_ > Duration::zero() ? sink_limits_.kept_chunks : 0);
  const std::uint64_t full = ((chunks - 1) * sink_limits_.chunk_bytes - chunks * sink_limits_.chunk_bytes / 32 - 2 * kLargestRecord) / 2;
  require(given_ - std::min(given_, tapping_->job->taken) >= full, "dropped, and there was room");
}

}  // namespace amphi::services::simulation
