#include "server/connection_watch.h"

#include <cmath>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runtime/clock.h"
#include "server/signalling_messages.h"

namespace amphi::server {

namespace asio = boost::asio;

namespace {

constexpr Duration kFirstMessage = 5s;
constexpr Duration kSilence = 10s;
constexpr Duration kPing = 3s;
constexpr double kBytesOfAMessage = 16 * 1024;  // a larger message counts as several: parsing costs by the byte

}  // namespace

asio::awaitable<void> watch(std::shared_ptr<WebSocketConnection> connection, std::shared_ptr<ConnectionWatch> state,
                            Counters<Drop>& drops) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  const Time opened = runtime::now();
  while (connection->is_open()) {
    const Time now = runtime::now();
    Time next = opened + kFirstMessage;
    if (!state->greeted && now >= next) {
      drops.add(Drop::ws_first_message_timeout);
      connection->send_error({ErrorCode::timeout, "The first message did not come within 5 seconds."}, true);
      co_return;
    }
    if (state->greeted) {
      next = connection->last_heard() + kSilence;
      if (now >= next) {
        drops.add(Drop::ws_silent);
        connection->abort();
        co_return;
      }
      if (state->sends_pings) {
        if (now >= connection->last_sent() + kPing) connection->send(signalling::ping());
        next = std::min(next, connection->last_sent() + kPing);
      }
    }
    boost::system::error_code ignored;
    // In small steps: a connection that has just closed is not kept for longer, and a greeting moves the deadline.
    timer.expires_after(std::min<Duration>(std::max<Duration>(next - runtime::now(), 1ms), 1s));
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

asio::awaitable<std::optional<std::string>> read_limited(std::shared_ptr<WebSocketConnection> connection, RateLimit& limit,
                                                         Counters<Drop>& drops) {
  while (true) {
    auto message = co_await connection->read();
    if (!message && message.error() == WebSocketConnection::End::closed) co_return std::nullopt;
    if (!message && message.error() == WebSocketConnection::End::too_large) {
      drops.add(Drop::ws_too_large);
      connection->send_error({ErrorCode::limit_exceeded, "The message is too large."}, true);
      co_return std::nullopt;
    }
    if (!limit.allow(runtime::now(), 1 + (message ? std::floor(static_cast<double>(message->size()) / kBytesOfAMessage) : 0))) {
      drops.add(Drop::ws_rate_limited);
      connection->send_error({ErrorCode::limit_exceeded, "Too many messages a second."}, true);
      co_return std::nullopt;
    }
    if (message) co_return std::move(*message);
    drops.add(Drop::ws_not_text);
    connection->send_error({ErrorCode::malformed, "Messages are JSON in text frames."}, false);
  }
}

}  // namespace amphi::server
