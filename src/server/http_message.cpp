#include "server/http_message.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <nlohmann/json.hpp>

namespace amphi::server {

std::string_view bearer_token(const HttpRequest& request) {
  constexpr std::string_view kScheme = "Bearer ";
  const auto field = request[boost::beast::http::field::authorization];
  std::string_view value(field.data(), field.size());
  if (!boost::beast::iequals(value.substr(0, kScheme.size()), kScheme)) return {};
  value.remove_prefix(std::min(value.find_first_not_of(' ', kScheme.size()), value.size()));
  return value;
}

unsigned http_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::malformed: return 400;
    case ErrorCode::unauthorized: return 401;
    case ErrorCode::forbidden: return 403;
    case ErrorCode::not_found: return 404;
    case ErrorCode::invalid_state: return 409;
    case ErrorCode::limit_exceeded: return 429;
    case ErrorCode::unsupported: return 501;
    case ErrorCode::disconnected: return 503;
    case ErrorCode::timeout: return 504;
    case ErrorCode::storage: return 507;  // RFC 4918 11.5
    case ErrorCode::fingerprint_mismatch:
    case ErrorCode::internal: break;
  }
  return 500;
}

HttpAnswer json_answer(std::string json, unsigned status) {
  HttpAnswer answer;
  answer.status = status;
  answer.content_type = "application/json";
  answer.body = std::move(json);
  return answer;
}

HttpAnswer error_answer(const Error& error, unsigned status) {
  const nlohmann::json body{{"code", wire_name(error.code)}, {"message", error.message}};
  HttpAnswer answer = json_answer(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
                                  status != 0 ? status : http_status(error.code));
  answer.challenge = answer.status == 401;
  if (error.code == ErrorCode::limit_exceeded) answer.limit = error.message;
  return answer;
}

HttpAnswer method_not_allowed(std::string allow) {
  HttpAnswer answer = error_answer({ErrorCode::unsupported, "This address understands " + allow + "."}, 405);
  answer.allow = std::move(allow);
  return answer;
}

}  // namespace amphi::server
