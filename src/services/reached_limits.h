// The limits that were reached lately, each a warning for 10 s. An identity has places of its own, so that it hides no limit that another
// identity reaches, however often it joins anew. Thread: the owner's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "services/recording_state.h"

namespace amphi::services {

/// A limit that was reached at one moment.
struct ReachedLimit {
  std::string identity;        // whose request it was; empty: nobody in particular
  std::string what;            // in words
  std::string participant_id;  // empty: not in the session
};

class ReachedLimits {
 public:
  static constexpr Duration kToldFor = 10s;
  static constexpr std::size_t kMost = 16, kMostOfOne = 4;

  enum class Outcome { added, known, no_place };
  Outcome report(ReachedLimit limit, Time now) {
    const auto same = [&](const Told& told) { return told.limit.identity == limit.identity && told.limit.what == limit.what; };
    if (const auto known = std::find_if(told_.begin(), told_.end(), same); known != told_.end()) {
      known->until = now + kToldFor;
      if (!limit.participant_id.empty()) known->limit.participant_id = std::move(limit.participant_id);
      return Outcome::known;
    }
    const std::size_t own = count(limit.identity);
    if (own >= kMostOfOne || (told_.size() >= kMost && !make_room(own))) return Outcome::no_place;
    told_.push_back({std::move(limit), now + kToldFor});
    return Outcome::added;
  }

  /// True: some were told for long enough.
  bool forget(Time now) {
    return std::erase_if(told_, [&](const Told& told) { return told.until <= now; }) > 0;
  }
  void clear() { told_.clear(); }

  Time next_timeout() const {
    Time next = Time::max();
    for (const Told& told : told_) next = std::min(next, told.until);
    return next;
  }

  /// Identities take turns.
  std::vector<Warning> warnings() const {
    std::map<std::string, std::size_t> seen;
    std::vector<std::pair<std::size_t, Warning>> turns;
    for (const auto& [limit, until] : told_) {
      std::string message = limit.identity.empty() ? limit.what : limit.identity + ": " + limit.what;
      turns.push_back({seen[limit.identity]++, {"limit_exceeded", std::move(message), std::nullopt, {}, limit.participant_id}});
    }
    std::stable_sort(turns.begin(), turns.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Warning> warnings;
    for (auto& turn : turns) warnings.push_back(std::move(turn.second));
    return warnings;
  }

 private:
  struct Told {
    ReachedLimit limit;
    Time until;
  };
  std::size_t count(const std::string& identity) const {
    return static_cast<std::size_t>(std::count_if(told_.begin(), told_.end(), [&](const Told& told) { return told.limit.identity == identity; }));
  }
  /// The oldest of the identity with most places goes; false: that one has no more than the newcomer, who has `own` already.
  bool make_room(std::size_t own) {
    const auto heaviest = std::max_element(told_.begin(), told_.end(), [&](const Told& a, const Told& b) { return count(a.limit.identity) < count(b.limit.identity); });
    if (count(heaviest->limit.identity) <= own) return false;
    told_.erase(heaviest);
    return true;
  }

  std::vector<Told> told_;  // in the order of their begin
};

}  // namespace amphi::services
