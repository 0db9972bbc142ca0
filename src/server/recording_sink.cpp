#include "server/recording_sink.h"

#include <algorithm>
#include <cstring>

namespace amphi::server {

RecordingSink::RecordingSink() : RecordingSink(Duration::zero(), Limits{}) {}

RecordingSink::RecordingSink(Duration keep, Limits limits)
    : keep_(keep),
      kept_chunks_(limits.kept_chunks),
      most_chunks_(limits.chunks + (keep > Duration::zero() ? limits.kept_chunks : 0)),
      log_(limits.chunk_bytes, keep > Duration::zero() ? limits.kept_chunks : limits.chunks) {}

template <class Fill>
bool RecordingSink::push(std::size_t payload_size, Fill fill) {
  while (!log_.push(payload_size, fill)) {
    if (!keeping() || log_.front() == nullptr) return false;
    forget_first();
  }
  return true;
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
  log_.pop();
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
void RecordingSink::tell(FeedNumber feed, const Lost& lost, Item& item) {
  item.kind = Kind::overflow;
  item.feed = feed;
  item.at = lost.since;
  item.lost = lost.packets;
}

void RecordingSink::told(FeedNumber feed) {
  Lost& lost = lost_[feed];
  lost_untold_ -= lost.packets;
  if (lost.gone) free_numbers_.push_back(feed);
  lost = {};
}

bool RecordingSink::flush_waiting() {
  while (!waiting_.empty()) {
    if (!push(0, [&](Item& item, MutableBytes) { waiting_.front().tell(item); })) return false;
    waiting_.pop_front();
  }
  // Not into the last gap: what was lost is told once there is room to go on.
  if (lost_untold_ > 0 && !log_.has_free_chunk()) return false;
  for (FeedNumber feed = 0; lost_untold_ > 0 && feed < lost_.size(); ++feed) {
    if (lost_[feed].packets == 0) continue;
    if (!push(0, [&](Item& item, MutableBytes) { tell(feed, lost_[feed], item); })) return false;
    told(feed);
  }
  return true;
}

void RecordingSink::feed_added(const sfu::FeedInfo& feed, Time now) {
  FeedNumber number = static_cast<FeedNumber>(lost_.size());
  if (free_numbers_.empty()) {
    lost_.emplace_back();
  } else {
    number = free_numbers_.back();
    free_numbers_.pop_back();
  }
  feeds_[feed.id] = number;
  waiting_.push_back({Kind::feed_added, number, std::make_unique<sfu::FeedInfo>(feed), now});
  flush_waiting();
}

void RecordingSink::feed_removed(const FeedId& feed, Time now) {
  const auto found = feeds_.find(feed);
  if (found == feeds_.end()) return;
  const FeedNumber number = found->second;
  feeds_.erase(found);
  const bool has_lost = lost_[number].packets > 0;
  if (has_lost) lost_[number].gone = true;
  else free_numbers_.push_back(number);
  // A feed that came and went while the log was full, without media, leaves nothing to tell.
  const auto came = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& each) { return each.feed == number && each.kind == Kind::feed_added; });
  if (!has_lost && came != waiting_.end()) waiting_.erase(came);
  else waiting_.push_back({Kind::feed_removed, number, nullptr, now});
  flush_waiting();
}

void RecordingSink::packet(const FeedId& feed, const peer::ReceivedRtp& packet, Time now) {
  const auto found = feeds_.find(feed);
  if (found == feeds_.end()) return;
  const FeedNumber number = found->second;
  forget_old(now);
  const bool pushed = flush_waiting() && push(packet.payload.size(), [&](Item& item, MutableBytes payload) {
    item.kind = Kind::packet;
    item.feed = number;
    item.at = now;
    item.seq = packet.seq;
    item.header = packet.header;
    if (!payload.empty()) std::memcpy(payload.data(), packet.payload.data(), payload.size());
  });
  if (!pushed) {
    if (lost_[number].packets++ == 0) lost_[number].since = now;
    ++lost_untold_;
    dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
}

void RecordingSink::sender_report(const FeedId& feed, rtp::NtpTime ntp, rtp::WireTimestamp rtp_timestamp, Time now) {
  const auto found = feeds_.find(feed);
  if (found == feeds_.end() || !flush_waiting()) return;  // the next report says as much
  push(0, [&](Item& item, MutableBytes) {
    item.kind = Kind::sender_report;
    item.feed = found->second;
    item.at = now;
    item.ntp = ntp;
    item.rtp_timestamp = rtp_timestamp;
  });
}

/// Told as well as there is room: the connection counts them too.
void RecordingSink::packets_dropped(const FeedId& feed, std::uint64_t not_selected, std::uint64_t repeated, Time now) {
  const auto found = feeds_.find(feed);
  if (found == feeds_.end() || !flush_waiting()) return;
  for (const auto& [kind, packets] : {std::pair(Kind::not_selected, not_selected), std::pair(Kind::repeated, repeated)}) {
    if (packets == 0) continue;
    push(0, [&, kind = kind, packets = packets](Item& item, MutableBytes) {
      item.kind = kind;
      item.feed = found->second;
      item.at = now;
      item.lost = packets;
    });
  }
}

std::vector<RecordingSink::Item> RecordingSink::take_rest() {
  std::vector<Item> rest;
  for (Waiting& waiting : waiting_) waiting.tell(rest.emplace_back());
  waiting_.clear();
  for (FeedNumber feed = 0; feed < lost_.size(); ++feed) {
    if (lost_[feed].packets > 0) tell(feed, lost_[feed], rest.emplace_back());
    lost_[feed] = {};
  }
  lost_untold_ = 0;
  return rest;
}

}  // namespace amphi::server
