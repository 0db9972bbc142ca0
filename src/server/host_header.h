// The Host header and the target of a request (RFC 9112 3.2). Pure. Thread: any.
#pragma once

#include "server/http_message.h"

namespace amphi::server {

/// nullopt: it is right. Else the refusal: 400 where HTTP/1.1 names no host, more than one, or an invalid one. With `loopback_only` (--dev)
/// 421 where the host is no name of loopback: a page of another site whose name was made to lead here (DNS rebinding) is not served.
std::optional<HttpAnswer> refuse_host(const HttpRequest& request, bool loopback_only);

/// "http://host/path" becomes "/path".
void make_origin_form(HttpRequest& request);

}  // namespace amphi::server
