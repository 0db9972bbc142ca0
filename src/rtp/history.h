// The last packets of one stream, for answering NACKs (RFC 4585 6.2.1): a ring of fixed-size slots, nothing allocated
// after construction. One thread: the stream's media worker.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "rtp/packet.h"
#include "rtp/seq.h"

namespace amphi::rtp {

class PacketHistory {
 public:
  static constexpr std::size_t kSlotBytes = 1500;

  /// `packets` is rounded up to a power of two.
  explicit PacketHistory(std::size_t packets = 1024);

  /// A payload beyond kSlotBytes, or one older than what its slot holds, is not kept.
  void insert(Seq seq, const RtpHeader& header, ByteView payload, Time now);

  struct Entry {
    Seq seq = 0;
    RtpHeader header;
    ByteView payload;  // valid until the slot is overwritten, `size` packets later
    Time at;           // of insertion
  };
  /// nullopt: never inserted, or overwritten since.
  std::optional<Entry> find(Seq seq) const;

 private:
  struct Slot {
    Seq seq = 0;
    bool used = false;
    std::uint16_t size = 0;
    RtpHeader header;
    Time at;
  };
  std::size_t index(Seq seq) const { return static_cast<std::size_t>(seq) & (slots_.size() - 1); }

  std::vector<Slot> slots_;
  std::unique_ptr<std::byte[]> payloads_;
};

}  // namespace amphi::rtp
