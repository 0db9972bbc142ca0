// Takes TCP connections, with TLS when given a certificate, speaks HTTP/1.1 on them and hands WebSockets to their routes.
// Bounded in everything a client can make grow: connections in total and per address (connection_gate.h), header and body sizes,
// and times. A trusted proxy names the client by the PROXY protocol or in each request (client_address.h).
// Thread: control.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <optional>
#include <unordered_map>

#include "base/net.h"
#include "server/client_address.h"
#include "server/connection_gate.h"
#include "server/disk_reader.h"
#include "server/http_routes.h"
#include "server/rate_limit.h"

namespace amphi::server {

struct HttpLimits {
  ConnectionGate::Limits connections;
  std::size_t header_bytes = 16 * 1024;
  std::size_t body_bytes = 64 * 1024;
  Duration first_request = std::chrono::seconds(5);  // to be read whole in
  Duration next_request = std::chrono::seconds(30);
  bool loopback_hosts_only = false;  // --dev
};

class HttpServer {
 public:
  /// At one address or more; where the first has port 0, all take the free one that it finds.
  /// `tls`: none for plain HTTP. `routes` and `drops` outlive the server. Errors: invalid_argument with the system's words.
  static Result<std::unique_ptr<HttpServer>> listen(boost::asio::io_context& control, const std::vector<Address>& at,
                                                    std::optional<boost::asio::ssl::context> tls,
                                                    const HttpRoutes& routes, Counters<Drop>& drops, HttpLimits limits = {},
                                                    TrustedProxies proxies = {});

  std::uint16_t port() const { return acceptors_.front().local_endpoint().port(); }
  void start();
  /// For connections that come from now on; each keeps the one that it began with (SSL_CTX counts its references).
  void replace_tls(boost::asio::ssl::context tls) { tls_ = std::move(tls); }
  /// Takes no further connections; those that exist go on.
  void stop_accepting();
  std::size_t connections() const { return gate_.open(); }
  /// A limit of the whole server was reached, in words; at most once a second.
  void on_limit_reached(std::function<void(const char* what)> told) { limit_reached_ = std::move(told); }
  std::size_t websockets() const { return websockets_; }

 private:
  /// One connection, and the client behind it.
  struct Visitor {
    ConnectionGate::Number number = 0;
    std::shared_ptr<AnyStream> stream;
    Address peer;           // as the PROXY protocol tells
    bool of_proxy = false;  // `peer` is a trusted proxy: each request names its client
  };

  HttpServer(boost::asio::io_context& control, const HttpRoutes& routes, Counters<Drop>& drops, HttpLimits limits, TrustedProxies proxies);
  Result<void> bind(const Address& at);
  boost::asio::awaitable<void> accept_loop(boost::asio::ip::tcp::acceptor& acceptor);
  /// False: there is no room.
  bool admit(const Visitor& visitor);
  bool apply(ConnectionGate::Verdict verdict);
  void close(ConnectionGate::Number number);
  boost::asio::awaitable<void> serve_counted(Visitor visitor);
  boost::asio::awaitable<void> serve(Visitor& visitor);
  /// False: the connection is over.
  boost::asio::awaitable<bool> read_proxy_protocol(Visitor& visitor);
  boost::asio::awaitable<bool> serve_request(Visitor& visitor, HttpRequest& request);
  boost::asio::awaitable<void> run_websocket(Visitor& visitor, const HttpRoutes::WebSocketRoute& route, const HttpRequest& request, Address client);
  boost::asio::awaitable<void> refuse(AnyStream& stream, boost::system::error_code why);
  boost::asio::awaitable<void> refuse(AnyStream& stream, HttpAnswer answer);
  /// Takes in for a moment what is still being sent: a reset would cost the client the answer.
  boost::asio::awaitable<void> linger(AnyStream& stream);

  boost::asio::io_context& control_;
  std::vector<boost::asio::ip::tcp::acceptor> acceptors_;
  std::optional<boost::asio::ssl::context> tls_;
  const HttpRoutes& routes_;
  Counters<Drop>& drops_;
  const HttpLimits limits_;
  const TrustedProxies proxies_;
  DiskReader reader_;
  ConnectionGate gate_;
  std::function<void(const char* what)> limit_reached_ = [](const char*) {};
  RateLimit limits_told_{1, 2};
  ConnectionGate::Number next_number_ = 1;
  std::unordered_map<ConnectionGate::Number, std::weak_ptr<AnyStream>> streams_;
  std::size_t websockets_ = 0;
};

}  // namespace amphi::server
