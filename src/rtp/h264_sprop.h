// H.264 parameter sets that a sender gives in its session description (RFC 6184 8.1, `sprop-parameter-sets`) instead of in its packets.
#pragma once

#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace amphi::rtp {

struct SpropParameterSets {
  std::vector<Bytes> sps, pps;  // NAL units without start codes; empty: none were given, or `refused`
  bool refused = false;         // the description gives sets that cannot be used

  bool empty() const { return sps.empty(); }
};

/// Reads the format parameters of one H.264 payload type. Sets are used only as a whole: every one decodes as base64, has at most
/// 1,024 bytes, is a sequence or picture parameter set, every SPS describes a picture, and both kinds are there.
SpropParameterSets parse_sprop(std::string_view fmtp);

/// One RTP payload (STAP-A, RFC 6184 5.7.1) with all sets; empty: there are none, or they do not fit into `most` bytes.
Bytes aggregate(const SpropParameterSets& sets, std::size_t most);

}  // namespace amphi::rtp
