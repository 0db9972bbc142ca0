// One accepted WebSocket: whole text messages in, a bounded queue of text messages out. A reader that is too slow for its queue
// is cut off; a message that is too large is never held in memory, and a flood of frames (pings, empty fragments) ends the connection. What the messages mean is its user's business.
// Thread: control.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "base/net.h"
#include "base/result.h"
#include "base/time.h"
#include "server/any_stream.h"
#include "server/drops.h"
#include "server/http_message.h"
#include "server/rate_limit.h"

namespace amphi::server {

class WebSocketConnection : public std::enable_shared_from_this<WebSocketConnection> {
 public:
  struct Limits {
    std::size_t message = 0;
    std::size_t queue = 4 * 1024 * 1024;
  };
  enum class End { closed, too_large, not_text };  // why read() gave nothing
  struct Origin {
    Address client;  // behind the proxies
    std::function<void(const std::string& identity)> authenticated = [](const std::string&) {};
  };

  /// `drops` outlives the connection.
  WebSocketConnection(std::shared_ptr<AnyStream> stream, Limits limits, Counters<Drop>& drops, Origin origin);

  const Address& client() const { return origin_.client; }
  /// Its first message had a valid token: the connection yields its place to no newcomer any more.
  void authenticated(const std::string& identity) { origin_.authenticated(identity); }

  /// The connection is somebody's: each limit that it reaches from now on is told, in words. Later than the call that reached it.
  using LimitReached = std::function<void(const std::string& what)>;
  void on_limit_reached(LimitReached told) { limit_reached_ = std::move(told); }
  void limit_reached(const std::string& what);

  /// False: the handshake failed.
  boost::asio::awaitable<bool> accept(const HttpRequest& request);
  /// The next message. After an End the connection can still send and be closed.
  boost::asio::awaitable<tl::expected<std::string, End>> read();

  void send(std::string text);
  /// The protocols' `error`: after a fatal one the connection is closed. `limit_exceeded` is a limit that was reached.
  void send_error(const Error& error, bool fatal, std::string_view in_reply_to = {});
  /// Closes after what was sent before, and for good within seconds.
  void close();
  /// At once.
  void abort();
  bool is_open() const { return !closing_ && !dead_; }

  /// When the last message began, or was whole.
  Time last_heard() const { return last_heard_; }
  Time last_sent() const { return last_sent_; }

 private:
  /// Of any kind. False: there were too many, and the connection is dead.
  bool take_frame();
  void pump();
  void start_close();

  std::shared_ptr<AnyStream> stream_;
  boost::beast::websocket::stream<AnyStream&> socket_;
  const Limits limits_;
  Counters<Drop>& drops_;
  const Origin origin_;
  LimitReached limit_reached_;
  boost::beast::flat_buffer incoming_;
  std::deque<std::string> queue_;
  std::size_t queued_bytes_ = 0;
  bool writing_ = false, closing_ = false, close_started_ = false, dead_ = false;
  Time last_heard_, last_sent_;
  RateLimit frames_;
};

}  // namespace amphi::server
