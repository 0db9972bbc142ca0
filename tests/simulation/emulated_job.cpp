#include "tests/simulation/emulated_job.h"

namespace amphi::testing {
namespace {

using Sink = server::RecordingSink;

constexpr Duration kLook = 1s;
constexpr Duration kWarnBelow = std::chrono::minutes(30);

/// The sink, which counts what is taken from it.
struct Taken {
  Sink& sink;
  std::uint64_t& count;
  Sink::Item* front() { return sink.front(); }
  void pop() {
    if (sink.front()->kind != Sink::Kind::overflow) count += EmulatedJob::weight(sink.payload().size());
    sink.pop();
  }
};

}  // namespace

void EmulatedJob::begin(std::shared_ptr<Sink> from, Duration pre_roll) {
  sink = std::move(from);
  start -= pre_roll;
  info.started_at.unix_ms -= to_ms(pre_roll);
  info.pre_roll = pre_roll;
}

void EmulatedJob::open() {
  take.emplace(info, start, recording::Safekeeping{});
  for (const auto& known : sink->take_known()) {
    add_feed(known.feed, *known.info, start);
    if (!known.reported_at) continue;
    const auto reported = rtp::advanced(known.reported, std::max(start - *known.reported_at, Duration::zero()), known.info->codec.clock_rate);
    take->recorder().handle_sender_report(known.info->id, reported.ntp, reported.rtp, start);
  }
}

void EmulatedJob::add_feed(Sink::FeedNumber number, const sfu::FeedInfo& feed, Time at) {
  if (feeds.size() <= number) feeds.resize(number + 1);
  feeds[number] = feed.id;
  take->recorder().add_feed({feed.id, feed.participant, feed.participant_identity, feed.label, feed.codec}, at);
}

void EmulatedJob::hand_over(Sink::Item& item) {
  using Kind = Sink::Kind;
  if (item.kind == Kind::feed_added) return add_feed(item.feed, *item.added, item.at);
  const FeedId* feed = feed_of(item.feed);
  if (!feed) return;
  recording::Recorder& recorder = take->recorder();
  switch (item.kind) {
    case Kind::packet: return recorder.handle_packet(*feed, item.seq, item.header, sink->payload(), item.at);
    case Kind::sender_report: return recorder.handle_sender_report(*feed, item.ntp, item.rtp_timestamp, item.at);
    case Kind::feed_removed: return recorder.remove_feed(*feed, item.at);
    case Kind::overflow: return recorder.handle_overflow(*feed, item.lost, std::max(item.at, take->reached()));
    case Kind::feed_added: return;
  }
}

bool EmulatedJob::drain() {
  Taken backlog{*sink, taken};
  return take->drain(backlog, [this](Sink::Item& item) { hand_over(item); });
}

void EmulatedJob::complete(Time at, WallTime wall) {
  for (auto& item : sink->take_rest())
    if (item.at <= at) hand_over(item);
  take->complete(at, wall);
}

bool EmulatedJob::look_at_space(std::uint64_t free, Time now, WallTime wall) {
  space_at = now + kLook;
  forecast.add(free, now);
  const auto left = forecast.left(reserve / 2);
  if (reserve > 0 && left == Duration::zero()) {
    full_at = now;
    take->complete(now, wall, Error{ErrorCode::storage, "The disk is full."});
    return false;
  }
  std::optional<recording::StorageWarning> found;
  if (left && *left < kWarnBelow) {
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(*left).count();
    found = recording::StorageWarning{"storage_low", "full in " + std::to_string(minutes), minutes};
  }
  if (found == warning) return false;
  warning = found;
  return true;
}

}  // namespace amphi::testing
