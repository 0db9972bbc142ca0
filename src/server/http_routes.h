// What each HTTP address answers (docs/protocol.md, "The session's address"): decides, and does no network I/O itself.
// Thread: control.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/access_token.h"
#include "server/drops.h"
#include "server/recorded_file.h"
#include "server/recording_catalogue.h"
#include "server/static_files.h"
#include "server/websocket_connection.h"

namespace amphi::server {

/// An answer before it is bytes: a body, or (a part of) a file.
struct HttpAnswer {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::string file;                 // path; empty: `body` is the answer
  std::shared_ptr<const SealedFile> sealed;  // what `file` holds, where it is encrypted
  bool cacheable = false;           // its name changes with its content
  bool page = false;                // HTML: with a content security policy
  bool challenge = false;           // WWW-Authenticate
};

class HttpRoutes {
 public:
  struct Parts {
    std::string web;                                          // folder; empty: no page
    const RecordingCatalogue* catalogue = nullptr;            // all outlive the routes
    SealedFiles* sealed_files = nullptr;
    Counters<Drop>* drops = nullptr;
    std::function<Result<AccessToken>(std::string_view token)> verify;
    std::function<boost::asio::awaitable<std::string>()> metrics;
    using Socket = std::function<boost::asio::awaitable<void>(std::shared_ptr<WebSocketConnection>, SessionId)>;
    Socket signalling, services;
  };
  explicit HttpRoutes(Parts parts) : parts_(std::move(parts)) {}

  /// GET and HEAD.
  boost::asio::awaitable<HttpAnswer> answer(const HttpRequest& request) const;

  struct WebSocketRoute {
    Parts::Socket run;
    SessionId session;
    WebSocketConnection::Limits limits;
  };
  std::optional<WebSocketRoute> websocket(std::string_view target) const;

 private:
  HttpAnswer recordings(const HttpRequest& request, const std::vector<std::string>& path) const;
  HttpAnswer page(const std::vector<std::string>& path) const;
  HttpAnswer not_found() const;

  Parts parts_;
};

}  // namespace amphi::server
