// What sees every feed of a session besides its subscribers: the recorder is plugged in here by the server, so that neither
// can break the other. Calls come on the session's worker thread, in order, on the hot path: copy and leave.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "peer/peer.h"
#include "rtp/codec.h"

namespace amphi::sfu {

struct FeedInfo {
  FeedId id;
  ParticipantId participant;
  std::string participant_identity;
  std::string label;
  rtp::Codec codec;
  bool muted = false;
};

class Tap {
 public:
  virtual ~Tap() = default;
  /// A feed that is muted, or no longer, is removed and added again. A muted feed gives nothing until then.
  virtual void feed_added(const FeedInfo& feed, Time now) = 0;
  virtual void feed_removed(const FeedId& feed, Time now) = 0;
  virtual void packet(const FeedId& feed, const peer::ReceivedRtp& packet, Time now) = 0;
  /// Packets of the feed's line that were dropped until `now`, as peer::PacketsDropped.
  virtual void packets_dropped(const FeedId& /*feed*/, std::uint64_t /*not_selected*/, std::uint64_t /*repeated*/, Time /*now*/) {}
  virtual void sender_report(const FeedId& feed, rtp::NtpTime ntp, rtp::WireTimestamp rtp_timestamp, Time now) = 0;
};

}  // namespace amphi::sfu
