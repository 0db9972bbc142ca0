#include "server/http_routes.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <filesystem>

#include "base/digest.h"
#include "server/signalling_messages.h"
#include "server/static_files.h"
#include "services/messages.h"

namespace amphi::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace fs = std::filesystem;
using Path = std::vector<std::string>;

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

/// Whether a proxy has passed it on: from this machine perhaps, and for a client elsewhere.
bool is_passed_on(const HttpRequest& request) {
  constexpr std::string_view kPrefix = "X-Forwarded-";
  constexpr std::string_view kNames[] = {"Forwarded", "Via", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-Original-Forwarded-For", "X-Original-Host", "X-ProxyUser-IP",
                                         "CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Ray", "True-Client-IP", "Fastly-Client-IP", "Fly-Client-IP", "X-Envoy-External-Address",
                                         "X-Azure-ClientIP", "X-Appengine-User-IP", "DO-Connecting-IP", "CDN-Loop"};
  return std::any_of(request.begin(), request.end(), [&](const auto& field) {
    const std::string_view name = view(field.name_string());
    return boost::beast::iequals(name.substr(0, kPrefix.size()), kPrefix) || std::any_of(std::begin(kNames), std::end(kNames), [&](std::string_view known) { return boost::beast::iequals(name, known); });
  });
}

bool is_session_route(const Path& path) {
  return path.size() >= 4 && path[0] == "v1" && path[1] == "sessions" && is_session_name(path[2]);
}

}  // namespace

std::optional<HttpRoutes::WebSocketRoute> HttpRoutes::websocket(std::string_view target) const {
  const auto path = safe_path(target);
  if (!parts_.signalling || !path || path->size() != 4 || !is_session_route(*path)) return std::nullopt;
  const SessionId session((*path)[2]);
  if ((*path)[3] == "signalling")
    return WebSocketRoute{parts_.signalling, session, {signalling::kMaxMessageSize, 4 * 1024 * 1024}};
  if ((*path)[3] == "services")
    return WebSocketRoute{parts_.services, session, {amphi::services::kMaxMessageSize, 256 * 1024}};
  return std::nullopt;
}

HttpAnswer HttpRoutes::not_found() const {
  parts_.drops->add(Drop::http_not_found);
  HttpAnswer answer;
  answer.status = 404;
  answer.body = "There is nothing here.\n";
  return answer;
}

/// nullopt: the metrics may be read.
std::optional<HttpAnswer> HttpRoutes::refuse_metrics(const HttpRequest& request, const Address& client) const {
  if (!parts_.metrics_token.empty()) {
    if (equal_constant_time(as_bytes(bearer_token(request)), as_bytes(parts_.metrics_token))) return std::nullopt;
    parts_.drops->add(Drop::http_unauthorized);
    return error_answer({ErrorCode::unauthorized, "The metrics ask for their own bearer token."});
  }
  if (parts_.metrics_for_all || (client.is_loopback() && !is_passed_on(request))) return std::nullopt;
  parts_.drops->add(Drop::http_unauthorized);
  return error_answer({ErrorCode::forbidden, "The metrics are for loopback only: see --metrics-listen and --metrics-token-file."});
}

asio::awaitable<HttpAnswer> HttpRoutes::answer(const HttpRequest& request, Address client) const {
  const auto path = safe_path(view(request.target()));
  if (!path) co_return parts_.rest && request.target().starts_with("/v1/") ? parts_.rest->not_found() : not_found();
  if (parts_.rest && !path->empty() && (*path)[0] == "v1") co_return co_await parts_.rest->answer(request, *path);
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    parts_.drops->add(Drop::http_method);
    co_return method_not_allowed("GET, HEAD");
  }
  if (path->size() == 1 && (*path)[0] == "healthz") {
    HttpAnswer healthy;
    healthy.body = "ok\n";
    co_return healthy;
  }
  if (parts_.metrics && path->size() == 1 && (*path)[0] == "metrics") {
    if (auto refused = refuse_metrics(request, client)) co_return std::move(*refused);
    HttpAnswer metrics;
    metrics.content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics.body = co_await parts_.metrics();
    co_return metrics;
  }
  if (path->size() == 1 && (*path)[0] == "page.json" && !parts_.web.empty()) {
    HttpAnswer options;
    options.content_type = "application/json";
    options.body = std::string(R"({"allowAutopublish":)") + (parts_.allow_autopublish ? "true}" : "false}");
    co_return options;
  }
  co_return page(*path);
}

HttpAnswer HttpRoutes::page(const Path& path) const {
  if (parts_.web.empty()) return not_found();
  const bool is_page = path.empty() || (path.size() == 2 && path[0] == "s" && is_session_name(path[1]));
  std::string file = parts_.web;
  if (is_page) file += "/index.html";
  else
    for (const auto& part : path) file += "/" + part;
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return not_found();
  HttpAnswer answer;
  answer.content_type = content_type(file);
  answer.page = answer.content_type.find("text/html") == 0;
  answer.cacheable = path.size() > 1 && path[0] == "assets";
  answer.file = file;
  return answer;
}

}  // namespace amphi::server
