#include "resolve.h"

#include <netdb.h>
#include <netinet/in.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <thread>

namespace amphi::sdk {
namespace {

namespace asio = boost::asio;

Result<Endpoints> look_up(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0)
    return fail(ErrorCode::disconnected, "cannot resolve " + host + ": " + gai_strerror(error));
  Endpoints out;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    asio::ip::tcp::endpoint endpoint;
    if (a->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), a->ai_addr, a->ai_addrlen);
    endpoint.resize(a->ai_addrlen);
    endpoint.port(port);
    out.push_back(endpoint);
  }
  freeaddrinfo(found);
  return out;
}

}  // namespace

void resolve(const std::shared_ptr<asio::io_context>& io, const std::string& host, std::uint16_t port,
             std::function<void(Result<Endpoints>)> done) {
  boost::system::error_code not_numeric;
  const auto address = asio::ip::make_address(host, not_numeric);
  if (!not_numeric) {
    asio::post(*io, [done = std::move(done), endpoint = asio::ip::tcp::endpoint(address, port)] { done(Endpoints{endpoint}); });
    return;
  }
  std::thread([weak = std::weak_ptr(io), host, port, done = std::move(done)]() mutable {
    auto result = look_up(host, port);
    if (const auto io_context = weak.lock())
      asio::post(*io_context, [done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
  }).detach();
}

}  // namespace amphi::sdk
