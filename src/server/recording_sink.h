// The bridge from the media path to one recording: a Tap that copies what it sees into a bounded queue and leaves. A slow disk
// fills the queue and delays no packet; what does not fit is counted per feed and told as soon as there is room again.
//
// Thread: the Tap's calls come on the session's worker; `front` and `pop` are the recording writer's. `final_overflow` is the
// writer's too, once the worker has let go of the tap.
#pragma once

#include <deque>
#include <unordered_map>

#include "server/packet_queue.h"
#include "sfu/tap.h"

namespace amphi::server {

class RecordingSink final : public sfu::Tap {
 public:
  enum class Kind : std::uint8_t { packet, sender_report, feed_added, feed_removed, overflow };
  using FeedNumber = std::uint32_t;  // short for a FeedId within this sink: numbers are copied, text is not

  struct Item {
    Kind kind = Kind::packet;
    FeedNumber feed = 0;
    Time at{};
    rtp::Seq seq = 0;
    rtp::RtpHeader header;
    rtp::NtpTime ntp;                      // sender_report
    rtp::WireTimestamp rtp_timestamp = 0;  // sender_report
    std::uint64_t lost = 0;                // overflow
    std::unique_ptr<sfu::FeedInfo> added;  // feed_added
    std::size_t size = 0;
    std::array<std::byte, kMaxDatagram> payload;
  };

  explicit RecordingSink(std::size_t capacity = 4096);

  void feed_added(const sfu::FeedInfo& feed, Time now) override;
  void feed_removed(const FeedId& feed, Time now) override;
  void packet(const FeedId& feed, const peer::ReceivedRtp& packet, Time now) override;
  void sender_report(const FeedId& feed, rtp::NtpTime ntp, rtp::WireTimestamp rtp_timestamp, Time now) override;

  Item* front() { return queue_.front(); }
  void pop() { queue_.pop(); }

  /// What was dropped and never told, by feed.
  std::vector<std::pair<FeedNumber, std::uint64_t>> final_overflow() const;

 private:
  /// Feeds that came or went while the queue was full, and losses to tell: in order, before anything newer.
  bool flush_waiting(Time now);

  PacketQueue<Item> queue_;
  std::unordered_map<FeedId, FeedNumber> feeds_;
  std::vector<std::uint64_t> lost_;  // by number: also of feeds that are gone
  std::uint64_t lost_untold_ = 0;
  struct Waiting {
    Kind kind;
    FeedNumber feed;
    std::unique_ptr<sfu::FeedInfo> added;
    Time at;
  };
  std::deque<Waiting> waiting_;
};

}  // namespace amphi::server
