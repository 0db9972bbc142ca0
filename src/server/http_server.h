// Takes TCP connections, with TLS when given a certificate, speaks HTTP/1.1 on them and hands WebSockets to their routes.
// Bounded in everything a client can make grow: connections in total and per address, header and body sizes, and times.
// Thread: control.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <optional>
#include <unordered_map>

#include "base/net.h"
#include "server/disk_reader.h"
#include "server/http_routes.h"

namespace amphi::server {

struct HttpLimits {
  std::size_t connections = 5000;
  std::size_t connections_per_address = 1000;
  std::size_t header_bytes = 16 * 1024;
  std::size_t body_bytes = 64 * 1024;
  Duration first_request = std::chrono::seconds(5);  // to be read whole in
  Duration next_request = std::chrono::seconds(30);
};

class HttpServer {
 public:
  /// At one address or more; where the first has port 0, all take the free one that it finds.
  /// `routes` and `drops` outlive the server. Errors: invalid_argument with the system's words.
  static Result<std::unique_ptr<HttpServer>> listen(boost::asio::io_context& control, const std::vector<Address>& at,
                                                    const std::string& tls_cert, const std::string& tls_key,
                                                    const HttpRoutes& routes, Counters<Drop>& drops, HttpLimits limits = {});

  std::uint16_t port() const { return acceptors_.front().local_endpoint().port(); }
  void start();
  /// For connections that come from now on. Errors: invalid_argument, forbidden (a key that everybody can read), not_found; what there was stays.
  Result<void> load_certificate(const std::string& certificate, const std::string& key);
  /// Takes no further connections; those that exist go on.
  void stop_accepting();
  std::size_t connections() const { return open_; }
  std::size_t websockets() const { return websockets_; }

 private:
  HttpServer(boost::asio::io_context& control, const HttpRoutes& routes, Counters<Drop>& drops, HttpLimits limits);
  Result<void> bind(const Address& at);
  boost::asio::awaitable<void> accept_loop(boost::asio::ip::tcp::acceptor& acceptor);
  boost::asio::awaitable<void> serve(std::shared_ptr<AnyStream> stream);
  boost::asio::awaitable<void> serve_counted(boost::asio::ip::tcp::socket socket, std::string address);
  bool admit(const std::string& address);
  boost::asio::awaitable<void> run_websocket(std::shared_ptr<WebSocketConnection> socket,
                                             const HttpRoutes::WebSocketRoute& route, const HttpRequest& request);
  /// False: the connection is not to be used any further.
  boost::asio::awaitable<bool> respond(AnyStream& stream, const HttpRequest& request);
  boost::asio::awaitable<void> refuse(AnyStream& stream, boost::system::error_code why);
  /// Takes in for a moment what is still being sent: a reset would cost the client the answer.
  boost::asio::awaitable<void> linger(AnyStream& stream);

  boost::asio::io_context& control_;
  std::vector<boost::asio::ip::tcp::acceptor> acceptors_;
  std::optional<boost::asio::ssl::context> tls_;
  const HttpRoutes& routes_;
  Counters<Drop>& drops_;
  const HttpLimits limits_;
  DiskReader reader_;
  std::size_t open_ = 0, websockets_ = 0;
  std::unordered_map<std::string, std::size_t> open_by_address_;
};

}  // namespace amphi::server
