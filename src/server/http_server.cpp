#include "server/http_server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "server/http_response.h"
#include "server/secret_file.h"

namespace amphi::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr std::size_t kReaders = 4;  // of files: a slow disk under one request is not the others' matter
constexpr std::size_t kMaxKey = 64 * 1024;
constexpr auto kLinger = std::chrono::seconds(1);
constexpr std::size_t kLingerBytes = 1024 * 1024;

Error words(const std::string& what, const boost::system::error_code& error) {
  return {ErrorCode::invalid_argument, what + ": " + error.message()};
}

/// By when a request must have been read whole.
struct ReadDeadline : std::enable_shared_from_this<ReadDeadline> {
  ReadDeadline(std::shared_ptr<AnyStream> s, Duration limit)
      : stream(std::move(s)), timer(stream->get_executor(), std::chrono::duration_cast<asio::steady_timer::duration>(limit)) {}
  void start() {
    timer.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (error || self->done) return;
      self->passed = true;
      self->stream->tcp().cancel();
    });
  }
  void finish() {
    done = true;
    timer.cancel();
  }
  std::shared_ptr<AnyStream> stream;
  asio::steady_timer timer;
  bool passed = false, done = false;
};

}  // namespace

HttpServer::HttpServer(asio::io_context& control, const HttpRoutes& routes, Counters<Drop>& drops, HttpLimits limits)
    : control_(control), routes_(routes), drops_(drops), limits_(limits), reader_(control, "disk-http", kReaders) {}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(asio::io_context& control, const std::vector<Address>& at,
                                                       const std::string& tls_cert, const std::string& tls_key,
                                                       const HttpRoutes& routes, Counters<Drop>& drops,
                                                       HttpLimits limits) {
  std::unique_ptr<HttpServer> server(new HttpServer(control, routes, drops, limits));
  if (!tls_cert.empty()) {
    if (auto loaded = server->load_certificate(tls_cert, tls_key); !loaded) return tl::unexpected(loaded.error());
  }
  for (Address address : at) {
    if (!server->acceptors_.empty()) address.port = server->port();
    if (auto bound = server->bind(address); !bound) return tl::unexpected(bound.error());
  }
  return server;
}

Result<void> HttpServer::load_certificate(const std::string& certificate, const std::string& key) {
  boost::system::error_code error;
  asio::ssl::context tls(asio::ssl::context::tls_server);
  tls.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, error);
  tls.use_certificate_chain_file(certificate, error);
  if (error) return tl::unexpected(words("TLS certificate " + certificate, error));
  const auto pem = read_secret(key, kMaxKey);
  if (!pem) return fail(pem.error().code, "TLS key " + pem.error().message);
  tls.use_private_key(asio::buffer(*pem), asio::ssl::context::pem, error);
  if (error) return tl::unexpected(words("TLS key " + key, error));
  tls_ = std::move(tls);  // connections hold what they were made with (SSL_CTX counts its references)
  return {};
}

Result<void> HttpServer::bind(const Address& at) {
  boost::system::error_code error;
  const tcp::endpoint endpoint(asio::ip::make_address(at.ip_text(), error), at.port);
  tcp::acceptor acceptor(control_);
  acceptor.open(endpoint.protocol(), error);
  // A restarted server must not wait for its old connections' TIME_WAIT.
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error) return tl::unexpected(words("listen at " + at.text(), error));
  acceptors_.push_back(std::move(acceptor));
  return {};
}

void HttpServer::start() {
  for (auto& acceptor : acceptors_) asio::co_spawn(control_, accept_loop(acceptor), asio::detached);
}

void HttpServer::stop_accepting() {
  boost::system::error_code ignored;
  for (auto& acceptor : acceptors_) acceptor.close(ignored);
}

bool HttpServer::admit(const std::string& address) {
  if (open_ >= limits_.connections) return drops_.add(Drop::connection_limit), false;
  if (open_by_address_[address] >= limits_.connections_per_address)
    return drops_.add(Drop::connection_address_limit), false;
  return true;
}

asio::awaitable<void> HttpServer::accept_loop(tcp::acceptor& acceptor) {
  while (acceptor.is_open()) {
    boost::system::error_code error;
    tcp::socket socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
    if (error) {  // out of descriptors, most likely: some will be closed soon
      asio::steady_timer pause(control_, std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    const auto remote = socket.remote_endpoint(error);
    if (error) continue;
    std::string address = remote.address().to_string();
    if (!admit(address)) continue;
    socket.set_option(tcp::no_delay(true), error);
    asio::co_spawn(control_, serve_counted(std::move(socket), std::move(address)), asio::detached);
  }
}

asio::awaitable<void> HttpServer::serve_counted(tcp::socket socket, std::string address) {
  ++open_;
  ++open_by_address_[address];
  const auto stream = std::make_shared<AnyStream>(std::move(socket), tls_ ? &*tls_ : nullptr);
  try {
    co_await serve(stream);
  } catch (const std::exception&) {
    drops_.add(Drop::http_malformed);  // out of memory or the like: one connection's end, not the server's
  }
  --open_;
  if (--open_by_address_[address] == 0) open_by_address_.erase(address);
}

asio::awaitable<void> HttpServer::serve(std::shared_ptr<AnyStream> stream) {
  boost::system::error_code error;
  stream->tcp().expires_after(std::chrono::duration_cast<std::chrono::nanoseconds>(limits_.first_request));
  if (auto* tls = stream->tls()) {
    co_await tls->async_handshake(asio::ssl::stream_base::server, asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      drops_.add(Drop::tls_failed);
      co_return;
    }
  }
  boost::beast::flat_buffer buffer;
  Duration limit = limits_.first_request;
  bool more = true;
  while (more) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
    parser.body_limit(limits_.body_bytes);
    stream->tcp().expires_never();  // the deadline's cancellation leaves the connection open for the answer
    const auto deadline = std::make_shared<ReadDeadline>(stream, limit);
    deadline->start();
    co_await http::async_read(*stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    deadline->finish();
    if (error) {
      if (deadline->passed && (parser.got_some() || buffer.size() > 0)) error = boost::beast::error::timeout;
      co_await refuse(*stream, error);
      co_return;
    }
    const HttpRequest request = parser.release();
    if (boost::beast::websocket::is_upgrade(request)) {
      auto route = routes_.websocket({request.target().data(), request.target().size()});
      if (route) {
        const auto socket = std::make_shared<WebSocketConnection>(stream, route->limits, drops_);
        ++websockets_;
        co_await run_websocket(socket, *route, request);
        --websockets_;
        co_return;
      }
    }
    more = co_await respond(*stream, request) && request.keep_alive();
    limit = limits_.next_request;
  }
  stream->tcp().socket().shutdown(tcp::socket::shutdown_send, error);
}

asio::awaitable<void> HttpServer::run_websocket(std::shared_ptr<WebSocketConnection> socket,
                                                const HttpRoutes::WebSocketRoute& route, const HttpRequest& request) {
  try {
    if (co_await socket->accept(request)) co_await route.run(socket, route.session);
  } catch (const std::exception&) {
    drops_.add(Drop::ws_malformed);
  }
  socket->close();
}

asio::awaitable<bool> HttpServer::respond(AnyStream& stream, const HttpRequest& request) {
  HttpAnswer answer = co_await routes_.answer(request);
  co_return co_await write_answer(stream, request, std::move(answer), reader_);
}

asio::awaitable<void> HttpServer::refuse(AnyStream& stream, boost::system::error_code why) {
  const bool too_slow = why == boost::beast::error::timeout;
  const bool in_http = why.category() == make_error_code(http::error::end_of_stream).category();
  const bool went_away = why == http::error::end_of_stream || why == http::error::partial_message;
  if (went_away || (!in_http && !too_slow)) co_return;
  const bool too_large = why == http::error::header_limit || why == http::error::body_limit;
  drops_.add(too_slow ? Drop::http_timeout : too_large ? Drop::http_too_large : Drop::http_malformed);
  HttpRequest request;
  request.keep_alive(false);
  const ErrorCode code = too_slow ? ErrorCode::timeout : too_large ? ErrorCode::limit_exceeded : ErrorCode::malformed;
  const unsigned status = too_slow ? 408 : why == http::error::header_limit ? 431 : too_large ? 413 : 400;
  HttpAnswer answer = error_answer({code, why.message()}, status);
  const bool written = co_await write_answer(stream, request, std::move(answer), reader_);
  if (written) co_await linger(stream);
}

asio::awaitable<void> HttpServer::linger(AnyStream& stream) {
  boost::system::error_code error;
  stream.tcp().socket().shutdown(tcp::socket::shutdown_send, error);
  stream.tcp().expires_after(kLinger);
  std::string ignored(4096, '\0');
  for (std::size_t left = kLingerBytes; !error && left >= ignored.size(); left -= ignored.size())
    co_await stream.tcp().async_read_some(asio::buffer(ignored), asio::redirect_error(asio::use_awaitable, error));
}

}  // namespace amphi::server
