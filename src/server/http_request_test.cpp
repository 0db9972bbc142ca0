// Which HTTP requests the server understands, and what it says to those that it refuses: hosts, targets, tokens, WebSockets, metrics.
#include "server/test_http_rig.h"

namespace amphi::server {
namespace {

using HttpRequestTest = HttpServerTest;

TEST_F(HttpRequestTest, a_request_names_one_valid_host) {
  const auto with = [&](const std::string& version, const std::string& hosts) { return raw("GET /healthz HTTP/" + version + "\r\nConnection: close\r\n" + hosts + "\r\n"); };
  struct Row {
    const char *version, *hosts;
    int status;
  };
  const Row rows[] = {{"1.1", "Host: media.example\r\n", 200}, {"1.1", "Host: media.example:7880\r\n", 200}, {"1.1", "Host: [2001:db8::1]:80\r\n", 200}, {"1.1", "host: 10.0.0.1\r\n", 200},
                      {"1.1", "", 400}, {"1.1", "Host: a\r\nHost: a\r\n", 400}, {"1.1", "Host: a\r\nhost: b\r\n", 400}, {"1.1", "Host:\r\n", 400}, {"1.1", "Host: a b\r\n", 400},
                      {"1.1", "Host: a/b\r\n", 400}, {"1.1", "Host: a@b\r\n", 400}, {"1.1", "Host: a:port\r\n", 400}, {"1.1", "Host: a:99999\r\n", 400}, {"1.1", "Host: [::1\r\n", 400},
                      {"1.1", "Host: [a]\r\n", 400}, {"1.1", "Host: ::1\r\n", 400}, {"1.1", "Host: a%zz\r\n", 400}, {"1.1", "Host: a%\r\n", 400}, {"1.1", "Host: a%41\r\n", 400},
                      {"1.1", "Host: a,b\r\n", 400}, {"1.1", "Host: *\r\n", 400}, {"1.1", "Host: my_host-1.example\r\n", 200}, {"1.0", "", 200}, {"1.0", "Host: a\r\nHost: b\r\n", 400}};
  for (const auto& row : rows) EXPECT_EQ(with(row.version, row.hosts).status, row.status) << row.version << " " << row.hosts;
  EXPECT_EQ(raw("GET /v1/sessions/a/signalling HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").status, 400);
  on_control([&] { EXPECT_EQ(drops_[Drop::http_host], 19u); });
}

TEST_F(HttpRequestTest, a_target_in_absolute_form_is_answered_as_its_path_and_its_host_counts) {
  const auto status = [&](const std::string& target, const std::string& host) { return raw("GET " + target + " HTTP/1.1\r\nConnection: close\r\nHost: " + host + "\r\n\r\n").status; };
  for (const char* target : {"http://x/healthz", "HTTP://x:7880/healthz", "https://other.example/healthz?a=b"}) EXPECT_EQ(status(target, "x"), 200) << target;
  EXPECT_EQ(status("http://x/v1/sessions/a/things", "x"), 401);
  EXPECT_EQ(status("http://x", "x"), status("/", "x"));
  for (const char* target : {"http:///healthz", "http://a b/healthz", "http://user@x/healthz", "http://[::1/healthz"}) EXPECT_EQ(status(target, "x"), 400) << target;
  EXPECT_EQ(status("http://x/healthz", "a/b"), 200) << "the header does not count";
  EXPECT_EQ(raw("GET http://x/healthz HTTP/1.1\r\nConnection: close\r\n\r\n").status, 400) << "and must be there";
}

TEST_F(HttpRequestTest, the_scheme_of_a_token_has_no_case) {
  const auto status = [&](const std::string& value) { return raw("GET /v1/sessions/a/things HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: " + value + "\r\n\r\n").status; };
  for (const char* value : {"Bearer a:member", "bearer a:member", "BEARER a:member", "Bearer   a:member"}) EXPECT_EQ(status(value), 200) << value;
  for (const char* value : {"Basic a:member", "Bearera:member", "bearer", "Bearer ", "a:member"}) EXPECT_EQ(status(value), 401) << value;
}

TEST_F(HttpRequestTest, pieces_of_a_message_that_does_not_end_are_silence) {
  asio::io_context io;
  asio::ip::tcp::socket socket(io);
  socket.connect({asio::ip::address_v4::loopback(), port_});
  const auto say = [&](const std::string& bytes) { asio::write(socket, asio::buffer(bytes)); };
  const auto hear = [&](const std::string& end) {
    std::string got;
    asio::read_until(socket, asio::dynamic_buffer(got), end);
  };
  const auto frame = [](char first, const std::string& payload) { return std::string{first, static_cast<char>(0x80 | payload.size()), 0, 0, 0, 0} + payload; };
  const std::string pong("\x8a\0", 2);
  const auto last_heard = [&] {
    say(frame('\x89', ""));  // the answer to a ping shows that everything before it was read
    hear(pong);
    Time at{};
    on_control([&] { at = spoken_->last_heard(); });
    return at;
  };
  say("GET /v1/sessions/a/signalling HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
  hear("\r\n\r\n");
  const Time opened = last_heard();
  say(frame('\x01', "a"));
  const Time begun = last_heard();
  EXPECT_GT(begun, opened);
  for (int i = 0; i < 5; ++i) say(frame('\0', "b"));
  EXPECT_EQ(last_heard(), begun);
  say(frame('\x80', "c"));
  hear("whole");
  EXPECT_GT(last_heard(), begun);
}

TEST_F(HttpRequestTest, a_websocket_that_is_refused_is_answered_with_the_fields_of_safety) {
  for (const std::string wrong : {"Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", "Sec-WebSocket-Version: 13\r\n"}) {
    const Reply reply = raw("GET /v1/sessions/a/signalling HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + wrong + "\r\n");
    EXPECT_TRUE(reply.status == 426 || reply.status == 400) << reply.all;
    for (const char* field : {"Content-Security-Policy: default-src 'none'", "X-Content-Type-Options: nosniff", "X-Frame-Options: DENY", "Cache-Control: no-store"})
      EXPECT_NE(reply.head.find(field), std::string::npos) << field << "\n" << reply.head;
  }
}

TEST_F(HttpRequestTest, a_server_for_loopback_only_answers_to_no_other_name) {
  on_control([&] {
    HttpLimits limits;
    limits.loopback_hosts_only = true;
    small_ = HttpServer::listen(control_, {Address::v4(127, 0, 0, 1, 0)}, std::nullopt, routes_, drops_, limits).value();
    small_->start();
  });
  port_ = small_->port();
  const auto status = [&](const std::string& host) { return raw("GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: " + host + "\r\n\r\n").status; };
  for (const char* host : {"localhost", "LOCALHOST:7880", "127.0.0.1:7880", "127.8.0.1", "[::1]:7880", "amphi.localhost"}) EXPECT_EQ(status(host), 200) << host;
  for (const char* host : {"attacker.example", "localhost.attacker.example", "notlocalhost", "10.0.0.1", "127.0.0.1.attacker.example", "[2001:db8::1]"}) EXPECT_EQ(status(host), 421) << host;
}

TEST_F(HttpRequestTest, metrics_are_for_loopback_or_for_whoever_has_their_token) {
  struct Row {
    const char* client;
    const char* header;
    const char* token;  // that is asked for
    bool for_all;
    unsigned status;
  };
  const Row rows[] = {{"127.0.0.1", "", "", false, 200}, {"::1", "", "", false, 200}, {"192.0.2.1", "", "", false, 403}, {"127.0.0.1", "X-Forwarded-For", "", false, 403},
                      {"127.0.0.1", "Forwarded", "", false, 403}, {"127.0.0.1", "x-real-ip", "", false, 403}, {"127.0.0.1", "X-Forwarded-Host", "", false, 403},
                      {"127.0.0.1", "CF-Connecting-IP", "", false, 403}, {"127.0.0.1", "X-Forwarded-Proto", "", false, 403}, {"127.0.0.1", "Via", "", false, 403}, {"127.0.0.1", "X-Request-Id", "", false, 200},
                      {"127.0.0.1", "X-Real-IP", "", true, 200}, {"192.0.2.1", "", "", true, 200}, {"127.0.0.1", "", "0123456789abcdef", false, 401},
                      {"192.0.2.1", "Authorization", "0123456789abcdef", false, 200}, {"192.0.2.1", "Authorization", "0123456789abcdeg", true, 401}};
  for (const auto& row : rows) {
    HttpRoutes::Parts parts;
    parts.drops = &drops_;
    parts.metrics = []() -> asio::awaitable<std::string> { co_return "amphi_up 1\n"; };
    parts.metrics_token = row.token;
    parts.metrics_for_all = row.for_all;
    HttpRoutes routes(std::move(parts));
    if (*row.token) {
      routes.replace_metrics_token("of-before-the-reload");
      routes.replace_metrics_token(row.token);
    }
    HttpRequest request{verb::get, "/metrics", 11};
    if (*row.header) request.set(row.header, std::string(row.header) == "Authorization" ? "bearer 0123456789abcdef" : "198.51.100.1");
    asio::io_context io;
    unsigned status = 0;
    asio::co_spawn(io, [&]() -> asio::awaitable<void> { status = (co_await routes.answer(request, *Address::parse(row.client, 0))).status; }, asio::detached);
    io.run();
    EXPECT_EQ(status, row.status) << row.client << " " << row.header << " " << row.token;
  }
}

TEST_F(HttpRequestTest, no_address_makes_the_page_believe_that_it_may_share_devices_by_itself) {
  for (const char* target : {"/page.json", "/page.json?allowAutopublish=true", "/page.json#allowAutopublish=true"}) {
    const Reply reply = ask("GET", target, "");
    EXPECT_EQ(reply.status, 200) << target;
    EXPECT_EQ(Json::parse(reply.body), (Json{{"allowAutopublish", false}})) << target;
    EXPECT_NE(reply.head.find("no-store"), std::string::npos);
  }
  EXPECT_EQ(ask("POST", "/page.json", "").status, 405);
}

}  // namespace
}  // namespace amphi::server
