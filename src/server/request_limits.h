// How many requests a second one identity may make over REST: enough for a player that seeks and a page that polls. An identity is one
// that its token proves, so that neither more connections nor a proxy that all come through changes anything. What is kept of
// somebody goes when it says nothing any more. Pure: time is an argument. Thread: control.
#pragma once

#include <string>
#include <unordered_map>

#include "server/access_token.h"
#include "server/rate_limit.h"

namespace amphi::server {

class RequestLimits {
 public:
  static constexpr double kPerSecond = 50, kBurst = 200;

  bool allow(const AccessToken& token, Time now) {
    if (now >= sweep_at_) sweep(now);
    Caller& caller = callers_[token.session.value + "\n" + token.identity];
    caller.last = now;
    return caller.limit.allow(now);
  }
  std::size_t known() const { return callers_.size(); }

 private:
  static constexpr Duration kFullAgain = std::chrono::seconds(static_cast<int>(kBurst / kPerSecond));
  struct Caller {
    RateLimit limit{kPerSecond, kBurst};
    Time last{};
  };
  void sweep(Time now) {
    std::erase_if(callers_, [&](const auto& entry) { return now - entry.second.last >= kFullAgain; });
    sweep_at_ = now + kFullAgain;
  }

  std::unordered_map<std::string, Caller> callers_;
  Time sweep_at_{};
};

}  // namespace amphi::server
