#include "ice/agent.h"

#include <array>
#include <utility>

#include "ice/controlling.h"
#include "ice/lite.h"

namespace amphi::ice {

namespace {

std::unique_ptr<Machine> make_machine(Role role, std::vector<Address> local, Random& random) {
  if (role == Role::lite_controlled) return std::make_unique<Lite>(std::move(local), random);
  return std::make_unique<Controlling>(std::move(local), random);
}

}  // namespace

Credentials make_credentials(Random& random) {
  return {random.token(8), random.token(26)};  // 41 and 134 bits; RFC 8445 5.3 asks for 24 and 128
}

std::uint32_t host_priority(std::uint16_t local_preference) {
  return 126U << 24 | static_cast<std::uint32_t>(local_preference) << 8 | 255;
}

std::string_view counter_name(Drop drop) {
  static constexpr std::array<std::string_view, Counters<Drop>::kSize> kNames{
      "malformed",          "bad_integrity", "unknown_user", "unknown_transaction",
      "unexpected_address", "role_conflict", "expired",      "too_many_requests",
      "unvalidated_path"};
  return kNames[static_cast<std::size_t>(drop)];
}

Agent::Agent(Role role, std::vector<Address> local, Random& random)
    : machine_(make_machine(role, std::move(local), random)) {}
Agent::~Agent() = default;

const Credentials& Agent::local_credentials() const {
  return machine_->local_credentials();
}

std::vector<Candidate> host_candidates(const std::vector<Address>& addresses) {
  std::vector<Candidate> candidates;
  for (const Address& address : addresses) {
    const auto index = candidates.size();
    candidates.push_back(
        {address, host_priority(static_cast<std::uint16_t>(65535 - index)), std::to_string(index + 1)});
  }
  return candidates;
}

std::vector<Candidate> Agent::local_candidates() const { return host_candidates(machine_->local()); }

void Agent::set_remote(Credentials credentials, std::vector<Candidate> candidates, Time now) {
  machine_->set_remote(std::move(credentials), candidates, now);
}
void Agent::add_remote_candidate(Candidate candidate, Time now) {
  machine_->add_remote_candidate(candidate, now);
}
void Agent::restart(Time now) {
  machine_->restart(now);
}
void Agent::set_local(std::vector<Address> local, Time now) {
  machine_->set_local(std::move(local), now);
}

bool Agent::accepts(ByteView data) const noexcept {
  return stun::is_stun(data);
}
void Agent::handle_input(const Datagram& in, Time now) {
  machine_->handle_input(in, now);
}
void Agent::handle_timeout(Time now) {
  machine_->handle_timeout(now);
}
std::optional<Output> Agent::poll_output() {
  return machine_->poll_output();
}
Time Agent::next_timeout() const noexcept {
  return machine_->next_timeout();
}

State Agent::state() const {
  return machine_->state();
}
std::optional<Pair> Agent::selected() const {
  return machine_->selected();
}
const Counters<Drop>& Agent::drops() const {
  return machine_->drops();
}
Duration Agent::round_trip() const {
  return machine_->round_trip();
}

bool Agent::knows(const Pair& pair, Time now) const {
  return machine_->knows(pair, now);
}
bool Agent::validated(const Pair& pair) const {
  return machine_->validated(pair);
}
bool Agent::awaits(ByteView data) const {
  const auto transaction = stun::response_transaction(data);
  return transaction && machine_->awaits(*transaction);
}
void Agent::on_received(const Pair& pair, std::size_t bytes) {
  machine_->on_received(pair, bytes);
}
bool Agent::spend(const Pair& pair, std::size_t bytes) {
  return machine_->spend(pair, bytes);
}
void Agent::confirm(const Pair& pair, Time now) {
  machine_->confirm(pair, now);
}

}  // namespace amphi::ice
