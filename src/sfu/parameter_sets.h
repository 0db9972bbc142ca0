// H.264 parameter sets that a publisher gives only in its offer (RFC 6184 8.1): puts them into the stream before each IDR picture, because
// browsers do not decode a feed from `sprop-parameter-sets`. A publisher that sends sets in its packets is left alone from then on.
// The inserted packets take numbers of their own, so the feed's later numbers move up. Thread: the session's worker.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "base/bytes.h"
#include "rtp/h264.h"
#include "rtp/h264_sprop.h"
#include "rtp/keyframe.h"
#include "rtp/packet.h"
#include "rtp/seq.h"

namespace amphi::sfu {

class ParameterSetInserter {
 public:
  static constexpr std::size_t kMostBytes = 1100;  // one packet

  explicit ParameterSetInserter(const rtp::SpropParameterSets& sets) : payload_(rtp::aggregate(sets, kMostBytes)) {}

  /// Whether the publisher's description gives sets that fit.
  bool is_needed() const { return !payload_.empty(); }
  /// What to insert: a payload by itself.
  ByteView payload() const { return payload_; }

  struct Place {
    rtp::Seq seq = 0;          // the packet's number in the feed
    bool insert_before = false;  // the sets go before it, under the number before
  };
  Place place(rtp::Seq seq, rtp::WireTimestamp timestamp, ByteView payload) {
    if (newest_ && seq <= *newest_) return {seq + shift_at(seq), false};  // late: nothing is put before it any more
    newest_ = seq;
    in_band_ = in_band_ || rtp::has_h264_sps(payload);
    const bool insert = !in_band_ && timestamp != inserted_for_ && rtp::starts_keyframe(rtp::CodecName::h264, payload);
    if (insert) {
      inserted_for_ = timestamp;
      inserted_at_[static_cast<std::size_t>(shift_++) % inserted_at_.size()] = seq;
    }
    return {seq + shift_, insert};
  }

 private:
  /// How many sets lie before an older packet.
  rtp::Seq shift_at(rtp::Seq seq) const {
    rtp::Seq shift = shift_;
    const rtp::Seq known = std::min<rtp::Seq>(shift_, static_cast<rtp::Seq>(inserted_at_.size()));
    for (rtp::Seq i = 0; i < known; ++i)
      if (inserted_at_[static_cast<std::size_t>(shift_ - 1 - i) % inserted_at_.size()] > seq) --shift;
    return shift;
  }

  Bytes payload_;
  bool in_band_ = false;
  std::optional<rtp::Seq> newest_;
  std::optional<rtp::WireTimestamp> inserted_for_;
  rtp::Seq shift_ = 0;                      // how many were inserted
  std::array<rtp::Seq, 64> inserted_at_{};  // the newest of them: before which of the publisher's packets
};

}  // namespace amphi::sfu
