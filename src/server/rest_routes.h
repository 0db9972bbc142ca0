// The table of what /v1 answers (docs/protocol.md, "REST"): patterns, methods, and who may. Each module adds its own routes; tokens,
// grants, unknown addresses and methods are dealt with here, once. Errors are JSON: {"code", "message"}. Thread: control.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <vector>

#include "server/access_token.h"
#include "server/drops.h"
#include "server/http_message.h"
#include "server/request_limits.h"

namespace amphi::server {

/// Who may. A token with the grant `admin` may everything in every session; any other only what is its own session's.
enum class Access {
  member,      // any valid token: of the session in the address, where it names one
  recordings,  // with the grant `recordings` or `record`
  record,      // with the grant `record`
  admin,
};

/// One request that may: lives until its handler has answered.
struct RestCall {
  const HttpRequest& request;
  AccessToken token;
  std::vector<std::string> names;  // what stands where the pattern has `*`, in order

  /// The query's value, percent-decoded; empty: none.
  std::string query(std::string_view name) const;
};

class RestRoutes {
 public:
  using Verify = std::function<Result<AccessToken>(std::string_view token)>;
  using Handler = std::function<boost::asio::awaitable<HttpAnswer>(const RestCall& call)>;

  /// `drops` outlives the routes.
  RestRoutes(Verify verify, Counters<Drop>& drops) : verify_(std::move(verify)), drops_(drops) {}

  /// `pattern` as "/v1/sessions/*/recordings/*": `*` is one part. What follows /v1/sessions/ is a session, and the token must be for it.
  /// HEAD is answered as GET is. Before the server listens.
  void add(boost::beast::http::verb method, std::string_view pattern, Access access, Handler handler);

  /// `request` outlives the answer; `path` is its address, split (static_files.h).
  boost::asio::awaitable<HttpAnswer> answer(const HttpRequest& request, std::vector<std::string> path) const;
  HttpAnswer not_found() const;

  /// A caller with this token has reached a limit in the session, in words.
  using LimitReached = std::function<void(const SessionId& session, const AccessToken& token, const std::string& what)>;
  void on_limit_reached(LimitReached told) { limit_reached_ = std::move(told); }

 private:
  struct Route {
    boost::beast::http::verb method;
    std::vector<std::string> pattern;
    Access access;
    Handler handler;
  };
  /// Whether this token may; the session is empty where the address names none.
  Result<AccessToken> admit(const HttpRequest& request, const Route& route, const std::vector<std::string>& path) const;

  boost::asio::awaitable<HttpAnswer> answer(const Route& route, const RestCall& call) const;

  Verify verify_;
  Counters<Drop>& drops_;
  mutable RequestLimits limits_;
  LimitReached limit_reached_;
  std::vector<Route> routes_;
};

}  // namespace amphi::server
