// Host names to addresses without ever blocking the caller, or anybody's destruction: getaddrinfo runs on a thread of its own that
// nobody waits for. Thread: the io_context's; `done` is called there, never from within the
// call, and not at all when the io_context is gone by then.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace amphi::sdk {

using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

void resolve(const std::shared_ptr<boost::asio::io_context>& io, const std::string& host, std::uint16_t port,
             std::function<void(Result<Endpoints>)> done);

}  // namespace amphi::sdk
