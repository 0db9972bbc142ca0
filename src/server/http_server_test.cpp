// The HTTP server on a real socket: methods, bodies, limits and times.
#include "server/http_server.h"

#include <gtest/gtest.h>

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

namespace amphi::server {
namespace {

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
    rest_.add(verb::delete_, "/v1/sessions/*/things/*", Access::admin, [](const RestCall& call) -> asio::awaitable<HttpAnswer> {
      co_return json_answer(Json{{"gone", call.names[1]}}.dump());
    });
    HttpLimits limits;
    limits.first_request = std::chrono::milliseconds(300);
    limits.next_request = std::chrono::milliseconds(300);
    server_ = HttpServer::listen(control_, {Address::v4(127, 0, 0, 1, 0)}, "", "", routes_, drops_, limits).value();
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
                     AccessToken token{SessionId(std::string(text.substr(0, colon))), "someone", {}, 0, ""};
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
    return parts;
  }()};
  std::unique_ptr<HttpServer> server_, small_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST_F(HttpServerTest, every_method_finds_its_handler_and_only_for_those_who_may) {
  struct Row {
    const char *method, *target, *token;
    int status;
    const char* part;  // of the answer
  };
  const Row rows[] = {
      {"GET", "/healthz", "", 200, "ok"},
      {"POST", "/healthz", "", 405, "GET, HEAD"},
      {"GET", "/v1/sessions/a/things?q=x%20y", "a:", 200, "\"q\":\"x y\""},
      {"GET", "/v1/sessions/a/things?access_token=a:", "", 200, "\"session\":\"a\""},
      {"HEAD", "/v1/sessions/a/things", "a:", 200, ""},
      {"GET", "/v1/sessions/a/things", "", 401, "unauthorized"},
      {"GET", "/v1/sessions/b/things", "a:", 403, "forbidden"},
      {"GET", "/v1/sessions/b/things", "a:admin", 200, "\"session\":\"b\""},
      {"POST", "/v1/sessions/a/things", "a:", 403, "`record`"},
      {"POST", "/v1/sessions/a/things", "a:record", 202, "someone"},
      {"POST", "/v1/sessions/b/things", "a:record", 403, "forbidden"},
      {"DELETE", "/v1/sessions/a/things/7", "a:record", 403, "`admin`"},
      {"DELETE", "/v1/sessions/a/things/7", "a:admin", 200, "\"gone\":\"7\""},
      {"PUT", "/v1/sessions/a/things", "a:admin", 405, "GET, HEAD, POST"},
      {"GET", "/v1/sessions/a/things/7", "a:admin", 405, "DELETE"},
      {"GET", "/v1/sessions/.a/things", "a:admin", 404, "not_found"},
      {"GET", "/v1/none", "a:admin", 404, "not_found"},
      {"GET", "/v1/sessions/a/things/..%2f7", "a:admin", 404, ""},
      {"BREW", "/v1/sessions/a/things", "a:admin", 405, "unsupported"},
  };
  for (const auto& row : rows) {
    const Reply reply = ask(row.method, row.target, row.token);
    EXPECT_EQ(reply.status, row.status) << row.method << " " << row.target << "\n" << reply.head << reply.body;
    EXPECT_NE(reply.body.find(row.part), reply.body.npos) << row.method << " " << row.target << " " << reply.body;
    EXPECT_EQ(reply.status == 405, reply.head.find("Allow: ") != reply.head.npos) << reply.head;
    EXPECT_EQ(reply.status == 401, reply.head.find("WWW-Authenticate: Bearer") != reply.head.npos) << reply.head;
  }
}

TEST_F(HttpServerTest, no_address_makes_the_page_believe_that_it_may_share_devices_by_itself) {
  for (const char* target : {"/page.json", "/page.json?allowAutopublish=true", "/page.json#allowAutopublish=true"}) {
    const Reply reply = ask("GET", target, "");
    EXPECT_EQ(reply.status, 200) << target;
    EXPECT_EQ(Json::parse(reply.body), (Json{{"allowAutopublish", false}})) << target;
    EXPECT_NE(reply.head.find("no-store"), std::string::npos);
  }
  EXPECT_EQ(ask("POST", "/page.json", "").status, 405);
}

TEST_F(HttpServerTest, a_body_is_taken_up_to_its_limit) {
  EXPECT_NE(ask("POST", "/v1/sessions/a/things", "a:record", std::string(64 * 1024, 'x')).body.find("65536"), std::string::npos);
  const Reply large = ask("POST", "/v1/sessions/a/things", "a:record", std::string(64 * 1024 + 1, 'x'));
  EXPECT_EQ(large.status, 413);
  EXPECT_EQ(Json::parse(large.body)["code"], "limit_exceeded");
  EXPECT_EQ(raw("POST /v1/sessions/a/things HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n").status, 413);
  EXPECT_EQ(raw("POST /v1/sessions/a/things HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n" +
                std::string(0x20000, 'x') + "\r\n0\r\n\r\n").status, 413);
  EXPECT_EQ(raw("GET /healthz HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n").status, 431);
  EXPECT_EQ(raw("POST /v1/sessions/a/things HTTP/1.1\r\nContent-Length: -1\r\n\r\n").status, 400);
}

TEST_F(HttpServerTest, a_request_that_does_not_end_is_answered_408_and_silence_is_closed_without_a_word) {
  const Reply body = raw("POST /v1/sessions/a/things HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(body.status, 408);
  EXPECT_EQ(Json::parse(body.body)["code"], "timeout");
  EXPECT_EQ(raw("GET /heal").status, 408);
  EXPECT_EQ(raw("").head, "");
}

TEST_F(HttpServerTest, connections_have_a_limit_per_address_and_one_in_total) {
  on_control([&] {
    HttpLimits limits;
    limits.connections_per_address = 2;
    limits.connections = 3;
    small_ = HttpServer::listen(control_, {Address::v4(127, 0, 0, 1, 0)}, "", "", routes_, drops_, limits).value();
    small_->start();
  });
  asio::io_context io;
  std::vector<asio::ip::tcp::socket> open;
  const auto is_served = [&](std::uint8_t host) {
    asio::ip::tcp::socket socket(io, {asio::ip::address_v4({127, 0, 0, host}), 0});
    socket.connect({asio::ip::address_v4::loopback(), small_->port()});
    boost::system::error_code error;
    asio::write(socket, asio::buffer(std::string("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")), error);
    char first = 0;
    const bool served = asio::read(socket, asio::buffer(&first, 1), error) == 1;
    if (served) open.push_back(std::move(socket));
    return served;
  };
  EXPECT_TRUE(is_served(1));
  EXPECT_TRUE(is_served(1));
  EXPECT_FALSE(is_served(1)) << "the third of one address";
  EXPECT_TRUE(is_served(2));
  EXPECT_FALSE(is_served(3)) << "the fourth of all";
  on_control([&] {
    EXPECT_EQ(drops_[Drop::connection_address_limit], 1u);
    EXPECT_EQ(drops_[Drop::connection_limit], 1u);
    EXPECT_EQ(small_->connections(), 3u);
  });
  open.clear();
  bool room = false;
  for (int i = 0; i < 10'000 && !room; ++i) room = is_served(1);
  EXPECT_TRUE(room) << "who goes makes room";
}

TEST_F(HttpServerTest, who_asks_too_often_is_answered_429_and_nobody_else) {
  constexpr int kRequests = 4300;
  const auto request = [](const char* token) { return std::string("GET /v1/sessions/a/things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ") + token + "\r\n"; };
  std::string flood;
  for (int i = 1; i < kRequests; ++i) flood += request("a:") + "\r\n";
  flood += request("a:") + "Connection: close\r\n\r\n";
  const std::string all = raw(flood).all;
  const auto times = [&](const std::string& status) {
    int n = 0;
    for (std::size_t at = 0; (at = all.find("HTTP/1.1 " + status, at)) != all.npos; ++at) ++n;
    return n;
  };
  EXPECT_EQ(times("200") + times("429"), kRequests);
  EXPECT_GE(times("200"), 200);
  EXPECT_GT(times("429"), 0);
  EXPECT_EQ(ask("GET", "/v1/sessions/b/things", "b:").status, 200) << "another session's";
  on_control([&] { EXPECT_EQ(drops_[Drop::http_rate_limited], static_cast<std::uint64_t>(times("429"))); });
}

TEST_F(HttpServerTest, a_connection_is_used_again_after_a_post) {
  const std::string post = "POST /v1/sessions/a/things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a:record\r\nContent-Length: 3\r\n\r\nabc";
  const Reply both = raw(post + "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(both.status, 202);
  EXPECT_NE(both.body.find("HTTP/1.1 200"), std::string::npos) << both.body;
}

}  // namespace
}  // namespace amphi::server
