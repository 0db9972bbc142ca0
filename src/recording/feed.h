// One feed on its way into a file: reorders its packets, makes frames of them, places those on the time line, and opens
// the track's file at the first frame that a decoder can start from. Keeps the account that the manifest gives of it.
// Thread: the recorder's.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "recording/feed_faults.h"
#include "recording/feed_watch.h"
#include "recording/frame_assembler.h"
#include "recording/frame_clock.h"
#include "recording/manifest.h"
#include "recording/picture_order.h"
#include "recording/reorder.h"
#include "recording/shares.h"
#include "recording/silence_watch.h"
#include "recording/timeline.h"
#include "recording/track.h"

namespace amphi::recording {

/// What the feeds of a recording share.
struct Desk {
  Journal& journal;
  FileNumber& files;  // the number of the newest
  Shares& shares;
  const Sealer* sealer;
};

class Feed {
 public:
  static constexpr Duration kKeyframeThrottle = 500ms;
  static constexpr Duration kKeyframeEvery = 10s;  // what one can seek to, where a sender makes none by itself
  static constexpr Duration kUnlistedEvery = 1s;   // at most: what a crash costs of their sum

  /// `start`: of the recording; `now`: the track's zero.
  Feed(FeedInfo info, Time start, Time now, ParticipantClock& clock, std::deque<Output>& out, Desk desk);

  void handle_packet(rtp::Seq seq, const rtp::RtpHeader& header, ByteView payload, Time now);
  void handle_sender_report(rtp::NtpTime ntp, rtp::WireTimestamp timestamp, Time now) {
    timeline_.handle_sender_report(ntp, timestamp, now);
  }
  /// Packets that the connection dropped until `now`.
  void handle_dropped(Drop which, std::uint64_t packets, Time now);
  /// Packets that never came here, all of them after what came before `now`; or before the feed had gone, where that is known already.
  void handle_overflow(std::uint64_t packets, Time now);
  void handle_timeout(Time now);
  Time next_timeout() const;
  /// The feed has gone, and may come again: uses all that arrived, and leaves the file open.
  void leave(Time now);
  /// It is there again, and its file goes on behind a gap. Only a feed with a file, in the same codec.
  void come_back(bool muted, Time now);
  /// Nothing of it is recorded until it comes back.
  void mute(Time now) { watch_.mute(now); }
  /// Uses all that arrived and completes the file, which lasts until `now`, or until the feed had gone.
  void finish(Time now);
  void set_hash(const Sha256Digest& digest);
  /// The counters of the same feed from when it was in the session before, without a track.
  void carry_over(const TrackRecord& before);
  /// Judges anew whether the feed is recorded.
  FeedStatus look(Time now);
  /// Storage failed: nothing is written any more; the account stays.
  void abandon();

  const FeedInfo& info() const { return record_.feed; }
  const TrackRecord& record() const { return record_; }
  std::optional<FileNumber> file() const { return file_number_; }
  bool finished() const { return finished_; }
  /// Whether the manifest lists the feed also without a track.
  bool listed() const { return listed_; }
  void set_listed() { listed_ = true; }
  /// Whether a feed that comes now can go on in this one's file.
  bool continues_as(const FeedInfo& feed) const { return track_ && record_.feed.codec.name == feed.codec.name && record_.feed.participant == feed.participant; }

 private:
  struct OpenGap {
    Duration from;
    std::string_view reason;
    std::uint64_t packets = 0;
    bool told = false;
  };

  void drain(Time now, bool flush);
  void take_frames(Time now, bool breaks = false);
  void order_frames(Time now, bool breaks);
  void take_placed(Time now);
  void take_packet(const rtp::RtpHeader& header, ByteView payload, Time arrival, std::uint64_t missing, Time now);
  void take_frame(Frame frame, Time now);
  void tell_sending_order();
  /// False: the participant's share of the tracks is used up.
  bool open_file(const Frame& first);
  void refuse_packet(Time now);
  void tell_late_start(Duration at, const Frame& first);
  /// `at`: of the next frame.
  void watch_silence(Duration at, const Frame& frame);
  void put_silences();
  /// Of a gap without a lost packet, from the newest frame to `now`.
  std::string_view empty_reason(Time now) const;
  FeedFaults::Counts counts() const;
  void tell_faults(FeedStatus& status, const std::string& name, Time now);
  void begin_gap(std::string_view reason, std::uint64_t packets);
  void tell_open_gap();
  void end_gap(Duration to);
  bool lists_gaps() const;
  void put_gap(const Gap& gap);
  /// To the journal, if there is something to tell; unless `at_once`, so often and no more.
  void tell_unlisted(Time now, bool at_once);
  void end_overflow();
  void want_keyframe(Time now);
  void update_record();

  TrackRecord record_;
  Time start_;
  Duration offset_;
  std::deque<Output>& out_;
  Desk desk_;

  ReorderBuffer reorder_;
  FrameAssembler assembler_;
  FeedTimeline timeline_;
  FeedWatch watch_;
  PictureOrder order_;
  FeedFaults faults_;
  std::array<bool, static_cast<std::size_t>(FeedFault::count_)> faults_told_{};
  bool listed_ = false;
  bool refused_ = false;
  FrameClock clock_;
  std::unique_ptr<TrackFile> track_;
  std::optional<FileNumber> file_number_;
  std::optional<std::uint32_t> ssrc_;
  std::optional<Time> overflowed_at_;  // told, and its gap not found yet
  bool finished_ = false;
  std::optional<Time> left_at_;

  std::optional<OpenGap> gap_;
  SilenceWatch silence_;
  std::optional<Time> tell_unlisted_at_;  // there is something to tell
  Time unlisted_told_at_;
  Time newest_arrival_;  // of the written frames
  std::optional<Time> first_packet_at_;
  Duration written_until_{};  // on the recording's line: the end of the last frame, as far as it is known
  Time keyframe_wanted_at_;
  Time keyframe_at_;
};

}  // namespace amphi::recording
