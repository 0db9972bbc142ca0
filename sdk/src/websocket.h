// One WebSocket connection (RFC 6455), plain or over TLS, as the links of signalling and services use it.
// Thread: the io_context's (control). No handler is called from within a method, nor after close().
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace amphi::sdk {

struct WebSocketTarget {
  bool tls = false;
  std::string host;
  std::uint16_t port = 0;
  std::string path;
  std::string ca_certificate_file;  // empty: the system's authorities
  std::string user_agent;
  std::size_t max_message = 256 * 1024;
};

struct WebSocketHandlers {
  std::function<void()> opened;
  std::function<void(Error)> failed;                     // instead of opened
  std::function<void(std::string_view)> message;
  std::function<void(std::optional<Error>)> closed;      // after opened; empty: the other end closed it properly
};

class WebSocket {
 public:
  /// Begins to connect; `opened` or `failed` follows within 10 s.
  /// The caller owns it: closed or not, it ends when let go.
  static std::shared_ptr<WebSocket> open(const std::shared_ptr<boost::asio::io_context>& io, const WebSocketTarget& target,
                                         WebSocketHandlers handlers);
  virtual ~WebSocket() = default;
  virtual void send(std::string text) = 0;
  /// Sends what is queued and a close frame, then hangs up, without waiting for the other end.
  virtual void close() = 0;
  /// The server's IP address, once opened.
  virtual std::string remote_ip() const = 0;
};

}  // namespace amphi::sdk
