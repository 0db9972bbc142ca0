// The lite, controlled agent of a server (RFC 8445 2.5): it only answers. The first authenticated check selects its
// pair, USE-CANDIDATE moves it. Consent (RFC 7675) is inferred from the peer's own requests. Internal to src/ice.
#pragma once

#include <array>

#include "ice/machine.h"

namespace amphi::ice {

class Lite final : public Machine {
 public:
  using Machine::Machine;

 private:
  void on_request(const stun::Message& request, const Pair& pair, bool current, Time now) override;
  void on_response(const stun::Message& response, const Datagram& in, Time now) override;
  bool conflicts(const stun::Message& request) const override { return request.ice_controlled.has_value(); }
  struct Seen {
    stun::TransactionId transaction{};
    Time at{};
  };
  /// When this transaction was seen first; nullopt, and remembered now: it is new.
  std::optional<Time> seen_before(const stun::TransactionId& transaction, Time now);

  std::array<Seen, 64> recent_{};
  std::size_t remembered_ = 0;
};

}  // namespace amphi::ice
