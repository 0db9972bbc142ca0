#include "ice/lite.h"

#include <algorithm>

namespace amphi::ice {

namespace {

constexpr Duration kRetransmissions = 10s;    // how long a peer reasonably repeats one transaction
constexpr Duration kOverlap = 2s;             // how long what was sent over an abandoned path still counts
constexpr Duration kRenewal = 10s;            // of a validation: three times within kConsentLifetime
constexpr Duration kFirstRetry = 200ms, kLastRetry = 1600ms;
constexpr int kMaxTries = 7;                  // 7.8 s: then only another request begins again
constexpr std::size_t kMaxPaths = 16;
constexpr std::uint64_t kAmplification = 3;   // RFC 9000 8.1

}  // namespace

// --- requests ---

bool Lite::admit(const Pair& pair, std::size_t bytes, Time now) {
  if (!requests_.take(now)) {
    drops_.add(Drop::too_many_requests);
    return false;
  }
  Path& path = path_of(pair, now);
  path.heard = now;
  if (!path.validated_at) path.received += bytes;
  return true;
}

void Lite::on_request(const stun::Message& request, const Pair& pair, bool current, Time now) {
  Path& path = path_of(pair, now);
  // STUN has no protection against replay: a request seen before, repeated by somebody else, must not stand for long for
  // a peer that is gone. The peer's own retransmissions do count.
  if (const auto first_seen = seen_before(request.transaction, now)) {
    if (pair == selected_ && now < *first_seen + kRetransmissions) heard_ = now;
    return;
  }
  path.serial = current ? current_.serial : previous_->serial;
  if (request.use_candidate) {  // the newest nomination counts
    for (Path& other : paths_) other.wanted = other.nominated = false;
  }
  if (!selected_ || pair == *selected_) {
    move_to(path, now);
  } else {
    // A silent pair gives way even to a check without USE-CANDIDATE: an address translator may have forgotten the peer.
    const bool moves = request.use_candidate || (current && previous_) || state_ == State::disconnected ||
                       !validated(*selected_);
    if (!moves) return;
    if (path.validated_at) return move_to(path, now);
    path.wanted = true;
    path.nominated = path.nominated || request.use_candidate;
  }
  if (!path.validated_at && path.check_due == Time::max()) begin_check(path, now);
}

void Lite::move_to(Path& path, Time now) {
  const bool current = path.serial == current_.serial;
  if (selected_ && *selected_ != path.pair) {
    if (Path* old = find(*selected_)) old->abandoned_at = now;
  }
  path.wanted = path.nominated = false;
  path.abandoned_at.reset();
  if (path.validated_at && path.check_due == Time::max()) path.check_due = *path.validated_at + kRenewal;
  select(path.pair, current, now);
}

std::optional<Time> Lite::seen_before(const stun::TransactionId& transaction, Time now) {
  const auto end = recent_.begin() + static_cast<std::ptrdiff_t>(std::min(remembered_, recent_.size()));
  const auto found =
      std::find_if(recent_.begin(), end, [&](const Seen& seen) { return seen.transaction == transaction; });
  if (found != end) return found->at;
  recent_[remembered_++ % recent_.size()] = {transaction, now};
  return std::nullopt;
}

// --- checks ---

void Lite::begin_check(Path& path, Time now) {
  path.tries = 0;
  path.check_due = now;
}

const Generation* Lite::generation_of(const Path& path) const {
  const Generation* generation = previous_ && previous_->serial == path.serial ? &*previous_ : &current_;
  return generation->remote ? generation : nullptr;
}

void Lite::send_check(Path& path, Time now) {
  const Generation* generation = generation_of(path);
  if (generation == nullptr) return;  // its answer has not come yet: the check follows it
  const bool renews = path.validated_at && selected_ == path.pair;
  if (path.tries == kMaxTries || (path.validated_at && !renews)) {
    path.check_due = Time::max();
    path.wanted = false;
    path.password.clear();
    if (renews) begin_check(path, now);
    return;
  }
  if (path.tries == 0) {
    random_.fill(path.transaction);
    path.check_sent = now;
    path.password = generation->remote->password;
  }
  path.check_due = now + std::min(kFirstRetry * (1 << path.tries), kLastRetry);
  ++path.tries;
  stun::Message request;
  request.transaction = path.transaction;
  request.username = generation->remote->ufrag + ':' + generation->local.ufrag;
  request.priority = host_priority(65535);
  request.ice_controlled = 0;
  transmit(path.pair, stun::write(request, path.password));
}

void Lite::on_response(const stun::Message& response, const Datagram& in, Time now) {
  const auto found = std::find_if(paths_.begin(), paths_.end(), [&](const Path& path) {
    return path.tries > 0 && !path.password.empty() && path.transaction == response.transaction;
  });
  if (found == paths_.end()) return drops_.add(Drop::unknown_transaction);
  if (!stun::verify(in.data, found->password)) return drops_.add(Drop::bad_integrity);
  if (found->pair != Pair{in.local, in.remote}) return drops_.add(Drop::unexpected_address);
  if (found->tries == 1) on_round_trip(now - found->check_sent);
  on_validated(*found, now);
}

void Lite::on_validated(Path& path, Time now) {
  const bool renewed = path.validated_at.has_value();
  path.validated_at = now;
  path.tries = 0;
  path.password.clear();
  path.check_due = selected_ == path.pair ? now + kRenewal : Time::max();
  path.received = path.sent = 0;
  if (path.wanted) return move_to(path, now);
  if (renewed || selected_ != path.pair) return;
  for (Path& other : paths_) other.wanted = other.nominated;  // without a nomination, only in place of a path that is not validated
}

void Lite::confirm(const Pair& pair, Time now) {
  if (Path* path = find(pair); path != nullptr && !path->validated_at) on_validated(*path, now);
}

// --- what is due ---

void Lite::advance(Time now) {
  update_state(now);
  expire_validations(now);
  if (state_ == State::failed) return;
  for (Path& path : paths_) {
    if (path.check_due <= now) send_check(path, now);
  }
}

void Lite::expire_validations(Time now) {
  for (Path& path : paths_) {
    if (path.validated_at && now >= *path.validated_at + kConsentLifetime) path.validated_at.reset();
  }
}

Time Lite::next_timeout() const {
  Time next = state_deadline();
  if (state_ == State::failed) return next;
  for (const Path& path : paths_) {
    if (path.validated_at) next = std::min(next, *path.validated_at + kConsentLifetime);
    if (generation_of(path) != nullptr) next = std::min(next, path.check_due);
  }
  return next;
}

// --- paths ---

Lite::Path* Lite::find(const Pair& pair) {
  const auto found = std::find_if(paths_.begin(), paths_.end(), [&](const Path& path) { return path.pair == pair; });
  return found == paths_.end() ? nullptr : &*found;
}

Lite::Path& Lite::path_of(const Pair& pair, Time now) {
  if (Path* known = find(pair)) return *known;
  if (paths_.size() == kMaxPaths) {  // forgets an unvalidated path first, then the one that is silent for the longest
    const auto worse = [&](const Path& a, const Path& b) {
      const bool a_selected = selected_ == a.pair, b_selected = selected_ == b.pair;
      if (a_selected != b_selected) return b_selected;
      if (a.validated_at.has_value() != b.validated_at.has_value()) return !a.validated_at.has_value();
      return a.heard < b.heard;
    };
    paths_.erase(std::min_element(paths_.begin(), paths_.end(), worse));
  }
  Path& path = paths_.emplace_back();
  path.pair = pair;
  path.heard = now;
  path.serial = current_.serial;
  return path;
}

bool Lite::knows(const Pair& pair, Time now) const {
  if (pair == selected_) return true;
  const Path* path = find(pair);
  return path != nullptr && (!path->abandoned_at || now < *path->abandoned_at + kOverlap);
}

bool Lite::validated(const Pair& pair) const {
  const Path* path = find(pair);
  return path != nullptr && path->validated_at.has_value();
}

bool Lite::awaits(const stun::TransactionId& transaction) const {
  return std::any_of(paths_.begin(), paths_.end(),
                     [&](const Path& path) { return path.tries > 0 && path.transaction == transaction; });
}

void Lite::on_received(const Pair& pair, std::size_t bytes) {
  if (Path* path = find(pair); path != nullptr && !path->validated_at) path->received += bytes;
}

bool Lite::spend(const Pair& pair, std::size_t bytes) {
  Path* path = find(pair);
  if (path == nullptr) return false;
  if (path->validated_at) return true;
  if (path->sent + bytes > kAmplification * path->received) return false;
  path->sent += bytes;
  return true;
}

}  // namespace amphi::ice
