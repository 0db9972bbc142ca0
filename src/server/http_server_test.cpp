// The HTTP server on a real socket: methods, bodies, limits and times.
#include "server/test_http_rig.h"

namespace amphi::server {
namespace {

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
      {"GET", "/v1/sessions/a/files", "a:", 403, "`recordings`"},
      {"GET", "/v1/sessions/a/files", "a:recordings", 200, "{}"},
      {"GET", "/v1/sessions/a/files", "a:record", 200, "{}"},
      {"GET", "/v1/sessions/b/files", "a:recordings", 403, "another session"},
      {"GET", "/v1/sessions/b/files", "a:admin", 200, "{}"},
      {"POST", "/v1/sessions/a/things", "a:recordings", 403, "`record`"},
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

/// A connection that stays open, from any address of loopback.
class Kept {
 public:
  Kept(std::uint16_t port, std::uint8_t host) : socket_(io_, {asio::ip::address_v4({127, 0, 0, host}), 0}) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
  }
  void send(const std::string& bytes) {
    boost::system::error_code error;
    asio::write(socket_, asio::buffer(bytes), error);
  }
  /// The status of the next answer without a body that matters; 0: the server has closed the connection.
  int answer() {
    boost::system::error_code error;
    std::string text;
    const std::size_t size = asio::read_until(socket_, asio::dynamic_buffer(text), "\r\n\r\n", error);
    if (error) return 0;
    std::size_t body = 0;
    if (const auto at = text.find("Content-Length: "); at < size) body = static_cast<std::size_t>(std::atoi(text.c_str() + at + 16));
    if (text.size() - size < body) asio::read(socket_, asio::dynamic_buffer(text), asio::transfer_exactly(body - (text.size() - size)), error);
    return std::atoi(text.c_str() + 9);
  }
  int ask(const std::string& further = "") {
    send("GET /healthz HTTP/1.1\r\nHost: x\r\n" + further + "\r\n");
    return answer();
  }
  int ask_with_token(const std::string& token) {
    send("GET /v1/sessions/a/things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n");
    return answer();
  }

 private:
  asio::io_context io_;
  asio::ip::tcp::socket socket_;
};

TEST_F(HttpServerTest, who_opens_connections_and_says_nothing_makes_room_for_who_asks) {
  serve_few({20, 8, 4, 64});
  std::vector<std::unique_ptr<Kept>> greedy;
  Kept good(small_->port(), 99), member(small_->port(), 98);
  ASSERT_EQ(good.ask(), 200);
  ASSERT_EQ(member.ask_with_token("a:"), 200);
  const char* silence[] = {"", "GET /v1/sess", "POST /v1/sessions/a/things HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab",
                           "GET /v1/sessions/a/signalling HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"};
  for (int i = 0; i < 100; ++i) {
    greedy.push_back(std::make_unique<Kept>(small_->port(), static_cast<std::uint8_t>(1 + i % 5)));
    greedy.back()->send(silence[i % 4]);
  }
  EXPECT_EQ(good.ask(), 200) << "a connection that was there";
  EXPECT_EQ(member.ask_with_token("a:"), 200);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Kept(small_->port(), 97).ask(), 200) << "a new one of an address that has none";
  EXPECT_EQ(Kept(small_->port(), 96).ask_with_token("b:"), 403);
  EXPECT_EQ(good.ask(), 200);
  on_control([&] {
    EXPECT_LE(small_->connections(), 20u);
    EXPECT_GE(drops_[Drop::connection_yielded], 80u);
    EXPECT_EQ(drops_[Drop::connection_limit], 0u);
  });
}

TEST_F(HttpServerTest, connections_with_a_token_are_refused_only_where_their_own_address_or_all_have_too_many) {
  serve_few({4, 2, 1, 64});
  Kept first(small_->port(), 1), second(small_->port(), 1);
  EXPECT_EQ(first.ask_with_token("a:"), 200);
  EXPECT_EQ(second.ask_with_token("a:"), 200);
  EXPECT_EQ(Kept(small_->port(), 1).ask(), 0) << "the third of one address";
  Kept third(small_->port(), 2), fourth(small_->port(), 3);
  EXPECT_EQ(third.ask_with_token("a:"), 200);
  EXPECT_EQ(fourth.ask_with_token("a:"), 200);
  EXPECT_EQ(Kept(small_->port(), 4).ask(), 0) << "the fifth of all";
  on_control([&] {
    EXPECT_EQ(drops_[Drop::connection_address_limit], 1u);
    EXPECT_EQ(drops_[Drop::connection_limit], 1u);
  });
}

TEST_F(HttpServerTest, clients_behind_a_trusted_proxy_count_for_themselves_and_nobody_else_is_believed) {
  serve_few({100, 2, 0, 64}, {"127.0.0.1"});
  const auto forwarded = [](const std::string& client) { return "X-Forwarded-For: " + client + "\r\n"; };
  const std::string held = "POST /v1/sessions/a/things HTTP/1.1\r\nHost: x\r\n";
  std::vector<std::unique_ptr<Kept>> idle;
  for (int i = 0; i < 10; ++i) {
    idle.push_back(std::make_unique<Kept>(small_->port(), 1));
    EXPECT_EQ(idle.back()->ask(forwarded("203.0.113." + std::to_string(i))), 200);
  }
  for (auto& connection : idle) EXPECT_EQ(connection->ask(forwarded("203.0.113.1")), 200) << "none of the proxy's own yields";
  Kept one(small_->port(), 2), two(small_->port(), 2);
  EXPECT_EQ(one.ask(forwarded("203.0.113.1")), 200);
  EXPECT_EQ(two.ask(forwarded("203.0.113.2")), 200);
  Kept three(small_->port(), 2);
  EXPECT_EQ(three.ask(forwarded("203.0.113.3")), 200);
  EXPECT_EQ(one.ask(), 0) << "three of one address, whatever it says";
  on_control([&] { EXPECT_EQ(drops_[Drop::connection_yielded], 1u); });
}

TEST_F(HttpServerTest, the_proxy_protocol_names_the_client_and_only_a_trusted_proxy_may_speak_it) {
  serve_few({100, 2, 0, 64}, {"127.0.0.1"});
  const auto from = [](int client) { return "PROXY TCP4 203.0.113." + std::to_string(client) + " 127.0.0.1 4711 80\r\n"; };
  std::vector<std::unique_ptr<Kept>> kept;
  for (int i = 0; i < 10; ++i) {
    kept.push_back(std::make_unique<Kept>(small_->port(), 1));
    kept.back()->send(from(i / 2));
    EXPECT_EQ(kept.back()->ask(), 200);
  }
  for (auto& connection : kept) EXPECT_EQ(connection->ask(), 200);
  Kept third(small_->port(), 1);
  third.send(from(0));
  EXPECT_EQ(third.ask(), 200);
  EXPECT_EQ(kept[0]->ask(), 0) << "the oldest of the same client";
  EXPECT_EQ(kept[2]->ask(), 200);

  Kept second(small_->port(), 1);
  std::string binary("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x7f\0\0\x01\x12\x67\0\x50", 28);
  second.send(binary.substr(0, 5));
  second.send(binary.substr(5));
  EXPECT_EQ(second.ask("X-Forwarded-For: 203.0.113.0\r\n"), 200) << "version 2, in two pieces";
  Kept broken(small_->port(), 1);
  broken.send("PROXY TCP4 nonsense\r\n");
  EXPECT_EQ(broken.ask(), 0);
  Kept unfinished(small_->port(), 1);
  unfinished.send("PROXY TC");
  EXPECT_EQ(unfinished.answer(), 0) << "in time or not at all";
  Kept liar(small_->port(), 2);
  liar.send(from(9));
  EXPECT_EQ(liar.answer(), 400) << "no trusted proxy";
  on_control([&] { EXPECT_EQ(drops_[Drop::proxy_header_malformed], 1u); });
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
