// Writes an HttpAnswer: headers (with those that browsers heed for safety), ranges, and files piece by piece, as they are now:
// a recording that still grows is served up to its size at the moment of the request. Thread: control; files are read by `reader`.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/any_stream.h"
#include "server/disk_reader.h"
#include "server/http_routes.h"

namespace amphi::server {

/// The fields of safety for an answer that the library writes: the refusal of a WebSocket's handshake.
void decorate_refusal(boost::beast::http::fields& fields);

/// False: the connection failed.
boost::asio::awaitable<bool> write_answer(AnyStream& stream, const HttpRequest& request, HttpAnswer answer, DiskReader& reader);

}  // namespace amphi::server
