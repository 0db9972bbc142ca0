#include "ice/machine.h"

#include <algorithm>
#include <array>
#include <utility>

namespace amphi::ice {

Machine::Machine(std::vector<Address> local, Random& random)
    : random_(random), local_(std::move(local)), current_{0, make_credentials(random), std::nullopt} {}

void Machine::begin_generation(Credentials local, Time now) {
  Generation next{current_.serial + 1, std::move(local), std::nullopt};
  // Of two restarts in a row the first never worked: the generation that carries the selected pair stays.
  if (!previous_ || !selected_) previous_ = std::move(current_);
  current_ = std::move(next);
  attempt_ = now;
  on_new_generation();
}

void Machine::set_remote(Credentials credentials, const std::vector<Candidate>& candidates, Time now) {
  if (current_.remote && *current_.remote != credentials) begin_generation(current_.local, now);
  current_.remote = std::move(credentials);
  if (!selected_ || previous_) attempt_ = now;
  for (const Candidate& candidate : candidates) on_candidate(candidate);
  advance(now);
}

void Machine::add_remote_candidate(const Candidate& candidate, Time now) {
  if (!selected_ && attempt_) attempt_ = now;
  on_candidate(candidate);
  advance(now);
}

void Machine::restart(Time now) {
  begin_generation(make_credentials(random_), now);
  if (state_ == State::failed) {
    previous_.reset();
    set_state(State::waiting);
  }
  advance(now);
}

void Machine::set_local(std::vector<Address> local, Time now) {
  local_ = std::move(local);
  if (selected_ && std::find(local_.begin(), local_.end(), selected_->local) == local_.end()) {
    heard_ = std::min(heard_, now - kSilence);
  }
  on_local_changed(now);
  advance(now);
}

void Machine::handle_input(const Datagram& in, Time now) {
  advance(now);
  const auto message = stun::parse(in.data);
  if (!message) return drops_.add(Drop::malformed);
  switch (message->message_class) {
    case stun::Class::request:
      handle_request(*message, in, now);
      break;
    case stun::Class::indication:
      break;  // a keep-alive: nothing to answer (RFC 8445 11)
    case stun::Class::success:
    case stun::Class::error:
      on_response(*message, in, now);
      break;
  }
  advance(now);
}

/// Strangers get no answer at all: an error response could not be authenticated, and would only reflect traffic.
const Generation* Machine::authenticate(const stun::Message& request, ByteView data) {
  const std::string_view username = request.username;
  const std::size_t colon = username.find(':');
  bool known = false;
  const std::array<const Generation*, 2> generations{&current_, previous_ ? &*previous_ : nullptr};
  for (const Generation* generation : generations) {
    if (generation == nullptr || colon == std::string_view::npos) continue;
    if (username.substr(0, colon) != generation->local.ufrag) continue;
    // Checks may arrive before the answer that names their sender (RFC 8445 7.3): the password vouches for them.
    if (generation->remote && username.substr(colon + 1) != generation->remote->ufrag) continue;
    known = true;
    if (request.has_integrity && stun::verify(data, generation->local.password)) return generation;
  }
  drops_.add(known ? Drop::bad_integrity : Drop::unknown_user);
  return nullptr;
}

void Machine::handle_request(const stun::Message& request, const Datagram& in, Time now) {
  const Generation* generation = authenticate(request, in.data);
  if (generation == nullptr) return;
  if (state_ == State::failed) return drops_.add(Drop::expired);
  const Pair pair{in.local, in.remote};
  if (!admit(pair, in.data.size(), now)) return;
  stun::Message response;
  response.transaction = request.transaction;
  if (conflicts(request)) {
    drops_.add(Drop::role_conflict);
    response.message_class = stun::Class::error;
    response.error_code = 487;
    return transmit(pair, stun::write(response, generation->local.password));
  }
  response.message_class = stun::Class::success;
  response.mapped = in.remote;
  transmit(pair, stun::write(response, generation->local.password));
  on_request(request, pair, generation == &current_, now);
}

void Machine::select(const Pair& pair, bool current, Time now) {
  selected_ = pair;
  heard_ = now;
  if (current) previous_.reset();
  if (!attempt_) attempt_ = now;
  update_state(now);
}

void Machine::update_state(Time now) {
  if (state_ == State::failed) return;
  if (selected_ && now >= heard_ + kConsentLifetime) {
    selected_.reset();
    previous_.reset();
  }
  if (selected_) return set_state(now >= heard_ + kSilence ? State::disconnected : State::connected);
  if (attempt_ && now >= *attempt_ + kConsentLifetime) return set_state(State::failed);
  set_state(current_.remote ? State::checking : State::waiting);
}

Time Machine::state_deadline() const {
  if (state_ == State::failed) return Time::max();
  if (selected_) return heard_ + (state_ == State::disconnected ? kConsentLifetime : kSilence);
  return attempt_ ? *attempt_ + kConsentLifetime : Time::max();
}

void Machine::set_state(State state) {
  if (state == state_) return;
  state_ = state;
  outputs_.emplace_back(StateChanged{state});
}

std::optional<Output> Machine::poll_output() {
  if (outputs_.empty()) return std::nullopt;
  Output output = std::move(outputs_.front());
  outputs_.pop_front();
  return output;
}

}  // namespace amphi::ice
