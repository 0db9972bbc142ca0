#include "recording/reorder.h"

#include <algorithm>

namespace amphi::recording {
namespace {

constexpr rtp::Seq kMostSeq = rtp::Seq{1} << 60, kLeastSeq = -kMostSeq;

}  // namespace

ReorderBuffer::Place ReorderBuffer::insert(rtp::Seq seq, const rtp::RtpHeader& header, ByteView payload, Time now) {
  if (seq < kLeastSeq || seq > kMostSeq) return Place::late;  // no 16 bits were ever widened to that
  if (seq == next_ && now >= hold_until_ && (held_.empty() || held_.begin()->first != seq)) {
    next_ = seq + 1;
    return Place::next;
  }
  if (next_ && seq < *next_) return Place::late;
  if (held_.contains(seq)) return Place::duplicate;
  if (held_.empty()) oldest_ = now;
  held_.emplace(seq, Packet{seq, header, to_bytes(payload), now, 0});
  bytes_ += payload.size();
  return Place::held;
}

std::optional<ReorderBuffer::Packet> ReorderBuffer::poll(Time now, bool flush) {
  if (held_.empty()) return std::nullopt;
  const auto first = held_.begin();
  const bool in_order = first->first == next_;
  const bool full = held_.size() > kMaxPackets || bytes_ > kMaxBytes;
  if (!flush && !full && now < next_timeout()) return std::nullopt;

  Packet packet = std::move(first->second);
  held_.erase(first);
  bytes_ -= packet.payload.size();
  if (!in_order && next_) {
    packet.missing_before = static_cast<std::uint64_t>(packet.seq) - static_cast<std::uint64_t>(*next_);
  }
  next_ = packet.seq + 1;
  if (packet.arrival <= oldest_) find_oldest();
  return packet;
}

void ReorderBuffer::find_oldest() {
  oldest_ = Time::max();
  for (const auto& [seq, packet] : held_) oldest_ = std::min(oldest_, packet.arrival);
}

void ReorderBuffer::reset() {
  held_.clear();
  hold_until_ = {};
  bytes_ = 0;
  next_.reset();
  oldest_ = Time::max();
}

}  // namespace amphi::recording
