#include "rtp/history.h"

#include <bit>

namespace amphi::rtp {

// The payloads are left uninitialised, so that a stream of few packets touches few pages.
PacketHistory::PacketHistory(std::size_t packets)
    : slots_(std::bit_ceil(packets)),
      payloads_(std::make_unique_for_overwrite<std::byte[]>(slots_.size() * kSlotBytes)) {}

void PacketHistory::insert(Seq seq, const RtpHeader& header, ByteView payload, Time now) {
  Slot& slot = slots_[index(seq)];
  if (payload.size() > kSlotBytes || (slot.used && slot.seq > seq)) return;
  slot = {.seq = seq, .used = true, .size = static_cast<std::uint16_t>(payload.size()), .header = header, .at = now};
  if (!payload.empty()) std::memcpy(&payloads_[index(seq) * kSlotBytes], payload.data(), payload.size());
}

std::optional<PacketHistory::Entry> PacketHistory::find(Seq seq) const {
  const Slot& slot = slots_[index(seq)];
  if (!slot.used || slot.seq != seq) return std::nullopt;
  return Entry{seq, slot.header, {&payloads_[index(seq) * kSlotBytes], slot.size}, slot.at};
}

}  // namespace amphi::rtp
