// The signalling protocol over one WebSocket: who is this, and what do they ask of their session (docs/protocol.md).
// One message at a time: the next is read when the last has been answered. Thread: control.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>

#include "server/connection_watch.h"
#include "server/request_limits.h"
#include "server/session_directory.h"

namespace amphi::server {

class Signalling {
 public:
  static constexpr double kOffersPerSecond = 10, kOfferBurst = 250;  // of an identity: more than one that shares and ends things all day

  static constexpr double kJoinsPerSecond = 5, kJoinBurst = 50;      // of an identity: each is told to everybody in the session

  using Verify = std::function<Result<AccessToken>(std::string_view token)>;
  /// All outlive the object. `verify`: everything but the expiry, which is the directory's to judge.
  Signalling(SessionDirectory& directory, Verify verify, Counters<Drop>& drops, RequestLimits offers = RequestLimits(kOffersPerSecond, kOfferBurst),
             RequestLimits joins = RequestLimits(kJoinsPerSecond, kJoinBurst))
      : directory_(directory), verify_(std::move(verify)), drops_(drops), offers_(std::move(offers)), joins_(std::move(joins)) {}

  /// Until the connection ends.
  boost::asio::awaitable<void> run(std::shared_ptr<WebSocketConnection> connection, SessionId session);

 private:
  using Connection = std::shared_ptr<WebSocketConnection>;
  boost::asio::awaitable<std::optional<Member>> greet(Connection connection, SessionId session, std::string text);
  /// False: the participant has left, or this connection no longer speaks for it.
  boost::asio::awaitable<bool> handle(Connection connection, Member member, std::string text);
  boost::asio::awaitable<void> publish(Connection connection, Member member, signalling::PublishOffer offer);
  boost::asio::awaitable<void> answer(Connection connection, Member member, signalling::SubscribeAnswer answer);
  boost::asio::awaitable<void> restart(Connection connection, Member member);
  bool may_offer(const Member& member);
  void refuse(WebSocketConnection& connection, Drop why, const Error& error, bool fatal, std::string_view in_reply_to);

  SessionDirectory& directory_;
  Verify verify_;
  Counters<Drop>& drops_;
  RequestLimits offers_;  // publishOffer and restartSubscribe, by identity
  RequestLimits joins_;   // by identity
};

}  // namespace amphi::server
