#include "websocket.h"

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <deque>

#include "resolve.h"

namespace amphi::sdk {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace ws = boost::beast::websocket;
using boost::system::error_code;
using PlainStream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

constexpr auto kConnectTimeout = std::chrono::seconds(10);

template <class Stream>
class Connection final : public WebSocket, public std::enable_shared_from_this<Connection<Stream>> {
 public:
  static constexpr bool kTls = std::is_same_v<Stream, TlsStream>;

  Connection(asio::io_context& io, WebSocketTarget target, WebSocketHandlers handlers)
    requires(!kTls)
      : target_(std::move(target)), handlers_(std::move(handlers)), stream_(io) {}
  Connection(asio::io_context& io, WebSocketTarget target, WebSocketHandlers handlers, std::shared_ptr<asio::ssl::context> tls)
    requires kTls
      : tls_(std::move(tls)), target_(std::move(target)), handlers_(std::move(handlers)), stream_(io, *tls_) {}

  void start(const std::shared_ptr<asio::io_context>& io) {
    // Weak: a name server may be slower than the life of the connection, and of the io_context that its sockets need.
    resolve(io, target_.host, target_.port, [weak = this->weak_from_this()](Result<Endpoints> found) {
      const auto self = weak.lock();
      if (!self || self->closing_) return;
      if (!found) return self->fail_with(found.error());
      self->connect(std::move(*found));
    });
  }

  void send(std::string text) override {
    if (closing_) return;
    queue_.push_back(std::move(text));
    if (open_ && queue_.size() == 1) write();
  }

  void close() override {
    if (closing_) return;
    closing_ = true;
    handlers_ = {};
    if (!open_) return hang_up();
    // A peer that takes nothing any more must not keep the connection: it has a moment.
    limit_.expires_after(std::chrono::milliseconds(200));
    limit_.async_wait([self = this->shared_from_this()](error_code error) {
      if (!error) self->hang_up();
    });
    if (queue_.empty()) say_goodbye();
  }

  std::string remote_ip() const override { return remote_ip_; }

 private:
  void connect(Endpoints endpoints) {
    if (closing_) return;
    auto& tcp = beast::get_lowest_layer(stream_);
    tcp.expires_after(kConnectTimeout);
    auto kept = std::make_shared<Endpoints>(std::move(endpoints));
    tcp.async_connect(*kept, [self = this->shared_from_this(), kept](error_code error, const asio::ip::tcp::endpoint& endpoint) {
      if (error) return self->fail_with(error, "cannot connect");
      self->remote_ip_ = endpoint.address().to_string();
      beast::get_lowest_layer(self->stream_).socket().set_option(asio::ip::tcp::no_delay(true), error);
      self->secure();
    });
  }

  void secure() {
    if constexpr (kTls) {
      auto& tls = stream_.next_layer();
      tls.set_verify_mode(asio::ssl::verify_peer);
      tls.set_verify_callback(asio::ssl::host_name_verification(target_.host));
      SSL_set_tlsext_host_name(tls.native_handle(), target_.host.c_str());
      tls.async_handshake(asio::ssl::stream_base::client, [self = this->shared_from_this()](error_code error) {
        if (error) return self->fail_with(error, "TLS failed");
        self->upgrade();
      });
    } else {
      upgrade();
    }
  }

  void upgrade() {
    stream_.set_option(ws::stream_base::decorator([agent = target_.user_agent](ws::request_type& request) {
      request.set(beast::http::field::user_agent, agent);
    }));
    stream_.read_message_max(target_.max_message);
    const bool v6 = target_.host.find(':') != std::string::npos;
    const std::string host = (v6 ? "[" + target_.host + "]" : target_.host) + ":" + std::to_string(target_.port);
    stream_.async_handshake(host, target_.path, [self = this->shared_from_this()](error_code error) {
      if (error) return self->fail_with(error, "the server refused the WebSocket");
      if (self->closing_) return self->hang_up();
      beast::get_lowest_layer(self->stream_).expires_never();
      self->open_ = true;
      self->read();
      if (!self->queue_.empty()) self->write();
      const auto opened = self->handlers_.opened;  // a handler may close, which lets the handlers go
      opened();
    });
  }

  void read() {
    stream_.async_read(buffer_, [self = this->shared_from_this()](error_code error, std::size_t) {
      if (self->closing_) return;
      if (error) return self->ended(error);
      const std::string text = beast::buffers_to_string(self->buffer_.data());
      self->buffer_.consume(self->buffer_.size());
      if (self->stream_.got_text()) {
        const auto message = self->handlers_.message;
        message(text);
      }
      if (!self->closing_) self->read();
    });
  }

  void write() {
    stream_.text(true);
    stream_.async_write(asio::buffer(queue_.front()), [self = this->shared_from_this()](error_code error, std::size_t) {
      if (error) return self->closing_ ? self->hang_up() : self->ended(error);
      self->queue_.pop_front();
      if (!self->queue_.empty()) return self->write();
      if (self->closing_) self->say_goodbye();
    });
  }

  void say_goodbye() {
    stream_.async_close(ws::close_code::normal, [self = this->shared_from_this()](error_code) { self->hang_up(); });
  }

  void hang_up() {
    error_code ignored;
    limit_.cancel();
    auto& socket = beast::get_lowest_layer(stream_).socket();
    socket.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    beast::get_lowest_layer(stream_).close();
  }

  void fail_with(Error error) {
    if (closing_) return;
    closing_ = true;
    const auto failed = std::move(handlers_.failed);
    handlers_ = {};
    hang_up();
    failed(std::move(error));
  }
  void fail_with(error_code error, const char* what) {
    const bool late = error == beast::error::timeout;
    fail_with({late ? ErrorCode::timeout : ErrorCode::disconnected, std::string(what) + ": " + error.message()});
  }

  void ended(error_code error) {
    if (closing_) return;
    closing_ = true;
    const auto closed = std::move(handlers_.closed);
    handlers_ = {};
    hang_up();
    if (error == ws::error::closed) return closed(std::nullopt);
    closed(Error{ErrorCode::disconnected, "the connection was lost: " + error.message()});
  }

  std::shared_ptr<asio::ssl::context> tls_;
  WebSocketTarget target_;
  WebSocketHandlers handlers_;
  ws::stream<Stream> stream_;
  asio::steady_timer limit_{stream_.get_executor()};
  beast::flat_buffer buffer_;
  std::deque<std::string> queue_;
  std::string remote_ip_;
  bool open_ = false;
  bool closing_ = false;
};

}  // namespace

std::shared_ptr<WebSocket> WebSocket::open(const std::shared_ptr<asio::io_context>& io, const WebSocketTarget& target,
                                           WebSocketHandlers handlers) {
  if (!target.tls) {
    auto connection = std::make_shared<Connection<PlainStream>>(*io, target, std::move(handlers));
    connection->start(io);
    return connection;
  }
  auto tls = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  error_code error;
  if (target.ca_certificate_file.empty()) {
    tls->set_default_verify_paths(error);
  } else {
    tls->load_verify_file(target.ca_certificate_file, error);
  }
  if (error) {
    asio::post(*io, [failed = handlers.failed, text = error.message()] {
      failed({ErrorCode::invalid_argument, "cannot read the certificate authorities: " + text});
    });
    return std::make_shared<Connection<TlsStream>>(*io, target, WebSocketHandlers{}, std::move(tls));
  }
  auto connection = std::make_shared<Connection<TlsStream>>(*io, target, std::move(handlers), std::move(tls));
  connection->start(io);
  return connection;
}

}  // namespace amphi::sdk
