#include "server/websocket_connection.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>

#include "runtime/clock.h"
#include "server/http_response.h"
#include "server/signalling_messages.h"

namespace amphi::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;

namespace {
constexpr double kFramesPerSecond = 5'000;  // a message of 256 KiB comes in up to 200 pieces
}

WebSocketConnection::WebSocketConnection(std::shared_ptr<AnyStream> stream, Limits limits, Counters<Drop>& drops, Origin origin)
    : stream_(std::move(stream)), socket_(*stream_), limits_(limits), drops_(drops), origin_(std::move(origin)), last_heard_(runtime::now()),
      last_sent_(last_heard_), frames_(kFramesPerSecond, kFramesPerSecond) {
  websocket::stream_base::timeout timeout{};
  timeout.handshake_timeout = std::chrono::seconds(5);  // of the opening and of the closing handshake
  timeout.idle_timeout = websocket::stream_base::none();  // the protocols have heartbeats of their own
  timeout.keep_alive_pings = false;
  socket_.set_option(timeout);
  socket_.read_message_max(0);  // read() itself holds the limit, so that it can say so before it closes
  socket_.text(true);
  socket_.set_option(websocket::stream_base::decorator([](websocket::response_type& response) {
    if (response.result() != beast::http::status::switching_protocols) decorate_refusal(response);
  }));
  socket_.control_callback([this](websocket::frame_type, beast::string_view) { take_frame(); });
}

/// Posted: a limit is also reached while a message is sent to everybody, and the warning is one more.
void WebSocketConnection::limit_reached(const std::string& what) {
  if (limit_reached_) asio::post(stream_->get_executor(), [told = limit_reached_, what] { told(what); });
}

bool WebSocketConnection::take_frame() {
  if (dead_ || frames_.allow(runtime::now())) return !dead_;
  drops_.add(Drop::ws_frame_rate_limited);
  limit_reached("Too many WebSocket frames a second.");
  abort();
  return false;
}

asio::awaitable<bool> WebSocketConnection::accept(const HttpRequest& request) {
  stream_->tcp().expires_never();
  boost::system::error_code error;
  co_await socket_.async_accept(request, asio::redirect_error(asio::use_awaitable, error));
  if (error) abort();
  co_return !error;
}

asio::awaitable<tl::expected<std::string, WebSocketConnection::End>> WebSocketConnection::read() {
  const auto self = shared_from_this();
  incoming_.clear();
  bool begun = false;
  do {
    boost::system::error_code error;
    const std::size_t room = limits_.message + 1 - incoming_.size();
    co_await socket_.async_read_some(incoming_, room, asio::redirect_error(asio::use_awaitable, error));
    if (error || !take_frame()) co_return tl::unexpected(End::closed);
    // A message counts when it begins and when it is whole: pieces that never end are silence.
    if (!begun || socket_.is_message_done()) last_heard_ = runtime::now();
    begun = true;
    if (incoming_.size() > limits_.message) co_return tl::unexpected(End::too_large);
  } while (!socket_.is_message_done());
  if (!socket_.got_text()) co_return tl::unexpected(End::not_text);
  co_return beast::buffers_to_string(incoming_.data());
}

void WebSocketConnection::send(std::string text) {
  if (!is_open()) return;
  if (queued_bytes_ + text.size() > limits_.queue) {
    drops_.add(Drop::ws_slow_reader);
    limit_reached("A connection reads too slowly, and is closed.");
    return abort();
  }
  queued_bytes_ += text.size();
  queue_.push_back(std::move(text));
  last_sent_ = runtime::now();
  pump();
}

void WebSocketConnection::send_error(const Error& error, bool fatal, std::string_view in_reply_to) {
  if (error.code == ErrorCode::limit_exceeded) limit_reached(error.message);
  send(signalling::error(error, fatal, in_reply_to));
  if (fatal) close();
}

void WebSocketConnection::close() {
  if (!is_open()) return;
  closing_ = true;
  // A peer that reads nothing would keep the queue, and so the connection, for ever.
  const auto limit = std::make_shared<asio::steady_timer>(stream_->get_executor(), std::chrono::seconds(5));
  limit->async_wait([self = shared_from_this(), limit](boost::system::error_code) { self->abort(); });
  pump();
}

void WebSocketConnection::abort() {
  if (dead_) return;
  dead_ = true;
  queue_.clear();
  queued_bytes_ = 0;
  stream_->tcp().close();
}

void WebSocketConnection::pump() {
  if (writing_ || dead_) return;
  if (queue_.empty()) {
    if (closing_) start_close();
    return;
  }
  writing_ = true;
  // The text travels with the handler: the queue may be cleared while it is being written.
  auto text = std::make_shared<std::string>(std::move(queue_.front()));
  queue_.pop_front();
  socket_.async_write(asio::buffer(*text), [self = shared_from_this(), text](boost::system::error_code error, std::size_t) {
    self->writing_ = false;
    self->queued_bytes_ -= std::min(self->queued_bytes_, text->size());
    if (error) return self->abort();
    self->pump();
  });
}

void WebSocketConnection::start_close() {
  if (close_started_) return;
  close_started_ = true;
  socket_.async_close(websocket::close_code::normal, [self = shared_from_this()](boost::system::error_code) { self->abort(); });
}

}  // namespace amphi::server
