#include "ice/controlling.h"

#include <algorithm>

namespace amphi::ice {

namespace {

constexpr Duration kPacing = 50ms;   // Ta, RFC 8445 14.2
constexpr Duration kMinRto = 500ms;  // RFC 8445 14.3
constexpr int kMaxSends = 7;         // Rc, RFC 5389 7.2.1
constexpr Duration kMaxWait = 1s;    // RFC 5389 would go on doubling, and sleep through half of what consent lasts
constexpr Duration kSettling = 500ms;
constexpr Duration kConsentInterval = 2500ms;  // more often than RFC 7675's 5 s: a lite peer has nothing else to go by
constexpr Duration kConsentRetry = 250ms;      // ten tries in the second half of kSilence
constexpr Duration kForgetTransaction = 60s;
constexpr std::size_t kMaxPairs = 100;  // RFC 8445 6.1.2.5
constexpr std::size_t kMaxTransactions = 256;

/// RFC 8445 6.1.2.3, with ours as G: the controlling agent's.
std::uint64_t pair_priority(std::uint64_t ours, std::uint64_t theirs) {
  return (std::min(ours, theirs) << 32) + 2 * std::max(ours, theirs) + (ours > theirs ? 1 : 0);
}

}  // namespace

std::uint16_t Controlling::local_preference(const Address& local) const {
  const auto index = std::find(local_.begin(), local_.end(), local) - local_.begin();
  return static_cast<std::uint16_t>(65535 - index);
}

Duration Controlling::jittered(Duration interval) {
  return Duration(static_cast<std::int64_t>(static_cast<double>(interval.count()) * (0.8 + 0.4 * random_.unit())));
}

// --- pairs ---

void Controlling::on_candidate(const Candidate& candidate) {
  const auto same = [&](const Candidate& known) { return known.address == candidate.address; };
  if (candidates_.size() >= kMaxPairs || std::any_of(candidates_.begin(), candidates_.end(), same)) return;
  candidates_.push_back(candidate);
  form_pairs(candidate);
}

void Controlling::form_pairs(const Candidate& candidate) {
  for (const Address& local : local_) {
    if (local.family == candidate.address.family) add_pair({local, candidate.address}, candidate.priority);
  }
}

void Controlling::add_pair(const Pair& pair, std::uint32_t remote_priority) {
  if (checks_.size() >= kMaxPairs || find_check(pair) != nullptr) return;
  Check check;
  check.pair = pair;
  check.priority = pair_priority(host_priority(local_preference(pair.local)), remote_priority);
  const auto at =
      std::find_if(checks_.begin(), checks_.end(), [&](const Check& c) { return c.priority < check.priority; });
  checks_.insert(at, check);
}

Controlling::Check* Controlling::find_check(const Pair& pair) {
  const auto found = std::find_if(checks_.begin(), checks_.end(), [&](const Check& c) { return c.pair == pair; });
  return found == checks_.end() ? nullptr : &*found;
}

void Controlling::on_local_changed(Time) {
  std::erase_if(checks_, [&](const Check& check) {
    return std::find(local_.begin(), local_.end(), check.pair.local) == local_.end();
  });
  for (const Candidate& candidate : candidates_) form_pairs(candidate);
}

void Controlling::on_new_generation() {
  candidates_.clear();
  checks_.clear();
  settled_at_ = {};
}

// --- what is due ---

void Controlling::advance(Time now) {
  update_state(now);
  if (state_ == State::disconnected && !rechecking_) check_all_again(now);
  rechecking_ = state_ == State::disconnected;
  if (selected_ && now >= consent_at_) send_consent(now);
  checking_ = checking(now);
  if (checking_) run_checks(now);
}

Time Controlling::next_timeout() const {
  Time next = state_deadline();
  if (selected_) next = std::min(next, consent_at_);
  if (!checking_) return next;
  for (const Check& check : checks_) {
    const bool pending = check.status == Check::Status::waiting || check.status == Check::Status::in_progress;
    if (pending) next = std::min(next, std::max(check.due, paced_until_));
  }
  return next;
}

bool Controlling::checking(Time now) const {
  if (!current_.remote || state_ == State::failed) return false;
  return !selected_ || previous_ || state_ == State::disconnected || now < settled_at_;
}

void Controlling::run_checks(Time now) {
  for (Check& check : checks_) {
    if (now < paced_until_) return;
    const bool pending = check.status == Check::Status::waiting || check.status == Check::Status::in_progress;
    if (!pending || check.due > now) continue;
    send_check(check, now);
    paced_until_ = now + kPacing;
  }
}

void Controlling::send_check(Check& check, Time now) {
  if (check.status == Check::Status::waiting || check.sends == kMaxSends) {
    check.status = Check::Status::in_progress;
    check.sends = 0;
    check.transaction = start_transaction(check.pair, current_, false, now);
  } else {
    for (Transaction& transaction : transactions_) transaction.resent |= transaction.id == check.transaction;
  }
  const auto pending = std::count_if(checks_.begin(), checks_.end(), [](const Check& c) {
    return c.status == Check::Status::waiting || c.status == Check::Status::in_progress;
  });
  const Duration rto = std::max(kMinRto, kPacing * pending);
  ++check.sends;
  check.due = now + std::min(rto * (1 << (check.sends - 1)), std::max(rto, kMaxWait));
  send_request(check.pair, current_, check.transaction, false);
}

void Controlling::check_all_again(Time now) {
  for (Check& check : checks_) {
    check.status = Check::Status::waiting;
    check.due = now;
  }
}

/// A new transaction each time (RFC 7675 5.1). The interval holds once it is answered; until then the next one follows
/// soon, so that a few lost packets do not look like a lost peer.
void Controlling::send_consent(Time now) {
  const Generation& generation = selected_generation();
  consent_at_ = now + jittered(std::clamp(2 * round_trip_, kConsentRetry, kConsentInterval));
  if (!generation.remote) return;
  send_request(*selected_, generation, start_transaction(*selected_, generation, true, now), true);
}

// --- requests and responses ---

stun::TransactionId Controlling::start_transaction(const Pair& pair, const Generation& generation, bool nominates,
                                                   Time now) {
  while (!transactions_.empty() &&
         (transactions_.size() >= kMaxTransactions || transactions_.front().sent + kForgetTransaction < now)) {
    transactions_.pop_front();
  }
  stun::TransactionId id;
  random_.fill(id);
  transactions_.push_back({id, pair, now, generation.serial, generation.remote->password, nominates, false});
  return id;
}

void Controlling::send_request(const Pair& pair, const Generation& generation, const stun::TransactionId& id,
                               bool nominate) {
  constexpr std::uint32_t kPeerReflexivePreference = 110;  // RFC 8445 7.1.1
  stun::Message request;
  request.transaction = id;
  request.username = generation.remote->ufrag + ':' + generation.local.ufrag;
  request.priority =
      kPeerReflexivePreference << 24 | static_cast<std::uint32_t>(local_preference(pair.local)) << 8 | 255;
  request.use_candidate = nominate;
  request.ice_controlling = UINT64_MAX;
  transmit(pair, stun::write(request, generation.remote->password));
}

/// A triggered check (RFC 8445 7.3.1.4): whoever reaches us can probably be reached.
void Controlling::on_request(const stun::Message& request, const Pair& pair, bool current, Time now) {
  if (!current || !current_.remote || !checking(now)) return;
  add_pair(pair, request.priority.value_or(0));
  Check* check = find_check(pair);
  if (check == nullptr || check->status == Check::Status::succeeded) return;
  if (check->status == Check::Status::failed) check->status = Check::Status::waiting;
  check->due = std::min(check->due, now);
}

void Controlling::on_response(const stun::Message& response, const Datagram& in, Time now) {
  const auto found = std::find_if(transactions_.begin(), transactions_.end(),
                                  [&](const Transaction& t) { return t.id == response.transaction; });
  if (found == transactions_.end()) return drops_.add(Drop::unknown_transaction);
  if (!stun::verify(in.data, found->password)) return drops_.add(Drop::bad_integrity);
  // RFC 8445 7.2.5.2.1: the way back must be the way there.
  if (found->pair != Pair{in.local, in.remote}) return drops_.add(Drop::unexpected_address);
  const Transaction transaction = std::move(*found);
  transactions_.erase(found);
  if (!transaction.resent) on_round_trip(now - transaction.sent);
  if (response.message_class == stun::Class::success) {
    on_success(transaction, now);
  } else {
    on_error(transaction, response.error_code, now);
  }
}

void Controlling::on_success(const Transaction& transaction, Time now) {
  if (selected_ && transaction.pair == *selected_ && transaction.generation == selected_generation().serial) {
    heard_ = now;
    if (transaction.nominates) consent_at_ = now + jittered(kConsentInterval);
    update_state(now);
  }
  Check* check = transaction.generation == current_.serial ? find_check(transaction.pair) : nullptr;
  if (check == nullptr) return;
  check->status = Check::Status::succeeded;
  if (state_ == State::failed || !preferable(*check, now)) return;
  if (now >= settled_at_) settled_at_ = now + kSettling;
  selected_priority_ = check->priority;
  consent_at_ = now;  // nominates
  select(check->pair, true, now);
}

bool Controlling::preferable(const Check& check, Time now) const {
  if (!selected_ || previous_ || state_ == State::disconnected) return true;
  return now < settled_at_ && check.priority > selected_priority_;
}

void Controlling::on_error(const Transaction& transaction, std::uint16_t code, Time now) {
  if (code == 487) drops_.add(Drop::role_conflict);
  Check* check = transaction.generation == current_.serial ? find_check(transaction.pair) : nullptr;
  if (check == nullptr || check->transaction != transaction.id) return;
  // The peer gives way after a conflict (see `conflicts`), so the same check is right the next time.
  check->status = code == 487 ? Check::Status::waiting : Check::Status::failed;
  check->due = now + kMinRto;
}

}  // namespace amphi::ice
