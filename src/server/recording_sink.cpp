#include "server/recording_sink.h"

#include <cstring>

namespace amphi::server {

RecordingSink::RecordingSink(std::size_t capacity) : queue_(capacity) {}

bool RecordingSink::flush_waiting(Time now) {
  while (!waiting_.empty()) {
    Waiting& next = waiting_.front();
    const bool pushed = queue_.push([&](Item& item) {
      item.kind = next.kind;
      item.feed = next.feed;
      item.at = next.at;
      item.added = std::move(next.added);
    });
    if (!pushed) return false;
    waiting_.pop_front();
  }
  for (FeedNumber feed = 0; lost_untold_ > 0 && feed < lost_.size(); ++feed) {
    if (lost_[feed] == 0) continue;
    const bool pushed = queue_.push([&](Item& item) {
      item.kind = Kind::overflow;
      item.feed = feed;
      item.at = now;
      item.lost = lost_[feed];
    });
    if (!pushed) return false;
    lost_untold_ -= lost_[feed];
    lost_[feed] = 0;
  }
  return true;
}

void RecordingSink::feed_added(const sfu::FeedInfo& feed, Time now) {
  const auto number = static_cast<FeedNumber>(lost_.size());
  feeds_[feed.id] = number;
  lost_.push_back(0);
  waiting_.push_back({Kind::feed_added, number, std::make_unique<sfu::FeedInfo>(feed), now});
  flush_waiting(now);
}

void RecordingSink::feed_removed(const FeedId& feed, Time now) {
  const auto found = feeds_.find(feed);
  if (found == feeds_.end()) return;
  waiting_.push_back({Kind::feed_removed, found->second, nullptr, now});
  feeds_.erase(found);
  flush_waiting(now);
}

void RecordingSink::packet(const FeedId& feed, const peer::ReceivedRtp& packet, Time now) {
  const auto found = feeds_.find(feed);
  if (found == feeds_.end()) return;
  const FeedNumber number = found->second;
  const bool pushed = packet.payload.size() <= kMaxDatagram && flush_waiting(now) && queue_.push([&](Item& item) {
    item.kind = Kind::packet;
    item.feed = number;
    item.at = now;
    item.seq = packet.seq;
    item.header = packet.header;
    item.size = packet.payload.size();
    if (item.size > 0) std::memcpy(item.payload.data(), packet.payload.data(), item.size);
  });
  if (!pushed) {
    ++lost_[number];
    ++lost_untold_;
  }
}

void RecordingSink::sender_report(const FeedId& feed, rtp::NtpTime ntp, rtp::WireTimestamp rtp_timestamp, Time now) {
  const auto found = feeds_.find(feed);
  if (found == feeds_.end() || !flush_waiting(now)) return;  // the next report says as much
  queue_.push([&](Item& item) {
    item.kind = Kind::sender_report;
    item.feed = found->second;
    item.at = now;
    item.ntp = ntp;
    item.rtp_timestamp = rtp_timestamp;
  });
}

std::vector<std::pair<RecordingSink::FeedNumber, std::uint64_t>> RecordingSink::final_overflow() const {
  std::vector<std::pair<FeedNumber, std::uint64_t>> lost;
  for (FeedNumber feed = 0; feed < lost_.size(); ++feed)
    if (lost_[feed] > 0) lost.emplace_back(feed, lost_[feed]);
  return lost;
}

}  // namespace amphi::server
