// An HTTP request as it was read, and an answer before it is bytes: a body, or (a part of) a file. Thread: any; values.
#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <memory>
#include <string>

#include "server/recorded_file.h"

namespace amphi::server {

using HttpRequest = boost::beast::http::request<boost::beast::http::string_body>;

struct HttpAnswer {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::string file;                 // path; empty: `body` is the answer
  std::string root;                 // of the recordings, where the file lies below it: no symbolic link is followed there; empty: anywhere
  std::shared_ptr<const SealedFile> sealed;  // what `file` holds, where it is encrypted
  std::string allow;                // with 405: the methods that there are
  bool cacheable = false;           // its name changes with its content
  bool page = false;                // HTML: with a content security policy
  bool challenge = false;           // WWW-Authenticate
  std::string limit;                // that was reached, in words; empty: none
  std::string identity;             // of the request's valid token; empty: none
};

/// The token of `Authorization: Bearer`; empty: none. The scheme has no case (RFC 9110 11.1).
std::string_view bearer_token(const HttpRequest& request);

/// What an ErrorCode is in HTTP: 400, 401, 403, 404, 409, ...
unsigned http_status(ErrorCode code);

HttpAnswer json_answer(std::string json, unsigned status = 200);
/// {"code", "message"}; `status` 0: the code's own.
HttpAnswer error_answer(const Error& error, unsigned status = 0);
HttpAnswer method_not_allowed(std::string allow);

}  // namespace amphi::server
