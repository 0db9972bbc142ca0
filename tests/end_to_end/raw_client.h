// A participant without the SDK: a WebSocket that says whatever the test wants, for checking what the server answers to lies.
// Thread: the test's; every call waits at most a few seconds.
#pragma once

#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace amphi::end_to_end {

class RawClient {
 public:
  enum class Window { usual, small };
  /// Throws where the upgrade is refused. `small`: the kernels of both ends keep only kilobytes that it has not read.
  RawClient(int port, const std::string& path, Window window = Window::usual);

  void send(const nlohmann::json& message) { send_text(message.dump()); }
  void send_text(const std::string& text);
  /// Bytes below the WebSocket protocol, such as frames that the library would not write.
  void send_bytes(const std::string& bytes);
  void send_binary(const std::string& data);
  /// The next message that is no heartbeat; nullopt: closed, or nothing within 8 s.
  std::optional<nlohmann::json> receive();
  /// Reads until a message of this type; nullopt: closed first.
  std::optional<nlohmann::json> receive_type(const std::string& type);
  /// Reads until the server has closed the connection; false: it did not within 8 s.
  bool closed();
  /// Whether the server has ended the connection, told by writing alone; waits at most a few seconds. Reads nothing.
  bool dead();

 private:
  bool run(std::chrono::seconds limit);
  boost::asio::io_context io_;
  boost::beast::websocket::stream<boost::beast::tcp_stream> socket_;
  bool closed_ = false;
};

/// A plain HTTP request; the status and the body.
struct HttpAnswer {
  int status = 0;
  std::string body;
};
HttpAnswer http(int port, const std::string& method, const std::string& target, const std::string& bearer = "", const std::string& body = "");

}  // namespace amphi::end_to_end
