// A server's signalling for tests: a real directory and media worker behind a real socket, and participants who say what they like.
// Thread: the test's; the server runs on its own.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "server/http_server.h"
#include "server/signalling.h"

namespace amphi::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
using Json = nlohmann::json;

/// "SESSION IDENTITY" is a token here, "SESSION IDENTITY 60" one that expired 60 s ago. "former TOKEN" is TOKEN after its key was replaced.
inline Result<AccessToken> read(std::string_view text) {
  constexpr std::string_view kFormer = "former ";
  if (text.starts_with(kFormer)) {
    auto token = read(text.substr(kFormer.size()));
    if (token) token->superseded = true;
    return token;
  }
  std::istringstream words{std::string(text)};
  std::string session, identity;
  if (!(words >> session >> identity)) return fail(ErrorCode::unauthorized, "A token is needed.");
  std::int64_t expired_since = 0;
  if (!(words >> expired_since)) expired_since = -3600;
  AccessToken token{SessionId(session), identity, {}, runtime::wall_now().unix_ms / 1000 - expired_since, "", 0, {}};
  token.grants.publish = token.grants.subscribe = true;
  token.signature = text;
  return token;
}

/// What one participant hears; every call waits for the server, which leaves nobody without an answer.
class Talker {
 public:
  Talker(std::uint16_t port, const std::string& session) : socket_(io_) {
    socket_.next_layer().connect({asio::ip::address_v4::loopback(), port});
    socket_.handshake("127.0.0.1", "/v1/sessions/" + session + "/signalling");
  }
  void say(const Json& message) {
    beast::error_code ignored;
    socket_.write(asio::buffer(message.dump()), ignored);
  }
  /// The next message that is no heartbeat; null: the connection is closed.
  Json hear() {
    while (true) {
      beast::flat_buffer buffer;
      beast::error_code error;
      socket_.read(buffer, error);
      if (error) return nullptr;
      Json message = Json::parse(beast::buffers_to_string(buffer.data()));
      if (message["type"] != "ping" && message["type"] != "pong") return message;
    }
  }
  Json join(const std::string& token, const std::string& resume_token = "") {
    Json message{{"type", "join"}, {"version", 1}, {"token", token}};
    if (!resume_token.empty()) message["resumeToken"] = resume_token;
    say(message);
    return hear();
  }

 private:
  asio::io_context io_;
  beast::websocket::stream<asio::ip::tcp::socket> socket_;
};

constexpr std::size_t kMaxSessions = 3;

struct SignallingRig {
  explicit SignallingRig(Bytes key = Bytes(32, std::byte{7})) : directory(control, workers, std::move(key), random, drops, limits()) {
    auto certificate = dtls::Certificate::generate().value();
    const auto hear = [this](const SessionId& session, sfu::Event event) { directory.handle_event(session, std::move(event)); };
    workers.push_back(MediaWorker::create(0, {Address::v4(127, 0, 0, 1, 0)}, std::move(certificate), control, hear, {}).value());
    SessionDirectory::Hooks hooks;
    hooks.is_recording = [](const SessionId&) { return false; };
    hooks.stop_recording = hooks.participant_joined = hooks.session_removed = [](const SessionId&) {};
    hooks.participant_left = [](const SessionId&, const ParticipantId&) {};
    hooks.limit_reached = [this](const SessionId& session, const services::ReachedLimit& limit) { on_limit_reached(session, limit); };
    directory.set_hooks(std::move(hooks));
    server = HttpServer::listen(control, {Address::v4(127, 0, 0, 1, 0)}, std::nullopt, routes, drops).value();
    server->start();
  }
  static SessionDirectory::Limits limits() {
    SessionDirectory::Limits few;
    few.sessions = kMaxSessions;
    few.participants = 6;
    few.participants_per_identity = 3;
    return few;
  }
  ~SignallingRig() {
    control.stop();
    if (thread.joinable()) thread.join();
    for (auto& worker : workers) worker->stop();
  }
  void run() {
    thread = std::thread([this] { control.run(); });
  }
  std::uint16_t port() const { return server->port(); }
  void on_control(std::function<void()> work) {
    std::promise<void> done;
    asio::post(control, [&] { work(), done.set_value(); });
    done.get_future().wait();
  }

  std::function<void(const SessionId&, const services::ReachedLimit&)> on_limit_reached = [](const auto&, const auto&) {};
  asio::io_context control;
  Counters<Drop> drops;
  runtime::SystemRandom random;
  std::vector<std::unique_ptr<MediaWorker>> workers;
  SessionDirectory directory;
  Signalling signalling{directory, read, drops, RequestLimits(5, 40)};
  HttpRoutes routes{[this] {
    HttpRoutes::Parts parts;
    parts.drops = &drops;
    parts.signalling = [this](std::shared_ptr<WebSocketConnection> connection, SessionId session) {
      return signalling.run(std::move(connection), std::move(session));
    };
    return parts;
  }()};
  std::unique_ptr<HttpServer> server;
  std::thread thread;
};

}  // namespace amphi::server
