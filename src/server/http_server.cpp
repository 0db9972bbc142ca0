#include "server/http_server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "runtime/clock.h"
#include "server/host_header.h"
#include "server/http_response.h"
#include "server/proxy_protocol.h"

// GCC 12 inlines the allocation of a coroutine's frame here and not its deallocation, and takes Asio's two for a mismatch.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace amphi::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr std::size_t kReaders = 4;  // of files: a slow disk under one request is not the others' matter
constexpr auto kLinger = std::chrono::seconds(1);
constexpr std::size_t kLingerBytes = 1024 * 1024;

Error words(const std::string& what, const boost::system::error_code& error) {
  return {ErrorCode::invalid_argument, what + ": " + error.message()};
}

Address address_of(const tcp::endpoint& endpoint) {
  const std::string text = endpoint.address().to_string();
  return plain_address(Address::parse(text.substr(0, text.find('%')), endpoint.port()).value_or(Address{}));
}

ForwardedFields forwarded_fields(const HttpRequest& request) {
  const auto joined = [&](const char* name) {
    std::string all;
    const auto range = request.equal_range(name);
    for (auto at = range.first; at != range.second; ++at) all.append(all.empty() ? "" : ",").append(at->value().data(), at->value().size());
    return all;
  };
  return {joined("X-Forwarded-For"), joined("Forwarded")};
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

HttpServer::HttpServer(asio::io_context& control, const HttpRoutes& routes, Counters<Drop>& drops, HttpLimits limits, TrustedProxies proxies)
    : control_(control), routes_(routes), drops_(drops), limits_(limits), proxies_(std::move(proxies)), reader_(control, "disk-http", kReaders),
      gate_(limits.connections) {}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(asio::io_context& control, const std::vector<Address>& at,
                                                       std::optional<asio::ssl::context> tls,
                                                       const HttpRoutes& routes, Counters<Drop>& drops,
                                                       HttpLimits limits, TrustedProxies proxies) {
  std::unique_ptr<HttpServer> server(new HttpServer(control, routes, drops, limits, std::move(proxies)));
  server->tls_ = std::move(tls);
  for (Address address : at) {
    if (!server->acceptors_.empty()) address.port = server->port();
    if (auto bound = server->bind(address); !bound) return tl::unexpected(bound.error());
  }
  return server;
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

bool HttpServer::admit(const Visitor& visitor) {
  const auto verdict = gate_.enter(visitor.number, address_group(visitor.peer), visitor.of_proxy);
  if (verdict.refusal == ConnectionGate::Refusal::none) streams_[visitor.number] = visitor.stream;
  return apply(verdict);
}

bool HttpServer::apply(ConnectionGate::Verdict verdict) {
  const auto refuse = [this](Drop why, const char* what) {
    drops_.add(why);
    if (limits_told_.allow(runtime::now())) limit_reached_(what);
  };
  if (verdict.refusal == ConnectionGate::Refusal::total) refuse(Drop::connection_limit, "The server has as many connections as it may have: newcomers are refused.");
  if (verdict.refusal == ConnectionGate::Refusal::address) refuse(Drop::connection_address_limit, "A client's address has as many connections as it may have: newcomers from there are refused.");
  if (verdict.yields) close(*verdict.yields);
  return verdict.refusal == ConnectionGate::Refusal::none;
}

void HttpServer::close(ConnectionGate::Number number) {
  drops_.add(Drop::connection_yielded);
  const auto found = streams_.find(number);
  if (const auto stream = found == streams_.end() ? nullptr : found->second.lock()) stream->tcp().close();
}

asio::awaitable<void> HttpServer::accept_loop(tcp::acceptor& acceptor) {
  while (acceptor.is_open()) {
    boost::system::error_code error;
    tcp::socket socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
    if (error) {  // out of descriptors, most likely
      if (const auto yields = gate_.make_room()) close(*yields);
      asio::steady_timer pause(control_, std::chrono::milliseconds(10));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    const auto remote = socket.remote_endpoint(error);
    if (error) continue;
    Visitor visitor{next_number_++, nullptr, address_of(remote), false};
    visitor.of_proxy = proxies_.contains(visitor.peer);
    socket.set_option(tcp::no_delay(true), error);
    visitor.stream = std::make_shared<AnyStream>(std::move(socket), tls_ ? &*tls_ : nullptr);
    if (admit(visitor)) asio::co_spawn(control_, serve_counted(std::move(visitor)), asio::detached);
  }
}

asio::awaitable<void> HttpServer::serve_counted(Visitor visitor) {
  try {
    if (!visitor.of_proxy || co_await read_proxy_protocol(visitor)) co_await serve(visitor);
  } catch (const std::exception&) {
    drops_.add(Drop::http_malformed);  // out of memory or the like: one connection's end, not the server's
  }
  gate_.leave(visitor.number);
  streams_.erase(visitor.number);
}

asio::awaitable<bool> HttpServer::read_proxy_protocol(Visitor& visitor) {
  auto& socket = visitor.stream->tcp().socket();
  const auto deadline = std::make_shared<ReadDeadline>(visitor.stream, limits_.first_request);
  deadline->start();
  Bytes seen(kMostProxyHeader);
  asio::steady_timer pause(control_);
  boost::system::error_code error;
  ProxyHeader header{ProxyHeader::Kind::incomplete, 0, {}};
  while (header.kind == ProxyHeader::Kind::incomplete && !error && !deadline->passed) {
    // Looks only: what is no header belongs to TLS or HTTP.
    const std::size_t size = co_await socket.async_receive(asio::buffer(seen), tcp::socket::message_peek, asio::redirect_error(asio::use_awaitable, error));
    header = read_proxy_header(ByteView(seen).first(size));
    if (error || header.kind != ProxyHeader::Kind::incomplete) break;
    pause.expires_after(std::chrono::milliseconds(5));
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
  if (header.kind == ProxyHeader::Kind::complete && !error)
    co_await asio::async_read(socket, asio::buffer(seen.data(), header.size), asio::redirect_error(asio::use_awaitable, error));
  deadline->finish();
  if (header.kind == ProxyHeader::Kind::malformed) drops_.add(Drop::proxy_header_malformed);
  if (error || header.kind == ProxyHeader::Kind::malformed || header.kind == ProxyHeader::Kind::incomplete) co_return false;
  if (!header.client) co_return true;
  visitor.peer = plain_address(*header.client);
  visitor.of_proxy = proxies_.contains(visitor.peer);
  co_return apply(gate_.move(visitor.number, address_group(visitor.peer), visitor.of_proxy));
}

asio::awaitable<void> HttpServer::serve(Visitor& visitor) {
  const auto stream = visitor.stream;
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
    HttpRequest request = parser.release();
    more = co_await serve_request(visitor, request);
    limit = limits_.next_request;
  }
}

asio::awaitable<bool> HttpServer::serve_request(Visitor& visitor, HttpRequest& request) {
  const Address client = visitor.of_proxy ? forwarded_client(forwarded_fields(request), visitor.peer, proxies_) : visitor.peer;
  if (visitor.of_proxy && !apply(gate_.move(visitor.number, address_group(client), proxies_.contains(client)))) {
    HttpAnswer full = error_answer({ErrorCode::limit_exceeded, "Too many connections from this address."});
    co_await refuse(*visitor.stream, std::move(full));
    co_return false;
  }
  if (auto refused = refuse_host(request, limits_.loopback_hosts_only)) {
    drops_.add(Drop::http_host);
    co_await refuse(*visitor.stream, std::move(*refused));
    co_return false;
  }
  make_origin_form(request);
  if (boost::beast::websocket::is_upgrade(request)) {
    if (const auto route = routes_.websocket({request.target().data(), request.target().size()})) {
      ++websockets_;
      co_await run_websocket(visitor, *route, request, client);
      --websockets_;
      co_return false;
    }
  }
  gate_.set_busy(visitor.number, true);
  HttpAnswer answer = co_await routes_.answer(request, client);
  if (!answer.identity.empty()) gate_.authenticated(visitor.number, answer.identity);
  const bool written = co_await write_answer(*visitor.stream, request, std::move(answer), reader_);
  if (visitor.of_proxy) apply(gate_.move(visitor.number, address_group(visitor.peer), true));
  else gate_.set_busy(visitor.number, false);
  if (written && request.keep_alive()) co_return true;
  boost::system::error_code ignored;
  visitor.stream->tcp().socket().shutdown(tcp::socket::shutdown_send, ignored);
  co_return false;
}

asio::awaitable<void> HttpServer::run_websocket(Visitor& visitor, const HttpRoutes::WebSocketRoute& route, const HttpRequest& request, Address client) {
  WebSocketConnection::Origin origin{client, [this, number = visitor.number](const std::string& identity) { gate_.authenticated(number, identity); }};
  const auto socket = std::make_shared<WebSocketConnection>(visitor.stream, route.limits, drops_, std::move(origin));
  try {
    if (co_await socket->accept(request)) co_await route.run(socket, route.session);
  } catch (const std::exception&) {
    drops_.add(Drop::ws_malformed);
  }
  socket->close();
}

asio::awaitable<void> HttpServer::refuse(AnyStream& stream, boost::system::error_code why) {
  const bool too_slow = why == boost::beast::error::timeout;
  const bool in_http = why.category() == make_error_code(http::error::end_of_stream).category();
  const bool went_away = why == http::error::end_of_stream || why == http::error::partial_message;
  if (went_away || (!in_http && !too_slow)) co_return;
  const bool too_large = why == http::error::header_limit || why == http::error::body_limit;
  drops_.add(too_slow ? Drop::http_timeout : too_large ? Drop::http_too_large : Drop::http_malformed);
  const ErrorCode code = too_slow ? ErrorCode::timeout : too_large ? ErrorCode::limit_exceeded : ErrorCode::malformed;
  const unsigned status = too_slow ? 408 : why == http::error::header_limit ? 431 : too_large ? 413 : 400;
  HttpAnswer answer = error_answer({code, why.message()}, status);
  co_await refuse(stream, std::move(answer));
}

asio::awaitable<void> HttpServer::refuse(AnyStream& stream, HttpAnswer answer) {
  HttpRequest request;
  request.keep_alive(false);
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
