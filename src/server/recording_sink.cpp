#include "server/recording_sink.h"

#include <algorithm>
#include <cstring>

namespace amphi::server {
namespace {

/// What a record takes of the log: its header and the alignment too.
std::size_t cost_of(std::size_t payload_size) { return sizeof(RecordingSink::Item) + 32 + payload_size; }

/// The bytes that are shared: without the ends of chunks that no record fits into, and the chunk that is being emptied.
std::uint64_t shared_bytes(std::size_t chunks, std::size_t chunk_bytes) {
  const std::uint64_t all = std::uint64_t{chunks} * chunk_bytes;
  return all - all / 32;
}

}  // namespace

RecordingSink::RecordingSink() : RecordingSink(Duration::zero(), Limits{}) {}

RecordingSink::RecordingSink(Duration keep, Limits limits)
    : keep_(keep),
      chunk_bytes_(limits.chunk_bytes),
      kept_chunks_(limits.kept_chunks),
      most_chunks_(limits.chunks + (keep > Duration::zero() ? limits.kept_chunks : 0)),
      shares_(shared_bytes(most_chunks_, limits.chunk_bytes)),
      log_(limits.chunk_bytes, keep > Duration::zero() ? limits.kept_chunks : limits.chunks) {}

template <class Fill>
bool RecordingSink::push(std::size_t payload_size, Fill fill) {
  while (!log_.push(payload_size, fill)) {
    if (!keeping() || log_.front() == nullptr) return false;
    forget_first();
  }
  return true;
}

template <class Fill>
bool RecordingSink::push_for(Feed& feed, std::size_t payload_size, Fill fill) {
  const bool pushed = push(payload_size, [&](Item& item, MutableBytes payload) {
    item.holder = feed.holder;
    fill(item, payload);
  });
  if (pushed) shares_.put(*feed.holder, cost_of(payload_size));
  return pushed;
}

void RecordingSink::Known::take(const rtp::ReportedInstant& report, Time at) {
  switch (check.check(report, info->codec.clock_rate)) {
    case rtp::ReportCheck::Verdict::unconfirmed:
    case rtp::ReportCheck::Verdict::confirmed:
      reported = report;
      reported_at = at;
      return;
    case rtp::ReportCheck::Verdict::inconsistent: return reported_at.reset();
    case rtp::ReportCheck::Verdict::no_clock:
    case rtp::ReportCheck::Verdict::repeated: return;
  }
}

void RecordingSink::forget_first() {
  Item& item = *log_.front();
  if (item.kind == Kind::feed_added) {
    known_.push_back({item.feed, std::move(item.added)});
  } else if (item.kind == Kind::sender_report) {
    for (Known& known : known_) {
      if (known.feed == item.feed) known.take({item.ntp, item.rtp_timestamp}, item.at);
    }
  } else if (item.kind == Kind::feed_removed) {
    std::erase_if(known_, [&](const Known& known) { return known.feed == item.feed; });
  }
  pop();
}

void RecordingSink::pop() {
  const Item& item = *log_.front();
  QueueShares::Holder* holder = item.holder;
  const std::size_t cost = cost_of(log_.payload().size());
  log_.pop();
  if (holder != nullptr) shares_.taken(*holder, cost);
}

void RecordingSink::forget_old(Time now) {
  if (!keeping()) return;
  while (const Item* item = log_.front()) {
    if (item->at >= now - keep_) return;
    forget_first();
  }
}

Duration RecordingSink::hand_over(Time now) {
  forget_old(now);
  keep_ = Duration::zero();
  log_.set_max_chunks(most_chunks_);
  const Item* oldest = log_.front();
  return oldest != nullptr ? std::max(now - oldest->at, Duration::zero()) : Duration::zero();
}

bool RecordingSink::keep_again(Duration keep) {
  if (taken_ || keep == Duration::zero()) return false;
  keep_ = keep;
  log_.set_max_chunks(kept_chunks_);
  return true;
}

void RecordingSink::Waiting::tell(Item& item) {
  item.kind = kind;
  item.feed = feed;
  item.at = at;
  item.added = std::move(added);
}

/// As of when it began: a recording that ends before there is room again has lost it all the same.
void RecordingSink::tell(FeedNumber number, const Feed& feed, Item& item) {
  item.kind = Kind::overflow;
  item.feed = number;
  item.at = feed.lost_since;
  item.lost = feed.lost;
}

void RecordingSink::free_number(FeedNumber number) {
  shares_.leave(*feeds_[number].holder);
  feeds_[number] = {};
  free_numbers_.push_back(number);
}

bool RecordingSink::flush_waiting() {
  while (!waiting_.empty()) {
    if (!push(0, [&](Item& item, MutableBytes) { waiting_.front().tell(item); })) return false;
    waiting_.pop_front();
  }
  return true;
}

/// A loss is told once there is room for a chunk, in the log and in the share: not into the last gap.
bool RecordingSink::may_go_on(const Feed& feed) const { return keeping() || (log_.has_free_chunk() && shares_.has_room(*feed.holder, chunk_bytes_)); }

void RecordingSink::tell_losses(Time now) {
  tell_at_ = now + kTellEvery;
  for (FeedNumber number = 0; lost_untold_ > 0 && number < feeds_.size(); ++number) {
    Feed& feed = feeds_[number];
    if (feed.lost == 0 || !may_go_on(feed)) continue;
    if (!push_for(feed, 0, [&](Item& item, MutableBytes) { tell(number, feed, item); })) return;
    lost_untold_ -= std::exchange(feed.lost, 0);
    if (feed.gone) free_number(number);
  }
}

/// For a packet of the feed, behind all that is to be told before it. False: the packet is lost.
bool RecordingSink::make_room(Feed& feed, std::size_t payload_size, Time now) {
  const bool flushed = flush_waiting();
  if (flushed && lost_untold_ > 0 && (now >= tell_at_ || (feed.lost > 0 && may_go_on(feed)))) tell_losses(now);
  const bool behind = feed.lost > 0;
  const std::size_t need = cost_of(payload_size) + (behind ? chunk_bytes_ : 0);
  if (!keeping() && !shares_.has_room(*feed.holder, need)) return lose(feed, Cause::over_share, now), false;
  if (!flushed || behind) return lose(feed, Cause::full, now), false;
  return true;
}

void RecordingSink::lose(Feed& feed, Cause cause, Time now) {
  if (feed.lost++ == 0) feed.lost_since = now;
  feed.about.cause = cause;
  feed.lost_lately = true;
  ++lost_untold_;
  auto& dropped = dropped_[static_cast<std::size_t>(cause)];
  dropped.store(dropped.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void RecordingSink::feed_added(const sfu::FeedInfo& feed, Time now) {
  FeedNumber number = static_cast<FeedNumber>(feeds_.size());
  if (free_numbers_.empty()) {
    feeds_.emplace_back();
  } else {
    number = free_numbers_.back();
    free_numbers_.pop_back();
  }
  numbers_[feed.id] = number;
  feeds_[number].holder = &shares_.join(feed.participant_identity);
  feeds_[number].about = {feed.id, feed.participant, feed.label, Cause::full};
  waiting_.push_back({Kind::feed_added, number, std::make_unique<sfu::FeedInfo>(feed), now});
  flush_waiting();
}

void RecordingSink::feed_removed(const FeedId& feed, Time now) {
  const auto found = numbers_.find(feed);
  if (found == numbers_.end()) return;
  const FeedNumber number = found->second;
  numbers_.erase(found);
  const bool has_lost = feeds_[number].lost > 0;
  if (has_lost) feeds_[number].gone = true;
  else free_number(number);
  // A feed that came and went while the log was full, without media, leaves nothing to tell.
  const auto came = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& each) { return each.feed == number && each.kind == Kind::feed_added; });
  if (!has_lost && came != waiting_.end()) waiting_.erase(came);
  else waiting_.push_back({Kind::feed_removed, number, nullptr, now});
  flush_waiting();
}

void RecordingSink::packet(const FeedId& id, const peer::ReceivedRtp& packet, Time now) {
  const auto found = numbers_.find(id);
  if (found == numbers_.end()) return;
  const FeedNumber number = found->second;
  Feed& feed = feeds_[number];
  forget_old(now);
  if (!make_room(feed, packet.payload.size(), now)) return;
  const bool pushed = push_for(feed, packet.payload.size(), [&](Item& item, MutableBytes payload) {
    item.kind = Kind::packet;
    item.feed = number;
    item.at = now;
    item.seq = packet.seq;
    item.header = packet.header;
    if (!payload.empty()) std::memcpy(payload.data(), packet.payload.data(), payload.size());
  });
  if (!pushed) lose(feed, Cause::full, now);
}

void RecordingSink::sender_report(const FeedId& id, rtp::NtpTime ntp, rtp::WireTimestamp rtp_timestamp, Time now) {
  const auto found = numbers_.find(id);
  if (found == numbers_.end()) return;
  Feed& feed = feeds_[found->second];
  // The next report says as much as one that finds no room.
  if (!flush_waiting() || feed.lost > 0 || (!keeping() && !shares_.has_room(*feed.holder, cost_of(0)))) return;
  push_for(feed, 0, [&](Item& item, MutableBytes) {
    item.kind = Kind::sender_report;
    item.feed = found->second;
    item.at = now;
    item.ntp = ntp;
    item.rtp_timestamp = rtp_timestamp;
  });
}

/// Drops counts that find no room. The metrics of the connection contain them.
void RecordingSink::packets_dropped(const FeedId& id, std::uint64_t not_selected, std::uint64_t repeated, Time now) {
  const auto found = numbers_.find(id);
  if (found == numbers_.end()) return;
  Feed& feed = feeds_[found->second];
  for (const auto& [kind, packets] : {std::pair(Kind::not_selected, not_selected), std::pair(Kind::repeated, repeated)}) {
    if (packets == 0 || !flush_waiting() || feed.lost > 0 || (!keeping() && !shares_.has_room(*feed.holder, cost_of(0)))) continue;
    push_for(feed, 0, [&, kind = kind, packets = packets](Item& item, MutableBytes) {
      item.kind = kind;
      item.feed = found->second;
      item.at = now;
      item.lost = packets;
    });
  }
}

std::vector<recording::QueueLoss> RecordingSink::take_losses() {
  std::vector<recording::QueueLoss> losses;
  for (Feed& feed : feeds_)
    if (std::exchange(feed.lost_lately, false)) losses.push_back(feed.about);
  return losses;
}

std::vector<RecordingSink::Item> RecordingSink::take_rest() {
  std::vector<Item> rest;
  for (Waiting& waiting : waiting_) waiting.tell(rest.emplace_back());
  waiting_.clear();
  for (FeedNumber number = 0; number < feeds_.size(); ++number) {
    Feed& feed = feeds_[number];
    if (feed.lost > 0) tell(number, feed, rest.emplace_back());
    feed.lost = 0;
  }
  lost_untold_ = 0;
  return rest;
}

}  // namespace amphi::server
