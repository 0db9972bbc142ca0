// The bridge from the media path to one recording: a Tap that copies what it sees into a bounded log and leaves. A slow disk
// fills the log and delays no packet; what does not fit is counted per feed and told as soon as there is room again. The log is shared
// fairly: an identity that has used up its share loses its own media, and the others keep theirs (see queue_shares.h).
// Before a recording it may be a keeper: it holds the newest media by itself and lets go of what is older, until a recording takes
// it over and begins with what it held (pre-roll).
//
// Thread: the Tap's calls, `forget_old`, `hand_over` and `take_losses` come on the session's worker; `take_known`, `front`, `payload` and `pop` are the
// recording writer's, after `hand_over`. `take_rest` is the writer's too, once the worker has let go of the tap.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <unordered_map>
#include <vector>

#include "recording/storage_watch.h"
#include "rtp/report_check.h"
#include "rtp/reported_instant.h"
#include "server/media_log.h"
#include "server/queue_shares.h"
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
    QueueShares::Holder* holder = nullptr;  // whose share it takes; nullptr: nobody's
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
    std::size_t chunks = 512;        // 128 MiB. An identity alone has a half: five seconds of a hundred Mbit/s
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
  void pop();

  /// What found no room until the end, in order and behind everything else: feeds that came or went, and what was dropped. No packets.
  std::vector<Item> take_rest();
  /// Packets that were dropped so far, because the queue was full, or its share of their identity. Any thread may ask.
  std::uint64_t dropped(recording::QueueLoss::Cause cause) const { return dropped_[static_cast<std::size_t>(cause)].load(std::memory_order_relaxed); }
  std::uint64_t dropped() const { return dropped(recording::QueueLoss::Cause::full) + dropped(recording::QueueLoss::Cause::over_share); }
  /// The feeds that have lost packets since the last call.
  std::vector<recording::QueueLoss> take_losses();
  /// Packets that were dropped and not told of yet. The worker's.
  std::uint64_t untold() const { return lost_untold_; }

 private:
  using Cause = recording::QueueLoss::Cause;
  static constexpr Duration kTellEvery = 100ms;
  struct Feed {
    QueueShares::Holder* holder = nullptr;  // nullptr: no feed has this number
    recording::QueueLoss about;             // and the cause of the newest loss
    std::uint64_t lost = 0;                 // packets that are not told of yet
    Time lost_since{};
    bool lost_lately = false;  // since `take_losses`
    bool gone = false;
  };

  template <class Fill>
  bool push(std::size_t payload_size, Fill fill);
  /// On account of the feed's identity.
  template <class Fill>
  bool push_for(Feed& feed, std::size_t payload_size, Fill fill);
  /// Feeds that came or went while the log was full: in order, before anything newer.
  bool flush_waiting();
  bool may_go_on(const Feed& feed) const;
  void tell_losses(Time now);
  bool make_room(Feed& feed, std::size_t payload_size, Time now);
  void lose(Feed& feed, Cause cause, Time now);
  static void tell(FeedNumber number, const Feed& feed, Item& item);
  void free_number(FeedNumber number);
  void forget_first();

  Duration keep_;
  const std::size_t chunk_bytes_, kept_chunks_, most_chunks_;  // while it keeps; once it is a recording's
  bool taken_ = false;                           // by the recording's writer
  QueueShares shares_;                           // outlives the log
  MediaLog<Item> log_;
  std::unordered_map<FeedId, FeedNumber> numbers_;
  std::vector<Feed> feeds_;  // by number: also feeds that are gone, until their losses are told
  std::uint64_t lost_untold_ = 0;
  Time tell_at_{};
  std::array<std::atomic<std::uint64_t>, 2> dropped_{};
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
