#include "ice/lite.h"

#include <algorithm>

namespace amphi::ice {

namespace {
constexpr Duration kRetransmissions = 10s;  // how long a peer reasonably repeats one transaction
}

void Lite::on_request(const stun::Message& request, const Pair& pair, bool current, Time now) {
  // STUN has no protection against replay: a request seen before, repeated by somebody else from another address, must
  // not take the media there, nor stand for long for a peer that is gone. The peer's own retransmissions do count.
  if (const auto first_seen = seen_before(request.transaction, now)) {
    if (pair == selected_ && now < *first_seen + kRetransmissions) heard_ = now;
    return;
  }
  const bool first_of_generation = !selected_ || (current && previous_);
  // A silent pair gives way even to a check without USE-CANDIDATE: an address translator may have forgotten the peer.
  if (first_of_generation || request.use_candidate || state_ == State::disconnected) return select(pair, current, now);
  if (pair == *selected_) heard_ = now;
}

void Lite::on_response(const stun::Message&, const Datagram&, Time) {
  drops_.add(Drop::unknown_transaction);
}

std::optional<Time> Lite::seen_before(const stun::TransactionId& transaction, Time now) {
  const auto end = recent_.begin() + static_cast<std::ptrdiff_t>(std::min(remembered_, recent_.size()));
  const auto found =
      std::find_if(recent_.begin(), end, [&](const Seen& seen) { return seen.transaction == transaction; });
  if (found != end) return found->at;
  recent_[remembered_++ % recent_.size()] = {transaction, now};
  return std::nullopt;
}

}  // namespace amphi::ice
