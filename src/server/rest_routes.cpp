#include "server/rest_routes.h"

#include <algorithm>
#include <optional>

#include "runtime/clock.h"
#include "server/static_files.h"

namespace amphi::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Path = std::vector<std::string>;

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

/// The header wins; a media element cannot set one and puts the token in the address.
std::string token_of(const HttpRequest& request) {
  if (const auto token = bearer_token(request); !token.empty()) return std::string(token);
  return query_value(view(request.target()), "access_token");
}

/// What stands at the pattern's `*`s; nullopt: another address.
std::optional<Path> match(const Path& pattern, const Path& path) {
  if (pattern.size() != path.size()) return std::nullopt;
  Path names;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == "*") names.push_back(path[i]);
    else if (pattern[i] != path[i]) return std::nullopt;
  }
  if (pattern.size() > 2 && pattern[1] == "sessions" && !is_session_name(path[2])) return std::nullopt;
  return names;
}

}  // namespace

std::string RestCall::query(std::string_view name) const { return query_value(view(request.target()), name); }

void RestRoutes::add(http::verb method, std::string_view pattern, Access access, Handler handler) {
  auto parts = safe_path(pattern);
  routes_.push_back({method, std::move(*parts), access, std::move(handler)});
}

HttpAnswer RestRoutes::not_found() const {
  drops_.add(Drop::http_not_found);
  return error_answer({ErrorCode::not_found, "There is nothing here."});
}

Result<AccessToken> RestRoutes::admit(const HttpRequest& request, const Route& route, const Path& path) const {
  auto token = verify_(token_of(request));
  if (!token || token->grants.admin) return token;
  if (route.access == Access::admin) return fail(ErrorCode::forbidden, "The token lacks the grant `admin`.");
  if (path.size() > 2 && path[1] == "sessions" && token->session.value != path[2])
    return fail(ErrorCode::forbidden, "The token is for another session.");
  if (route.access == Access::recordings && !token->grants.recordings && !token->grants.record)
    return fail(ErrorCode::forbidden, "The token lacks the grant `recordings`.");
  if (route.access == Access::record && !token->grants.record)
    return fail(ErrorCode::forbidden, "The token lacks the grant `record`.");
  return token;
}

asio::awaitable<HttpAnswer> RestRoutes::answer(const Route& route, const RestCall& call) const {
  if (!limits_.allow(call.token, runtime::now())) {
    drops_.add(Drop::http_rate_limited);
    co_return error_answer({ErrorCode::limit_exceeded, "Too many requests a second."});
  }
  auto given = route.handler(call);
  co_return co_await std::move(given);
}

asio::awaitable<HttpAnswer> RestRoutes::answer(const HttpRequest& request, Path path) const {
  const http::verb method = request.method() == http::verb::head ? http::verb::get : request.method();
  std::string allow;
  for (const Route& route : routes_) {
    auto names = match(route.pattern, path);
    if (!names) continue;
    if (route.method != method) {
      if (!allow.empty()) allow += ", ";
      allow += view(http::to_string(route.method));
      if (route.method == http::verb::get) allow += ", HEAD";
      continue;
    }
    auto token = admit(request, route, path);
    if (!token) {
      drops_.add(Drop::http_unauthorized);
      co_return error_answer(token.error());
    }
    const RestCall call{request, std::move(*token), std::move(*names)};
    HttpAnswer given = co_await answer(route, call);
    given.identity = identity_key(call.token);
    const bool in_session = path.size() > 2 && path[1] == "sessions";
    if (!given.limit.empty() && limit_reached_) limit_reached_(in_session ? SessionId(path[2]) : call.token.session, call.token, given.limit);
    co_return given;
  }
  if (allow.empty()) co_return not_found();
  drops_.add(Drop::http_method);
  co_return method_not_allowed(std::move(allow));
}

}  // namespace amphi::server
