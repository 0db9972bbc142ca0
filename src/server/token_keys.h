// The key of access tokens, and the keys from before a reload. A token of a former key brings back only the participant that came in with
// it, as an expired one does (decision 0012). Thread: control.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "server/access_token.h"

namespace amphi::server {

class TokenKeys {
 public:
  static constexpr std::size_t kMostFormer = 8;

  /// `audience`: see verify_token.
  explicit TokenKeys(std::string audience = {}) : audience_(std::move(audience)) {}

  /// New tokens are signed with `key`.
  void replace(Bytes key) {
    if (!keys_.empty() && keys_.front() == key) return;
    keys_.push_front(std::move(key));
    if (keys_.size() > kMostFormer + 1) keys_.pop_back();
  }
  /// After the first replace().
  const Bytes& current() const { return keys_.front(); }

  /// Right in everything, under the current key.
  Result<AccessToken> verify(std::string_view text, WallTime now) const { return verify_token(text, current(), now, audience_); }
  /// Right in everything but, perhaps, its expiry and the age of its key (`superseded`).
  Result<AccessToken> verify_for_return(std::string_view text, WallTime now) const {
    auto token = verify_token_but_expiry(text, current(), now, audience_);
    for (std::size_t i = 1; !token && i < keys_.size(); ++i) {
      auto former = verify_token_but_expiry(text, keys_[i], now, audience_);
      if (!former) continue;
      former->superseded = true;
      return former;
    }
    return token;
  }

 private:
  const std::string audience_;
  std::deque<Bytes> keys_;  // the newest first
};

}  // namespace amphi::server
