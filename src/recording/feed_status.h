// Whether a feed is being recorded at this moment and, where it is not, the reason: plain values for the services, the log, the metrics and
// the manifest. The names of the reasons are part of the services protocol and of the manifest (docs/protocol.md).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "recording/drops.h"
#include "rtp/codec.h"

namespace amphi::recording {

enum class FeedReason : std::uint8_t {
  recorded,           // none: frames are being written
  waiting_for_media,  // the feed has not delivered anything yet
  silent,             // the feed delivered media and has stopped
  no_keyframe,        // the decoder could not start: every frame builds upon a frame that was never received
  muted,              // by an administrator: media are neither forwarded nor recorded
  malformed,          // the payload does not parse as the codec that was negotiated
  missing_parameter_sets,     // H.264 without SPS and PPS, in the packets as well as in the description
  unsupported_packetization,  // H.264 in a mode that was not negotiated (interleaved)
  no_valid_frame,     // packets arrive, and no whole frame
  limit_exceeded,     // the participant's share of the recording's tracks is used up
  media_lost,         // frames are written, and over half of the media are lost
  count_,
};

constexpr std::string_view wire_name(FeedReason reason) {
  switch (reason) {
    case FeedReason::recorded: return "recorded";
    case FeedReason::waiting_for_media: return "waiting_for_media";
    case FeedReason::silent: return "silent";
    case FeedReason::no_keyframe: return "no_keyframe";
    case FeedReason::muted: return "muted";
    case FeedReason::malformed: return "malformed";
    case FeedReason::missing_parameter_sets: return "missing_parameter_sets";
    case FeedReason::unsupported_packetization: return "unsupported_packetization";
    case FeedReason::no_valid_frame: return "no_valid_frame";
    case FeedReason::limit_exceeded: return "limit_exceeded";
    case FeedReason::media_lost: return "media_lost";
    case FeedReason::count_: break;
  }
  return "unknown";
}
constexpr std::string_view counter_name(FeedReason reason) { return wire_name(reason); }

/// Media arrive and are not recorded, or most of them are lost. Otherwise they are recorded, or none arrive.
constexpr bool loses_media(FeedReason reason) { return reason >= FeedReason::no_keyframe; }
/// Media arrive, and none are recorded.
constexpr bool loses_all(FeedReason reason) { return loses_media(reason) && reason != FeedReason::media_lost; }

/// The faults of a feed that is recorded. The names are codes of warnings in the services protocol.
enum class FeedFault : std::uint8_t {
  media_lost,       // over a twentieth of the media are lost
  sources_compete,  // several sources send at the same time, and the packets of all but one are dropped
  bad_timestamps,   // RTP timestamps do not match the arrivals
  picture_order,    // B-frames that arrive too slowly to be put in order
  count_,
};

constexpr std::string_view wire_name(FeedFault fault) {
  switch (fault) {
    case FeedFault::media_lost: return "media_lost";
    case FeedFault::sources_compete: return "sources_compete";
    case FeedFault::bad_timestamps: return "bad_timestamps";
    case FeedFault::picture_order: return "picture_order";
    case FeedFault::count_: break;
  }
  return "unknown";
}
constexpr std::string_view counter_name(FeedFault fault) { return wire_name(fault); }

struct FaultStatus {
  std::string message;   // in words, with the feed's name; empty: the feed does not have it
  bool changed = false;  // it began or ended since the report before
};

struct FeedStatus {
  FeedId feed;
  ParticipantId participant;
  std::string label;
  rtp::Kind kind = rtp::Kind::video;
  FeedReason reason = FeedReason::waiting_for_media;
  Duration since{};     // on the recording's time line
  std::string message;  // names the feed, the reason and the seconds; empty: recorded
  bool changed = false;  // its reason is another than in the report before
  std::array<FaultStatus, static_cast<std::size_t>(FeedFault::count_)> faults{};
  FaultStatus& of(FeedFault fault) { return faults[static_cast<std::size_t>(fault)]; }
  const FaultStatus& of(FeedFault fault) const { return faults[static_cast<std::size_t>(fault)]; }
};

/// A limit that costs the recording something, while it does.
struct LimitReached {
  ParticipantId participant;
  std::string message;
  bool operator==(const LimitReached&) const = default;
};

/// The feeds that are in the session now. Told when a reason or a fault changes, and every 5 s while media are lost; at most once a second.
struct FeedsChanged {
  std::vector<FeedStatus> feeds;
  std::vector<LimitReached> limits;
  Drops drops;  // of the whole recording so far
};

}  // namespace amphi::recording
