// What was asked in a session and what came of it, so that a request acts once however often it is sent.
// Contract: an answered request is remembered for 60 s at least. While 250 of one identity, or 4,000 in all, are known that are younger or
// unanswered, no further one is taken: forgetting one would let it act twice. The server's own are never repeated: they are always taken,
// and forgotten by whoever answers them. Thread: the owner's.
#pragma once

#include <algorithm>
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
  bool goes_on = false;          // off: until the server is there again
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
    const bool own = request.participant.empty();
    const auto of_one = of_one_.find(request.identity);
    if (!own && of_one != of_one_.end() && of_one->second >= kMostOfOne && !forget_one(request.asked_at, &request.identity)) return nullptr;
    if (!own && requests_.size() >= kMost && !forget_one(request.asked_at, nullptr)) return nullptr;
    requests_.push_back(std::move(request));
    const auto added = std::prev(requests_.end());
    by_key_[{added->participant, added->id}] = added;
    ++of_one_[added->identity];
    return &*added;
  }

  void forget(const BookedRequest& request) { forget(by_key_.at({request.participant, request.id})); }

 private:
  static constexpr std::size_t kMost = 4000, kMostOfOne = 250;
  static constexpr Duration kAtLeast = 60s;

  using Entry = std::list<BookedRequest>::iterator;

  void forget(Entry entry) {
    const auto of_one = of_one_.find(entry->identity);
    if (--of_one->second == 0) of_one_.erase(of_one);
    by_key_.erase({entry->participant, entry->id});
    requests_.erase(entry);
  }

  /// `identity`: nullptr: anybody's.
  bool forget_one(Time now, const std::string* identity) {
    const auto old = std::find_if(requests_.begin(), requests_.end(), [&](const BookedRequest& request) {
      return request.answered_at && now - *request.answered_at >= kAtLeast && (identity == nullptr || request.identity == *identity);
    });
    if (old == requests_.end()) return false;
    forget(old);
    return true;
  }

  std::list<BookedRequest> requests_;
  std::map<std::pair<std::string, std::string>, Entry> by_key_;
  std::map<std::string, std::size_t> of_one_;  // by identity
};

}  // namespace amphi::services
