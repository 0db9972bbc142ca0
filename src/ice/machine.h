// What both shapes of an ICE agent share: credentials and their generations, authenticating and answering binding
// requests, the selected pair and the state that follows from when its peer was last heard of. Internal to src/ice.
//
// Thread: the agent's owner's.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "ice/agent.h"
#include "stun/message.h"

namespace amphi::ice {

constexpr Duration kSilence = 5s;           // without news from the peer: disconnected
constexpr Duration kConsentLifetime = 30s;  // RFC 7675 5.1; also how long an attempt may take

/// Both ends' credentials between two restarts.
struct Generation {
  std::uint32_t serial = 0;
  Credentials local;
  std::optional<Credentials> remote;
};

class Machine {
 public:
  Machine(std::vector<Address> local, Random& random);
  virtual ~Machine() = default;

  const Credentials& local_credentials() const { return current_.local; }
  const std::vector<Address>& local() const { return local_; }
  void set_remote(Credentials credentials, const std::vector<Candidate>& candidates, Time now);
  void add_remote_candidate(const Candidate& candidate, Time now);
  void restart(Time now);
  void set_local(std::vector<Address> local, Time now);

  void handle_input(const Datagram& in, Time now);
  void handle_timeout(Time now) { advance(now); }
  std::optional<Output> poll_output();
  virtual Time next_timeout() const { return state_deadline(); }

  State state() const { return state_; }
  const std::optional<Pair>& selected() const { return selected_; }
  const Counters<Drop>& drops() const { return drops_; }
  Duration round_trip() const { return round_trip_; }

  // Paths; see Agent. A controlling agent selects only pairs that have answered its checks.
  virtual bool knows(const Pair&, Time) const { return true; }
  virtual bool validated(const Pair&) const { return true; }
  virtual bool awaits(const stun::TransactionId&) const { return false; }
  virtual void on_received(const Pair&, std::size_t) {}
  virtual bool spend(const Pair&, std::size_t) { return true; }
  virtual void confirm(const Pair&, Time) {}

 protected:
  /// An authenticated request, before it is answered. False: it is not.
  virtual bool admit(const Pair&, std::size_t /*bytes*/, Time) { return true; }
  /// An authenticated request that was answered; `current`: with the newest credentials.
  virtual void on_request(const stun::Message& request, const Pair& pair, bool current, Time now) = 0;
  virtual void on_response(const stun::Message& response, const Datagram& in, Time now) = 0;
  /// Does the peer claim the role that is ours?
  virtual bool conflicts(const stun::Message& request) const = 0;
  virtual void on_candidate(const Candidate&) {}
  virtual void on_local_changed(Time) {}
  virtual void on_new_generation() {}
  /// Whatever is due by `now`; overrides call update_state first.
  virtual void advance(Time now) { update_state(now); }

  void select(const Pair& pair, bool current, Time now);
  void update_state(Time now);
  Time state_deadline() const;
  void transmit(const Pair& pair, Bytes data) {
    if (!spend(pair, data.size())) return drops_.add(Drop::unvalidated_path);
    outputs_.emplace_back(Transmit{pair.local, pair.remote, std::move(data)});
  }
  /// Smoothed, so that one late packet does not slow down what waits for a round trip.
  void on_round_trip(Duration sample) {
    round_trip_ = round_trip_ == Duration{} ? sample : (round_trip_ * 7 + sample) / 8;
  }
  /// The credentials with which the selected pair works.
  const Generation& selected_generation() const { return previous_ ? *previous_ : current_; }

  Random& random_;
  std::vector<Address> local_;
  Generation current_;
  std::optional<Generation> previous_;  // before a restart; until a pair of the current one is selected
  std::optional<Pair> selected_;
  Time heard_{};  // when the selected pair's peer last proved its consent
  State state_ = State::waiting;
  Duration round_trip_{};
  Counters<Drop> drops_;

 private:
  void begin_generation(Credentials local, Time now);
  const Generation* authenticate(const stun::Message& request, ByteView data);
  void handle_request(const stun::Message& request, const Datagram& in, Time now);
  void set_state(State state);

  std::optional<Time> attempt_;  // when the owner last gave a reason to hope: what has not worked 30 s later has failed
  std::deque<Output> outputs_;
};

}  // namespace amphi::ice
