#include "raw_client.h"

#include <netinet/tcp.h>

#include <thread>

namespace amphi::end_to_end {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace ws = beast::websocket;

namespace {
constexpr auto kPatience = std::chrono::seconds(8);
}

RawClient::RawClient(int port, const std::string& path, Window window) : socket_(io_) {
  auto& tcp = beast::get_lowest_layer(socket_);
  tcp.socket().open(asio::ip::tcp::v4());
  if (window == Window::small) {  // before the connection announces it; the sender's buffer grows with the segments' size
    const int segment = 536;
    setsockopt(tcp.socket().native_handle(), IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    tcp.socket().set_option(asio::socket_base::receive_buffer_size(4096));
  }
  tcp.connect({asio::ip::address_v4::loopback(), static_cast<unsigned short>(port)});
  socket_.handshake("127.0.0.1:" + std::to_string(port), path);
}

bool RawClient::run(std::chrono::seconds limit) {
  io_.restart();
  io_.run_for(limit);
  return io_.stopped();
}

void RawClient::send_text(const std::string& text) {
  beast::error_code ignored;  // what the server thinks of it shows in what it answers
  socket_.binary(false);
  socket_.write(asio::buffer(text), ignored);
}

void RawClient::send_binary(const std::string& data) {
  beast::error_code ignored;
  socket_.binary(true);
  socket_.write(asio::buffer(data), ignored);
}

void RawClient::send_bytes(const std::string& bytes) {
  beast::error_code ignored;
  asio::write(beast::get_lowest_layer(socket_).socket(), asio::buffer(bytes), ignored);
}

std::optional<nlohmann::json> RawClient::receive() {
  while (!closed_) {
    beast::flat_buffer buffer;
    beast::error_code error;
    bool done = false;
    socket_.async_read(buffer, [&](beast::error_code e, std::size_t) {
      error = e;
      done = true;
    });
    run(kPatience);
    if (!done) {
      beast::get_lowest_layer(socket_).cancel();
      run(std::chrono::seconds(1));
      return std::nullopt;
    }
    if (error) {
      closed_ = true;
      return std::nullopt;
    }
    auto message = nlohmann::json::parse(beast::buffers_to_string(buffer.data()), nullptr, false);
    const auto type = message.is_object() ? message.value("type", "") : "";
    if (type != "ping" && type != "pong" && type != "beat") return message;
  }
  return std::nullopt;
}

std::optional<nlohmann::json> RawClient::receive_type(const std::string& type) {
  while (auto message = receive())
    if (message->is_object() && message->value("type", "") == type) return message;
  return std::nullopt;
}

bool RawClient::closed() {
  while (receive()) {
  }
  return closed_;
}

bool RawClient::dead() {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  beast::error_code error;
  while (!error && std::chrono::steady_clock::now() < deadline) {
    asio::write(beast::get_lowest_layer(socket_).socket(), asio::buffer("\x8a\x80\0\0\0\0", 6), error);  // an empty pong
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return bool(error);
}

HttpAnswer http(int port, const std::string& method, const std::string& target, const std::string& bearer, const std::string& body) {
  asio::io_context io;
  beast::tcp_stream stream(io);
  stream.connect({asio::ip::address_v4::loopback(), static_cast<unsigned short>(port)});
  beast::http::request<beast::http::string_body> request(beast::http::string_to_verb(method), target, 11, body);
  request.set(beast::http::field::host, "127.0.0.1");
  request.set(beast::http::field::connection, "close");
  if (!bearer.empty()) request.set(beast::http::field::authorization, "Bearer " + bearer);
  if (!body.empty()) request.prepare_payload();
  beast::http::write(stream, request);
  beast::flat_buffer buffer;
  beast::http::response_parser<beast::http::string_body> response;
  response.body_limit(256 * 1024 * 1024);
  beast::error_code error;
  beast::http::read(stream, buffer, response, error);
  return {static_cast<int>(response.get().result_int()), response.get().body()};
}

}  // namespace amphi::end_to_end
