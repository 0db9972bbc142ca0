// The times of a WebSocket that both protocols share: the first message within 5 s, no silence of 10 s, and (signalling) a ping
// after 3 s in which nothing was sent. Thread: control.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>

#include "server/rate_limit.h"
#include "server/websocket_connection.h"

namespace amphi::server {

struct ConnectionWatch {
  bool greeted = false;      // the first message was taken
  bool sends_pings = false;
};

/// Runs until the connection is closed.
boost::asio::awaitable<void> watch(std::shared_ptr<WebSocketConnection> connection, std::shared_ptr<ConnectionWatch> state,
                                   Counters<Drop>& drops);

/// The next message that is within all limits, or nullopt: the connection is over, and has been told why.
boost::asio::awaitable<std::optional<std::string>> read_limited(std::shared_ptr<WebSocketConnection> connection,
                                                                RateLimit& limit, Counters<Drop>& drops);

}  // namespace amphi::server
