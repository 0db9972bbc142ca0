// What was asked in a session and what came of it, so that a request acts once however often it is sent.
// Contract: an answered request is remembered for 60 s at least and until 1,000 are known; while 1,000 are known that are all younger
// or unanswered, no further one is taken: forgetting one would let it act twice. Thread: the owner's.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace amphi::services {

struct BookedRequest {
  std::string participant;       // empty: the server itself
  std::string id;
  std::string identity;
  bool on = false;
  RecordingId continues{};       // on: the recording that a restart cut off and that this one goes on from
  std::uint64_t connection = 0;  // where the answer goes: the last connection that sent it; 0: nowhere
  Time asked_at{};
  std::optional<Time> answered_at;
  std::optional<Error> error;    // once answered; empty: ok
};

class RequestBook {
 public:
  BookedRequest* find(const std::string& participant, const std::string& id) {
    const auto found = by_key_.find({participant, id});
    return found == by_key_.end() ? nullptr : &*found->second;
  }

  /// nullptr: full. The pointer holds for as long as the request is unanswered.
  BookedRequest* add(BookedRequest request) {
    if (requests_.size() >= kMost && !forget_one(request.asked_at)) return nullptr;
    requests_.push_back(std::move(request));
    const auto added = std::prev(requests_.end());
    by_key_[{added->participant, added->id}] = added;
    return &*added;
  }

 private:
  static constexpr std::size_t kMost = 1000;
  static constexpr Duration kAtLeast = 60s;

  bool forget_one(Time now) {
    for (auto it = requests_.begin(); it != requests_.end(); ++it) {
      if (!it->answered_at || now - *it->answered_at < kAtLeast) continue;
      by_key_.erase({it->participant, it->id});
      requests_.erase(it);
      return true;
    }
    return false;
  }

  std::list<BookedRequest> requests_;
  std::map<std::pair<std::string, std::string>, std::list<BookedRequest>::iterator> by_key_;
};

}  // namespace amphi::services
