// What each HTTP address answers (docs/protocol.md, "The session's address"): decides, and does no network I/O itself.
// Thread: control.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/drops.h"
#include "server/rest_routes.h"
#include "server/websocket_connection.h"

namespace amphi::server {

class HttpRoutes {
 public:
  struct Parts {
    std::string web;                                          // folder; empty: no page
    bool allow_autopublish = false;                           // told to the page, which a link cannot forge
    const RestRoutes* rest = nullptr;                         // all outlive the routes
    Counters<Drop>* drops = nullptr;
    std::function<boost::asio::awaitable<std::string>()> metrics;  // none: no /metrics here
    std::string metrics_token;                                // whoever presents it may read them
    bool metrics_for_all = false;                             // without a token: not only for loopback
    using Socket = std::function<boost::asio::awaitable<void>(std::shared_ptr<WebSocketConnection>, SessionId)>;
    Socket signalling, services;
  };
  explicit HttpRoutes(Parts parts) : parts_(std::move(parts)) {}
  void replace_metrics_token(std::string token) { parts_.metrics_token = std::move(token); }

  /// `request` outlives the answer; `client` sent it.
  boost::asio::awaitable<HttpAnswer> answer(const HttpRequest& request, Address client) const;

  struct WebSocketRoute {
    Parts::Socket run;
    SessionId session;
    WebSocketConnection::Limits limits;
  };
  std::optional<WebSocketRoute> websocket(std::string_view target) const;

 private:
  std::optional<HttpAnswer> refuse_metrics(const HttpRequest& request, const Address& client) const;
  HttpAnswer page(const std::vector<std::string>& path) const;
  HttpAnswer not_found() const;

  Parts parts_;
};

}  // namespace amphi::server
