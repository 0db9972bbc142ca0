// Why a recording left something out: each reason is a counter that the manifest and the metrics carry. The counters up to no_picture
// count packets: a track's packets are those of its written frames plus the sum of these counters.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/counters.h"

namespace amphi::recording {

enum class Drop : std::uint8_t {
  unknown_feed,    // a packet or report of a feed that was never added, or is gone
  unsafe_feed_id,  // an id that may not become a file name
  late_packet,     // arrived after its gap was declared
  duplicate_packet,
  empty_payload,          // a probe or padding: nothing to record
  malformed_packet,       // of a frame with a payload that does not parse as the feed's codec
  incomplete_frame,       // of a frame with a packet missing
  frame_before_keyframe,  // of a whole frame that depends on a missing one
  oversized_frame,
  invalid_frame,          // of a whole frame that a decoder would refuse
  missing_parameter_set,  // of an H.264 picture whose parameter sets were never received
  no_picture,             // parameter sets or SEI that no picture followed
  timestamp_jump,      // RTP timestamps that left the line of arrivals
  bad_timestamp,       // a frame placed by its arrival: timestamps advance at another rate than packets arrive
  implausible_report,  // a sender report that contradicts the one before it, or the arrivals
  report_without_clock,  // a sender report with NTP 0 (RFC 3550 6.4.1)
  unlisted_gap,        // gaps beyond what a manifest lists; their sum is `unlistedGaps`
  unlisted_marker,     // markers beyond the most
  unlisted_feed,       // feeds without media beyond the share of their identity: they are not listed
  refused_feed,        // a feed beyond the share of its identity: it gets no track
  refused_feed_packet, // a packet of one
  unsupported_packetization,  // of an H.264 picture with a payload of the interleaved mode (STAP-B, MTAP, FU-B), or of no mode at all
  ignored_unit,               // an H.264 unit of a type that decoders ignore; its packet is counted with the picture that it came with
  ignored_parameter_sets,     // `sprop-parameter-sets` that cannot be used
  queue_full,        // a packet that found no room in the queue before the recorder; a track has it in `overflowPackets`
  queue_over_share,  // a packet beyond the share of its identity of that queue; likewise
  // Packets that the connection dropped before the recorder, as it tells:
  not_selected_source,  // of another source that sends on the same m-line (rtp/source_selector.h)
  repeated_packet,      // with a number that came before, or is too old to tell
  count_,
};

constexpr std::string_view counter_name(Drop drop) {
  switch (drop) {
    case Drop::unknown_feed:
      return "unknown_feed";
    case Drop::unsafe_feed_id:
      return "unsafe_feed_id";
    case Drop::late_packet:
      return "late_packet";
    case Drop::duplicate_packet:
      return "duplicate_packet";
    case Drop::empty_payload:
      return "empty_payload";
    case Drop::malformed_packet:
      return "malformed_packet";
    case Drop::incomplete_frame:
      return "incomplete_frame";
    case Drop::frame_before_keyframe:
      return "frame_before_keyframe";
    case Drop::oversized_frame:
      return "oversized_frame";
    case Drop::invalid_frame:
      return "invalid_frame";
    case Drop::missing_parameter_set:
      return "missing_parameter_set";
    case Drop::no_picture:
      return "no_picture";
    case Drop::timestamp_jump:
      return "timestamp_jump";
    case Drop::bad_timestamp:
      return "bad_timestamp";
    case Drop::implausible_report:
      return "implausible_report";
    case Drop::report_without_clock:
      return "report_without_clock";
    case Drop::unlisted_gap:
      return "unlisted_gap";
    case Drop::unlisted_marker:
      return "unlisted_marker";
    case Drop::unlisted_feed:
      return "unlisted_feed";
    case Drop::unsupported_packetization:
      return "unsupported_packetization";
    case Drop::ignored_unit:
      return "ignored_unit";
    case Drop::ignored_parameter_sets:
      return "ignored_parameter_sets";
    case Drop::not_selected_source:
      return "not_selected_source";
    case Drop::repeated_packet:
      return "repeated_packet";
    case Drop::refused_feed:
      return "refused_feed";
    case Drop::refused_feed_packet:
      return "refused_feed_packet";
    case Drop::queue_full:
      return "queue_full";
    case Drop::queue_over_share:
      return "queue_over_share";
    case Drop::count_:
      break;
  }
  return "unknown";
}

using Drops = Counters<Drop>;

}  // namespace amphi::recording
