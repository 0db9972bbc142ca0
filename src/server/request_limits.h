// How much a second each of many may ask for, whatever connections it comes by. Over REST, by identity: enough for a player that seeks and a
// page that polls. An identity is one that its token proves, so that neither more connections nor a proxy that all come through changes
// anything. What is kept of somebody goes when it says nothing any more. Pure: time is an argument. Thread: control.
#pragma once

#include <string>
#include <unordered_map>

#include "server/access_token.h"
#include "server/rate_limit.h"

namespace amphi::server {

class RequestLimits {
 public:
  static constexpr double kPerSecond = 50, kBurst = 200;

  explicit RequestLimits(double per_second = kPerSecond, double burst = kBurst)
      : fresh_(per_second, burst), full_again_(std::chrono::ceil<std::chrono::seconds>(std::chrono::duration<double>(burst / per_second))) {}

  bool allow(const AccessToken& token, Time now) { return allow(identity_key(token), now); }
  bool allow(const std::string& who, Time now) {
    if (now >= sweep_at_) sweep(now);
    Caller& caller = callers_.try_emplace(who, Caller{fresh_, now}).first->second;
    caller.last = now;
    return caller.limit.allow(now);
  }
  std::size_t known() const { return callers_.size(); }

 private:
  struct Caller {
    RateLimit limit;
    Time last;
  };
  void sweep(Time now) {
    std::erase_if(callers_, [&](const auto& entry) { return now - entry.second.last >= full_again_; });
    sweep_at_ = now + full_again_;
  }

  RateLimit fresh_;
  Duration full_again_;
  std::unordered_map<std::string, Caller> callers_;
  Time sweep_at_{};
};

}  // namespace amphi::server
