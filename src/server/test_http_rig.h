// An HTTP server on a real socket for tests, with a few routes, and a client that says what it likes. Thread: the test's; the server runs on
// its own.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "server/http_server.h"

namespace amphi::server {

namespace asio = boost::asio;
using boost::beast::http::verb;
using Json = nlohmann::json;

struct Reply {
  int status = 0;
  std::string head, body;
  std::string all;
};

class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    rest_.add(verb::get, "/v1/sessions/*/things", Access::member, [](const RestCall& call) -> asio::awaitable<HttpAnswer> {
      co_return json_answer(Json{{"session", call.names[0]}, {"q", call.query("q")}}.dump());
    });
    rest_.add(verb::post, "/v1/sessions/*/things", Access::record, [](const RestCall& call) -> asio::awaitable<HttpAnswer> {
      co_return json_answer(Json{{"size", call.request.body().size()}, {"by", call.token.identity}}.dump(), 202);
    });
    rest_.add(verb::get, "/v1/sessions/*/files", Access::recordings, [](const RestCall&) -> asio::awaitable<HttpAnswer> { co_return json_answer("{}"); });
    rest_.add(verb::delete_, "/v1/sessions/*/things/*", Access::admin, [](const RestCall& call) -> asio::awaitable<HttpAnswer> {
      co_return json_answer(Json{{"gone", call.names[1]}}.dump());
    });
    HttpLimits limits;
    limits.first_request = std::chrono::milliseconds(300);
    limits.next_request = std::chrono::milliseconds(300);
    server_ = HttpServer::listen(control_, {Address::v4(127, 0, 0, 1, 0)}, std::nullopt, routes_, drops_, limits).value();
    server_->start();
    port_ = server_->port();
    thread_ = std::thread([this] { control_.run(); });
  }
  void TearDown() override {
    control_.stop();
    thread_.join();
  }

  /// Sends these bytes and reads until the server has closed.
  Reply raw(const std::string& bytes) {
    asio::io_context io;
    asio::ip::tcp::socket socket(io);
    socket.connect({asio::ip::address_v4::loopback(), port_});
    std::thread writer([&] {
      boost::system::error_code error;
      asio::write(socket, asio::buffer(bytes), error);
    });
    std::string got;
    boost::system::error_code error;
    asio::read(socket, asio::dynamic_buffer(got), error);
    writer.join();
    Reply reply;
    reply.all = got;
    if (got.size() > 12) reply.status = std::atoi(got.c_str() + 9);
    const auto end = got.find("\r\n\r\n");
    reply.head = got.substr(0, end);
    if (end != got.npos) reply.body = got.substr(end + 4);
    return reply;
  }
  Reply ask(const std::string& method, const std::string& target, const std::string& token, const std::string& body = "") {
    return raw(method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" +
               (token.empty() ? "" : "Authorization: Bearer " + token + "\r\n") +
               (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + "\r\n" + body);
  }

  /// A second server, with these limits.
  void serve_few(ConnectionGate::Limits connections, const std::vector<std::string>& trusted = {}) {
    on_control([&] {
      HttpLimits limits;
      limits.connections = connections;
      limits.first_request = limits.next_request = std::chrono::seconds(5);
      if (!trusted.empty()) limits.first_request = std::chrono::milliseconds(500);
      std::vector<AddressRange> ranges;
      for (const auto& range : trusted) ranges.push_back(AddressRange::parse(range).value());
      small_ = HttpServer::listen(control_, {Address::v4(127, 0, 0, 1, 0)}, std::nullopt, routes_, drops_, limits, TrustedProxies(ranges)).value();
      small_->start();
    });
  }

  void on_control(std::function<void()> work) {
    std::promise<void> done;
    asio::post(control_, [&] { work(), done.set_value(); });
    done.get_future().wait();
  }

  asio::io_context control_;
  Counters<Drop> drops_;
  /// "SESSION:GRANT" is a token here.
  RestRoutes rest_{[](std::string_view text) -> Result<AccessToken> {
                     const auto colon = text.find(':');
                     if (colon == text.npos) return fail(ErrorCode::unauthorized, "A token is needed.");
                     AccessToken token{SessionId(std::string(text.substr(0, colon))), "someone", {}, 0, "", 0, {}};
                     token.grants.recordings = text.substr(colon + 1) == "recordings";
                     token.grants.record = text.substr(colon + 1) == "record";
                     token.grants.admin = text.substr(colon + 1) == "admin";
                     return token;
                   },
                   drops_};
  HttpRoutes routes_{[this] {
    HttpRoutes::Parts parts;
    parts.rest = &rest_;
    parts.drops = &drops_;
    parts.web = "/there/is/no/page";
    parts.signalling = [this](std::shared_ptr<WebSocketConnection> connection, SessionId) -> asio::awaitable<void> {
      spoken_ = connection;
      while (co_await connection->read()) connection->send("whole");
    };
    return parts;
  }()};
  std::shared_ptr<WebSocketConnection> spoken_;  // the newest
  std::unique_ptr<HttpServer> server_, small_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace amphi::server
