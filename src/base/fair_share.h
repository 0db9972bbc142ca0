// Shares a limited number of places among identities, so that no identity takes the last ones from the others. An identity may hold
// at most a fixed part of the places that are free, and always a guaranteed number while any place is free. Thread: its owner's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>

namespace amphi {

class FairShare {
 public:
  /// `places` in total. An identity may hold a `part`-th of the free places (2: half of them), and `always` in any case.
  FairShare(std::size_t places, std::size_t always, std::size_t part) : places_(places), always_(always), part_(part) {}

  /// How many further places a holder of `held` may take, of `places` with `used` taken.
  static std::size_t left(std::size_t places, std::size_t used, std::size_t held, std::size_t always, std::size_t part) {
    const std::size_t free = places - std::min(used, places);
    const std::size_t allowed = std::max(always, free / part);
    return held < allowed ? std::min(allowed - held, free) : 0;
  }
  /// How many further places the identity may take now.
  std::size_t left(const std::string& identity) const {
    const auto found = held_.find(identity);
    return left(places_, used_, found == held_.end() ? 0 : found->second, always_, part_);
  }
  /// False: the identity has its share, or no place is free.
  bool take(const std::string& identity) {
    if (left(identity) == 0) return false;
    ++held_[identity];
    ++used_;
    return true;
  }
  /// Of a place that the identity holds.
  void give_back(const std::string& identity) {
    const auto found = held_.find(identity);
    if (found == held_.end()) return;
    --used_;
    if (--found->second == 0) held_.erase(found);
  }
  std::size_t used() const { return used_; }

 private:
  std::size_t places_, always_, part_;
  std::size_t used_ = 0;
  std::map<std::string, std::size_t> held_;  // only identities that hold a place
};

}  // namespace amphi
