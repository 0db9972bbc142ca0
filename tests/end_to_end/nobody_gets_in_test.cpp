// Proof 6: only a valid token gets in, only to its session, only to what its grants say. Every liar is told so in clear words, and
// leaves no trace in the session.
#include <gtest/gtest.h>


#include "base/random.h"
#include "dtls/transport.h"
#include "faults.h"
#include "peer/peer.h"
#include "raw_client.h"
#include "runtime/clock.h"
#include "runtime/media_loop.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

const std::string kSignalling = "/v1/sessions/theatre/signalling";
const std::string kServices = "/v1/sessions/theatre/services";

nlohmann::json join(const std::string& token) { return {{"type", "join"}, {"version", 1}, {"token", token}}; }

/// One who is properly in the session and sees what others leave there.
struct Witness {
  explicit Witness(ServerProcess& server) : probe(server.session_url("theatre"), server.token("theatre", "witness")) {}
  void expect_no_trace() {
    EXPECT_TRUE(probe->participants().empty()) << probe->participants().front().identity;
    EXPECT_TRUE(probe->feeds().empty());
    EXPECT_FALSE(probe->sessionRecordingState().on);
  }
  SessionProbe probe;
};

TEST(NobodyGetsIn, without_a_valid_token_for_this_session) {
  ServerProcess server;
  Witness witness(server);
  ASSERT_TRUE(witness.probe.connect());
  const std::string good = server.token("theatre", "surgeon");
  const std::size_t dot = good.rfind('.');
  // The shortest life that the tool gives; past its end by the time it is used (RFC 7519 4.1.4 counts whole seconds).
  const std::string expired = server.token("theatre", "surgeon", "publish,subscribe,record", 1);
  const auto until = std::chrono::steady_clock::now() + 2500ms;
  witness.probe.wait([&] { return std::chrono::steady_clock::now() > until; });
  std::string falsified = good;
  falsified[dot + 5] = falsified[dot + 5] == 'A' ? 'B' : 'A';
  const std::string body = good.substr(good.find('.'), dot - good.find('.'));
  struct Row {
    const char* what;
    std::string token;
  };
  const Row rows[] = {
      {"no token", ""},
      {"expired", expired},
      {"another session's", server.token("other", "surgeon")},
      {"falsified signature", falsified},
      {"no signature", good.substr(0, dot + 1)},
      {"algorithm none", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0" + body + "."},
      {"noise", "not.a.token"},
      {"huge", std::string(100'000, 'A')},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    RawClient signalling(server.port(), kSignalling);
    signalling.send(join(row.token));
    const auto refused = signalling.receive_type("error");
    ASSERT_TRUE(refused);
    EXPECT_TRUE(refused->at("code") == "unauthorized" || refused->at("code") == "malformed") << *refused;
    EXPECT_GT(refused->at("message").get<std::string>().size(), 8u);
    EXPECT_TRUE(refused->at("fatal"));
    EXPECT_TRUE(signalling.closed());
    RawClient services(server.port(), kServices);
    services.send({{"type", "hello"}, {"version", 1}, {"token", row.token}, {"participantId", witness.probe->participantId()}});
    const auto unserved = services.receive_type("error");
    ASSERT_TRUE(unserved);
    // The services' messages are short: what is too long for one is not even looked at.
    const bool huge = row.token.size() > 4000;
    EXPECT_TRUE(unserved->at("code") == (huge ? "limit_exceeded" : "unauthorized") || (row.token.empty() && unserved->at("code") == "malformed")) << *unserved;
    EXPECT_TRUE(unserved->at("fatal"));
    EXPECT_TRUE(services.closed());
    const int status = http(server.port(), "GET", "/v1/sessions/theatre/recordings", row.token.size() < 4000 ? row.token : "x").status;
    EXPECT_TRUE(status == 401 || status == 403) << status;
  }
  witness.expect_no_trace();
}

TEST(NobodyGetsIn, the_sdk_tells_an_application_why_it_was_refused) {
  ServerProcess server;
  SessionProbe intruder(server.session_url("theatre"), server.token("other", "intruder"));
  intruder->connect();
  ASSERT_TRUE(intruder.wait([&] { return intruder.happened().disconnected == 1; }));
  EXPECT_EQ(intruder.happened().disconnect_error, Errc::unauthorized) << intruder.happened().disconnect_error.message();
  EXPECT_EQ(intruder.happened().connected, 0);
}

TEST(NobodyGetsIn, grants_are_kept_for_recording_publishing_and_somebody_elses_services) {
  ServerProcess server;
  SessionProbe viewer(server.session_url("theatre"), server.token("theatre", "viewer", "subscribe"));
  ASSERT_TRUE(viewer.connect());
  const auto refused = viewer->requestSessionRecording(true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), Errc::forbidden);
  // The server refuses too, for a client that does not look at its own grants.
  RawClient services(server.port(), kServices);
  services.send({{"type", "hello"}, {"version", 1}, {"token", server.token("theatre", "viewer", "subscribe")}, {"participantId", viewer->participantId()}});
  ASSERT_TRUE(services.receive_type("welcome"));
  services.send({{"type", "recording.request"}, {"requestId", "r1"}, {"on", true}});
  const auto response = services.receive_type("recording.response");
  ASSERT_TRUE(response);
  EXPECT_FALSE(response->at("ok"));
  EXPECT_EQ(response->at("error").at("code"), "forbidden");
  EXPECT_FALSE(viewer->sessionRecordingState().on);
  // A token of another identity does not open this participant's services.
  RawClient other(server.port(), kServices);
  other.send({{"type", "hello"}, {"version", 1}, {"token", server.token("theatre", "surgeon")}, {"participantId", viewer->participantId()}});
  EXPECT_TRUE(other.receive_type("error"));
  // No publish grant.
  RawClient publisher(server.port(), kSignalling);
  publisher.send(join(server.token("theatre", "quiet", "subscribe")));
  ASSERT_TRUE(publisher.receive_type("joined"));
  publisher.send({{"type", "publishOffer"}, {"sdp", "v=0\r\n"}, {"feeds", nlohmann::json::array()}});
  const auto error = publisher.receive_type("error");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->at("code"), "forbidden");
}

TEST(NobodyGetsIn, malformed_messages_get_an_error_and_disturb_nobody) {
  ServerProcess server;
  Witness witness(server);
  ASSERT_TRUE(witness.probe.connect());
  const std::string token = server.token("theatre", "surgeon");
  const std::string before_join[] = {"", "{", "[]", "null", "{}", "{\"type\":7}", "{\"type\":\"join\"}", "{\"type\":\"join\",\"version\":99,\"token\":\"x\"}",
                                     std::string("{\"type\":\"join\",\0\"}", 18), std::string(50'000, '[')};
  for (const auto& text : before_join) {
    SCOPED_TRACE(text.substr(0, 40));
    RawClient client(server.port(), kSignalling);
    client.send_text(text);
    EXPECT_TRUE(client.receive_type("error"));
    EXPECT_TRUE(client.closed()) << "before a join every mistake is fatal";
  }
  {
    RawClient binary(server.port(), kSignalling);
    binary.send_binary("\x01\x02");
    EXPECT_TRUE(binary.closed());
    RawClient huge(server.port(), kSignalling);
    huge.send_text(std::string(2'000'000, 'x'));
    EXPECT_TRUE(huge.closed());
    RawClient silent(server.port(), kSignalling);
    EXPECT_TRUE(silent.closed()) << "who says nothing for 5 s is let go";
  }
  RawClient client(server.port(), kSignalling);
  client.send(join(token));
  ASSERT_TRUE(client.receive_type("joined"));
  const nlohmann::json after_join[] = {
      {{"type", "publishOffer"}},
      {{"type", "publishOffer"}, {"sdp", 7}, {"feeds", nlohmann::json::array()}},
      {{"type", "publishOffer"}, {"sdp", "garbage"}, {"feeds", nlohmann::json::array()}},
      {{"type", "subscribeAnswer"}, {"offerId", 99}, {"sdp", "v=0\r\n"}},
      {{"type", "nonsense"}},
      join(token),
  };
  for (const auto& message : after_join) {
    SCOPED_TRACE(message.dump());
    client.send(message);
    const auto error = client.receive_type("error");
    ASSERT_TRUE(error);
    EXPECT_FALSE(error->at("message").get<std::string>().empty());
  }
  client.send({{"type", "leave"}});
  EXPECT_TRUE(witness.probe.wait([&] { return witness.probe->participants().empty(); }));
  witness.expect_no_trace();
}

/// A client on the real transport, which announces a fingerprint that is not its certificate's.
class Liar final : public runtime::MediaHandler {
 public:
  Liar() : certificate_(dtls::Certificate::generate().value()), other_(dtls::Certificate::generate().value()) {
    loop_ = runtime::MediaLoop::create("liar", {Address::v4(127, 0, 0, 1, 0)}, *this).value();
    peer_ = std::make_unique<peer::Peer>(peer::Config{peer::End::client, loop_->local_addresses(), certificate_, "liar"}, random_);
    peer_->add_line({"", {rtp::CodecName::vp8, 90'000, 0, ""}, "s", "t"});
  }
  std::string offer() {
    std::string sdp = peer_->create_offer(runtime::now());
    const std::string truth = certificate_->fingerprint().value, lie = other_->fingerprint().value;
    for (std::size_t at = 0; (at = sdp.find(truth, at)) != std::string::npos;) sdp.replace(at, lie.size(), lie);
    return sdp;
  }
  void answer(const std::string& sdp) {
    ASSERT_TRUE(peer_->accept_answer(sdp, runtime::now()));
    loop_->start();
  }
  void handle_datagrams(std::span<Datagram> in, SendBatch& out, Time now) override {
    for (auto& datagram : in) peer_->handle_input(datagram, now);
    drain(out);
  }
  void handle_timeout(SendBatch& out, Time now) override {
    peer_->handle_timeout(now);
    drain(out);
  }
  Time next_timeout() const noexcept override { return peer_->next_timeout(); }

 private:
  void drain(SendBatch& out) {
    while (auto output = peer_->poll_output())
      if (const auto* transmit = std::get_if<Transmit>(&*output)) out.send(*transmit);
  }
  runtime::SystemRandom random_;
  std::shared_ptr<const dtls::Certificate> certificate_, other_;
  std::unique_ptr<peer::Peer> peer_;
  std::unique_ptr<runtime::MediaLoop> loop_;
};

TEST(NobodyGetsIn, a_client_whose_fingerprint_is_false_is_thrown_out) {
  ServerProcess server;
  Witness witness(server);
  ASSERT_TRUE(witness.probe.connect());
  Liar liar;
  RawClient signalling(server.port(), kSignalling);
  signalling.send(join(server.token("theatre", "liar")));
  ASSERT_TRUE(signalling.receive_type("joined"));
  signalling.send({{"type", "publishOffer"}, {"sdp", liar.offer()}, {"feeds", {{{"mid", "0"}, {"kind", "video"}, {"label", "lie"}}}}});
  const auto answer = signalling.receive_type("publishAnswer");
  ASSERT_TRUE(answer);
  liar.answer(answer->at("sdp"));
  const auto error = signalling.receive_type("error");
  ASSERT_TRUE(error) << server.log();
  EXPECT_EQ(error->at("code"), "fingerprint_mismatch");
  EXPECT_TRUE(error->at("fatal"));
  EXPECT_TRUE(signalling.closed());
  EXPECT_TRUE(witness.probe.wait([&] { return witness.probe->participants().empty() && witness.probe->feeds().empty(); }));
  witness.expect_no_trace();
}

/// The server's fingerprint, learnt the way anybody can. Both transports show the same certificate.
std::string fingerprint_of(const ServerProcess& server) {
  RawClient client(server.port(), kSignalling);
  client.send(join(server.token("theatre", "curious")));
  if (!client.receive_type("joined")) return {};
  Liar someone;
  client.send({{"type", "publishOffer"}, {"sdp", someone.offer()}, {"feeds", nlohmann::json::array()}});
  const auto answer = client.receive_type("publishAnswer");
  client.send({{"type", "leave"}});
  if (!answer) return {};
  const std::string sdp = answer->at("sdp");
  return sdp.substr(sdp.find("a=fingerprint:sha-256 ") + 22, 95);
}

class FalseFingerprint : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Ends, FalseFingerprint, ::testing::Values(true, false), [](const auto& row) { return row.param ? "publishing" : "subscribing"; });

TEST_P(FalseFingerprint, of_a_server_is_found_out_by_the_sdk_before_any_media) {
  ServerProcess server;
  Relay relay(server.port());
  const std::string truth = fingerprint_of(server);
  ASSERT_EQ(truth.size(), 95u);
  relay.falsify(truth, truth.substr(0, 92) + (truth.substr(92, 2) == "00" ? "11" : "00") + truth.substr(94));
  SessionProbe victim("http://127.0.0.1:" + std::to_string(relay.port()) + "/s/theatre", server.token("theatre", "victim"));
  SessionProbe other(server.session_url("theatre"), server.token("theatre", "other"));
  ASSERT_TRUE(victim.connect());
  ASSERT_TRUE(other.connect());
  SessionProbe& publisher = GetParam() ? victim : other;
  const auto sent = publisher->addOutgoingVideoFeed("camera", {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 300'000, 320, 240, 15}});
  std::shared_ptr<Feed> feed = sent;
  if (!GetParam()) {
    const auto told = [&] { return !victim.happened().feeds.empty() || victim.happened().disconnected == 1; };
    ASSERT_TRUE(victim.wait(told, 15s)) << server.log();
    const auto feeds = victim.happened().feeds;
    if (!feeds.empty()) feed = victim->subscribeVideoFeed(feeds[0].id, VideoOutputComponentNull{});
  }
  ASSERT_TRUE(victim.wait([&] { return victim.happened().disconnected == 1; }, 15s));
  EXPECT_EQ(victim.happened().disconnect_error, Errc::fingerprintMismatch) << victim.happened().disconnect_error.message();
  if (GetParam() || feed != sent) {
    EXPECT_EQ(feed->statistics().packets, 0u) << "not one packet of media";
  }
}

TEST(NobodyGetsIn, over_http_to_files_or_folders_that_are_not_theirs) {
  ServerProcess server;
  const std::string token = server.token("theatre", "surgeon");
  EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200);
  EXPECT_EQ(http(server.port(), "GET", "/v1/sessions/theatre/recordings", token).status, 200);
  EXPECT_EQ(http(server.port(), "GET", "/v1/sessions/other/recordings", token).status, 403);
  for (const char* path : {"/v1/sessions/theatre/recordings/../../../../etc/passwd", "/v1/sessions/theatre/recordings/..%2f..%2fetc/passwd",
                           "/v1/sessions/theatre/recordings/rec_x/%2e%2e/manifest.json", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"}) {
    const auto answer = http(server.port(), "GET", path, token);
    EXPECT_GE(answer.status, 400) << path;
    EXPECT_EQ(answer.body.find("root:"), std::string::npos) << path;
  }
}

}  // namespace
}  // namespace amphi::end_to_end
