// The bridge from the media path to one recording: a Tap that copies what it sees into a bounded log and leaves. A slow disk
// fills the log and delays no packet; what does not fit is counted per feed and told as soon as there is room again.
// Before a recording it may be a keeper: it holds the newest media by itself and lets go of what is older, until a recording takes
// it over and begins with what it held (pre-roll).
//
// Thread: the Tap's calls, `forget_old` and `hand_over` come on the session's worker; `take_known`, `front`, `payload` and `pop` are the
// recording writer's, after `hand_over`. `take_rest` is the writer's too, once the worker has let go of the tap.
#pragma once

#include <atomic>
#include <deque>
#include <unordered_map>
#include <vector>

#include "rtp/report_check.h"
#include "rtp/reported_instant.h"
#include "server/media_log.h"
#include "sfu/tap.h"

namespace amphi::server {

class RecordingSink final : public sfu::Tap {
 public:
  enum class Kind : std::uint8_t { packet, sender_report, feed_added, feed_removed, overflow, not_selected, repeated };
  using FeedNumber = std::uint32_t;  // short for a FeedId within this sink: numbers are copied, text is not

  struct Item {
    Kind kind = Kind::packet;
    FeedNumber feed = 0;
    Time at{};  // overflow: of the first that was lost
    rtp::Seq seq = 0;
    rtp::RtpHeader header;
    rtp::NtpTime ntp;                      // sender_report
    rtp::WireTimestamp rtp_timestamp = 0;  // sender_report
    std::uint64_t lost = 0;                // overflow; not_selected, repeated: packets that the connection dropped
    std::unique_ptr<sfu::FeedInfo> added;  // feed_added
  };
  struct Known {
    FeedNumber feed;
    std::unique_ptr<sfu::FeedInfo> info;
    rtp::ReportedInstant reported{};   // its newest report that was forgotten and not contradicted, and when it came
    std::optional<Time> reported_at{};
    rtp::ReportCheck check{};
    void take(const rtp::ReportedInstant& report, Time at);
  };
  /// Bytes of a chunk, and chunks: what a disk that stands still may cost in memory. A keeper has `kept_chunks` besides.
  struct Limits {
    std::size_t chunk_bytes = 256 * 1024;
    std::size_t chunks = 256;        // 64 MiB: five seconds of a hundred Mbit/s
    std::size_t kept_chunks = 1024;  // 256 MiB: two minutes of seventeen
  };

  RecordingSink();
  /// `keep`: how much of the newest media it holds until it is handed over; zero: it is a recording's from the start.
  RecordingSink(Duration keep, Limits limits);

  void feed_added(const sfu::FeedInfo& feed, Time now) override;
  void feed_removed(const FeedId& feed, Time now) override;
  void packet(const FeedId& feed, const peer::ReceivedRtp& packet, Time now) override;
  void packets_dropped(const FeedId& feed, std::uint64_t not_selected, std::uint64_t repeated, Time now) override;
  void sender_report(const FeedId& feed, rtp::NtpTime ntp, rtp::WireTimestamp rtp_timestamp, Time now) override;

  bool keeping() const { return keep_ > Duration::zero(); }
  /// What is older than it keeps goes also when nothing new comes.
  void forget_old(Time now);
  /// A recording begins at `now`, or as much before as is returned: that far back it holds media. It keeps everything from here on.
  Duration hand_over(Time now);
  /// The recording that it was handed over to never began, and has let go of it: it holds the newest media as before. False: that one
  /// has taken of it.
  bool keep_again(Duration keep);

  /// The feeds that were there before the first item.
  std::vector<Known> take_known() {
    taken_ = true;
    return std::move(known_);
  }
  Item* front() { return log_.front(); }
  ByteView payload() { return log_.payload(); }
  void pop() { log_.pop(); }

  /// What found no room until the end, in order and behind everything else: feeds that came or went, and what was dropped. No packets.
  std::vector<Item> take_rest();
  /// Packets that were dropped so far. Any thread may ask.
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  /// Packets that were dropped and not told of yet. The worker's.
  std::uint64_t untold() const { return lost_untold_; }

 private:
  template <class Fill>
  bool push(std::size_t payload_size, Fill fill);
  /// Feeds that came or went while the log was full, and losses to tell: in order, before anything newer.
  bool flush_waiting();
  void forget_first();

  Duration keep_;
  const std::size_t kept_chunks_, most_chunks_;  // while it keeps; once it is a recording's
  bool taken_ = false;                           // by the recording's writer
  MediaLog<Item> log_;
  std::unordered_map<FeedId, FeedNumber> feeds_;
  struct Lost {
    std::uint64_t packets = 0;
    Time since{};
    bool gone = false;  // the feed
  };
  static void tell(FeedNumber feed, const Lost& lost, Item& item);
  std::vector<Lost> lost_;  // by number: also of feeds that are gone, until it is told
  void told(FeedNumber feed);
  std::uint64_t lost_untold_ = 0;
  std::atomic<std::uint64_t> dropped_{0};
  std::vector<FeedNumber> free_numbers_;  // of feeds that are gone, with nothing left to tell
  struct Waiting {
    Kind kind;
    FeedNumber feed;
    std::unique_ptr<sfu::FeedInfo> added;
    Time at;
    void tell(Item& item);
  };
  std::deque<Waiting> waiting_;
  std::vector<Known> known_;  // whose coming was forgotten, and who have not left
};

}  // namespace amphi::server
