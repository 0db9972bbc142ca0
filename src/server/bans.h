// Identities that were removed from a session, until their tokens expire. Kept in memory only. Bounded: when it is full, the ban that
// ends first goes. Pure: time is an argument. Thread: control.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/ids.h"

namespace amphi::server {

class Bans {
 public:
  static constexpr std::size_t kMost = 10'000;

  /// `until` and `now`: seconds since 1970.
  void add(const SessionId& session, const std::string& identity, std::int64_t until, std::int64_t now) {
    std::int64_t& end = until_[{session.value, identity}];
    end = std::max(end, until);
    if (until_.size() <= kMost) return;
    std::erase_if(until_, [&](const auto& ban) { return ban.second <= now; });
    if (until_.size() > kMost) until_.erase(std::min_element(until_.begin(), until_.end(), [](const auto& a, const auto& b) { return a.second < b.second; }));
  }
  bool holds(const SessionId& session, const std::string& identity, std::int64_t now) const {
    const auto found = until_.find({session.value, identity});
    return found != until_.end() && now < found->second;
  }
  std::size_t size() const { return until_.size(); }

 private:
  std::map<std::pair<std::string, std::string>, std::int64_t> until_;
};

}  // namespace amphi::server
