// The full, controlling agent of a client: paced connectivity checks (RFC 8445 6.1.4, 7.2, 14), nomination, consent
// requests (RFC 7675). Internal to src/ice.
//
// The first pair that answers is selected at once (RFC 8445 12.1 lets data flow on any valid pair) and nominated by a
// consent request with USE-CANDIDATE, which is repeated until answered; a better pair that answers within the settling
// time replaces it. When the selected pair falls silent all pairs are checked again. A pair that does not answer is
// tried for as long as the attempt lasts; only an authenticated error ends it before.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "ice/machine.h"

namespace amphi::ice {

class Controlling final : public Machine {
 public:
  using Machine::Machine;

  Time next_timeout() const override;

 private:
  struct Check {
    enum class Status { waiting, in_progress, succeeded, failed };
    Pair pair;
    std::uint64_t priority = 0;
    Status status = Status::waiting;
    int sends = 0;
    Time due{};
    stun::TransactionId transaction{};
  };
  struct Transaction {
    stun::TransactionId id{};
    Pair pair;
    Time sent{};
    std::uint32_t generation = 0;
    std::string password;
    bool nominates = false;
    bool resent = false;  // then its round trip is ambiguous
  };

  void on_request(const stun::Message& request, const Pair& pair, bool current, Time now) override;
  void on_response(const stun::Message& response, const Datagram& in, Time now) override;
  // Our tie-breaker is the greatest, so a conflict always ends with the peer as the controlled one (RFC 8445 7.3.1.1).
  bool conflicts(const stun::Message& request) const override { return request.ice_controlling.has_value(); }
  void on_candidate(const Candidate& candidate) override;
  void on_local_changed(Time now) override;
  void on_new_generation() override;
  void advance(Time now) override;

  void form_pairs(const Candidate& candidate);
  void add_pair(const Pair& pair, std::uint32_t remote_priority);
  Check* find_check(const Pair& pair);
  bool checking(Time now) const;
  void run_checks(Time now);
  void send_check(Check& check, Time now);
  void check_all_again(Time now);
  void send_consent(Time now);
  void on_success(const Transaction& transaction, Time now);
  void on_error(const Transaction& transaction, std::uint16_t code, Time now);
  bool preferable(const Check& check, Time now) const;

  void send_request(const Pair& pair, const Generation& generation, const stun::TransactionId& id, bool nominate);
  stun::TransactionId start_transaction(const Pair& pair, const Generation& generation, bool nominates, Time now);
  std::uint16_t local_preference(const Address& local) const;
  Duration jittered(Duration interval);

  std::vector<Candidate> candidates_;
  std::vector<Check> checks_;  // of the current generation, the best first
  std::deque<Transaction> transactions_;
  std::uint64_t selected_priority_ = 0;
  bool checking_ = false;    // as of the last advance
  bool rechecking_ = false;  // this silence has been answered by checking all again
  Time paced_until_{};
  Time settled_at_{};
  Time consent_at_{};
};

}  // namespace amphi::ice
