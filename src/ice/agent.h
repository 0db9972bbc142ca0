// ICE (RFC 8445) as one state machine with two shapes: the lite, controlled agent of a server (host candidates only,
// peers are learnt as peer-reflexive, and must prove that they receive before they are sent more than a little) and a full, controlling agent for clients. Consent freshness by RFC 7675.
//
// Thread: its owner's. Contract: architecture's state machine; it owns no socket and no clock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/counters.h"
#include "base/net.h"
#include "base/random.h"
#include "base/time.h"

namespace amphi::ice {

class Machine;

struct Credentials {
  std::string ufrag;     // RFC 8445 5.3: at least 4 characters
  std::string password;  // at least 22
  bool operator==(const Credentials&) const = default;
};
Credentials make_credentials(Random& random);

struct Candidate {
  Address address;
  std::uint32_t priority = 0;
  std::string foundation;
  bool operator==(const Candidate&) const = default;
};
/// RFC 8445 5.1.2.1 for a host candidate, component 1.
std::uint32_t host_priority(std::uint16_t local_preference);

std::vector<Candidate> host_candidates(const std::vector<Address>& addresses);

enum class Role { lite_controlled, full_controlling };
/// waiting: no remote credentials yet. checking: no pair yet. connected: a pair is selected and its peer was heard of
/// within 5 s. disconnected: not so; the pair still carries media. failed: not for 30 s, and nothing may be sent until
/// a restart (RFC 7675 5.1).
enum class State { waiting, checking, connected, disconnected, failed };

/// The pair that carries media now.
struct Pair {
  Address local;
  Address remote;
  bool operator==(const Pair&) const = default;
};

struct StateChanged {
  State state;
};
using Output = std::variant<Transmit, StateChanged>;

/// expired: authenticated, but consent was lost and only a restart can give it again (RFC 7675 5.1).
/// too_many_requests: of one peer. unvalidated_path: not sent, because the address has sent too little by itself.
enum class Drop {
  malformed,
  bad_integrity,
  unknown_user,
  unknown_transaction,
  unexpected_address,
  role_conflict,
  expired,
  too_many_requests,
  unvalidated_path,
  count_
};
std::string_view counter_name(Drop drop);

class Agent {
 public:
  /// `local`: the host addresses whose sockets exist. `random` outlives the agent.
  Agent(Role role, std::vector<Address> local, Random& random);
  ~Agent();

  const Credentials& local_credentials() const;
  std::vector<Candidate> local_candidates() const;
  /// May be called again after a restart (new credentials start new checks; the old pair carries on until a new one is
  /// nominated: RFC 8445 9). A lite agent needs only the ufrag and password, never candidates.
  void set_remote(Credentials credentials, std::vector<Candidate> candidates, Time now);
  void add_remote_candidate(Candidate candidate, Time now);
  /// New local credentials: an ICE restart begins here (RFC 8445 9). The remote ones that belong to it come afterwards,
  /// by set_remote.
  void restart(Time now);
  /// The host addresses after a change of network. A selected pair whose address is gone counts as silent at once, and
  /// a controlling agent looks for another; new credentials need `restart` as well.
  void set_local(std::vector<Address> local, Time now);

  bool accepts(ByteView data) const noexcept;
  void handle_input(const Datagram& in, Time now);
  void handle_timeout(Time now);
  std::optional<Output> poll_output();
  Time next_timeout() const noexcept;

  State state() const;
  std::optional<Pair> selected() const;
  const Counters<Drop>& drops() const;
  /// Round trip of the last answered check; zero: none yet.
  Duration round_trip() const;

  // --- paths of a lite agent; a controlling agent selects only pairs that have answered, so that these are all true ---
  /// Does this peer use the path: has it authenticated itself over it, and not abandoned it for another one since?
  bool knows(const Pair& pair, Time now) const;
  /// Has the address proven lately that it receives our packets?
  bool validated(const Pair& pair) const;
  /// Is `data` the response to a check of ours that is under way?
  bool awaits(ByteView data) const;
  /// Whatever came over the path beside STUN: it may be sent three times as much before it is validated.
  void on_received(const Pair& pair, std::size_t bytes);
  /// May so many bytes be sent? Then they count as sent.
  bool spend(const Pair& pair, std::size_t bytes);
  /// The owner has seen another proof, such as a DTLS handshake that was completed over the path.
  void confirm(const Pair& pair, Time now);

 private:
  std::unique_ptr<Machine> machine_;
};

}  // namespace amphi::ice
