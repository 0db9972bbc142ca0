// The lite, controlled agent of a server (RFC 8445 2.5). It sends no checks to find a path, and one kind of check to
// validate a path: a request that only the address itself can answer (docs/decisions/0023). Internal to src/ice.
//
// The first authenticated check selects its pair at once. USE-CANDIDATE moves it, to a validated pair only. Until a
// path is validated, it is sent at most three times the bytes that came from it (as in RFC 9000 8.1). A validation
// lasts for 30 s and is renewed every 10 s; without an answer the bound holds again (RFC 7675).
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/token_bucket.h"
#include "ice/machine.h"

namespace amphi::ice {

class Lite final : public Machine {
 public:
  using Machine::Machine;

  Time next_timeout() const override;
  bool knows(const Pair& pair, Time now) const override;
  bool validated(const Pair& pair) const override;
  bool awaits(const stun::TransactionId& transaction) const override;
  void on_received(const Pair& pair, std::size_t bytes) override;
  bool spend(const Pair& pair, std::size_t bytes) override;
  void confirm(const Pair& pair, Time now) override;

 private:
  struct Path {
    Pair pair;
    std::uint64_t received = 0, sent = 0;  // bytes, while it is not validated
    std::optional<Time> validated_at;
    std::optional<Time> abandoned_at;      // since another pair was selected in its place
    Time heard{};
    bool wanted = false;                   // selected as soon as it is validated
    bool nominated = false;                // wanted by USE-CANDIDATE
    std::uint32_t serial = 0;              // of the generation of its last request
    stun::TransactionId transaction{};     // of the check under way
    std::string password;
    Time check_sent{};
    Time check_due = Time::max();          // Time::max(): none is under way
    int tries = 0;
  };
  struct Seen {
    stun::TransactionId transaction{};
    Time at{};
  };

  bool admit(const Pair& pair, std::size_t bytes, Time now) override;
  void on_request(const stun::Message& request, const Pair& pair, bool current, Time now) override;
  void on_response(const stun::Message& response, const Datagram& in, Time now) override;
  bool conflicts(const stun::Message& request) const override { return request.ice_controlled.has_value(); }
  void advance(Time now) override;

  Path* find(const Pair& pair);
  const Path* find(const Pair& pair) const { return const_cast<Lite*>(this)->find(pair); }
  Path& path_of(const Pair& pair, Time now);
  void expire_validations(Time now);
  const Generation* generation_of(const Path& path) const;
  void begin_check(Path& path, Time now);
  void send_check(Path& path, Time now);
  void on_validated(Path& path, Time now);
  void move_to(Path& path, Time now);
  /// When this transaction was seen first; nullopt, and remembered now: it is new.
  std::optional<Time> seen_before(const stun::TransactionId& transaction, Time now);

  std::vector<Path> paths_;
  TokenBucket requests_{kRequestsPerSecond, kRequestBurst};
  std::array<Seen, 64> recent_{};
  std::size_t remembered_ = 0;

  // An agent that checks every 50 ms (RFC 8445 14.2) on several pairs stays below.
  static constexpr double kRequestsPerSecond = 100, kRequestBurst = 200;
};

}  // namespace amphi::ice
