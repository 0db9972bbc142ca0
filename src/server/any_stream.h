// A TCP connection with or without TLS behind one type, so that HTTP and WebSocket are compiled once and read once.
// It keeps Beast's timeouts (tcp().expires_after). Not movable: others refer to it. Thread: control.
#pragma once

#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket/teardown.hpp>
#include <optional>

namespace amphi::server {

class AnyStream {
 public:
  using executor_type = boost::beast::tcp_stream::executor_type;
  using next_layer_type = boost::beast::tcp_stream;

  /// `tls`: nullptr for plain text.
  AnyStream(boost::asio::ip::tcp::socket socket, boost::asio::ssl::context* tls) : tcp_(std::move(socket)) {
    if (tls) tls_.emplace(tcp_, *tls);
  }
  AnyStream(const AnyStream&) = delete;
  AnyStream& operator=(const AnyStream&) = delete;

  executor_type get_executor() { return tcp_.get_executor(); }
  next_layer_type& next_layer() { return tcp_; }
  const next_layer_type& next_layer() const { return tcp_; }
  boost::beast::tcp_stream& tcp() { return tcp_; }
  boost::asio::ssl::stream<boost::beast::tcp_stream&>* tls() { return tls_ ? &*tls_ : nullptr; }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        [this](auto handler, const Buffers& into) {
          if (tls_) tls_->async_read_some(into, std::move(handler));
          else tcp_.async_read_some(into, std::move(handler));
        },
        token, buffers);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        [this](auto handler, const Buffers& from) {
          if (tls_) tls_->async_write_some(from, std::move(handler));
          else tcp_.async_write_some(from, std::move(handler));
        },
        token, buffers);
  }

 private:
  boost::beast::tcp_stream tcp_;
  std::optional<boost::asio::ssl::stream<boost::beast::tcp_stream&>> tls_;
};

// Found by Beast when a WebSocket has been closed at both ends: nothing remains to be said, so TCP is all that is left to end.
inline void teardown(boost::beast::role_type role, AnyStream& stream, boost::system::error_code& error) {
  using boost::beast::websocket::teardown;
  teardown(role, stream.tcp().socket(), error);
}
template <class Handler>
void async_teardown(boost::beast::role_type role, AnyStream& stream, Handler&& handler) {
  using boost::beast::websocket::async_teardown;
  async_teardown(role, stream.tcp().socket(), std::forward<Handler>(handler));
}

}  // namespace amphi::server
