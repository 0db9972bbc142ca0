// Who may take places, and who may take them away: many idle connections beside a session that goes on, and the administrator's REST
// (list, mute, remove, close) on the real server, SDK and recording.
#include <gtest/gtest.h>

#include "participant.h"
#include "raw_client.h"
#include "recorded_files.h"

namespace amphi::end_to_end {
namespace {

namespace asio = boost::asio;
using Json = nlohmann::json;

struct Reply {
  int status = 0;
  Json body;
};

class AdmissionTest : public ::testing::Test {
 protected:
  Reply ask(const std::string& method, const std::string& target, const Json& body = nullptr) { return ask_as(admin_, method, target, body); }
  Reply ask_as(const std::string& token, const std::string& method, const std::string& target, const Json& body = nullptr) {
    const auto reply = http(server_.port(), method, target, token, body.is_null() ? "" : body.dump());
    return {reply.status, Json::parse(reply.body, nullptr, false)};
  }
  void join() {
    ASSERT_TRUE(surgeon_.join()) << server_.log();
    ASSERT_TRUE(student_.join()) << server_.log();
    ASSERT_TRUE(student_.sees(1)) << server_.log();
    ASSERT_TRUE(surgeon_.sees(1)) << server_.log();
  }

  ServerProcess server_{{"--connections-total", "60", "--connections-per-address", "30", "--connections-reserved", "10"}};
  const std::string admin_ = server_.token("any", "operator", "admin");
  Participant surgeon_{server_, "127.0.0.1", "surgeon"}, student_{server_, "127.0.0.1", "student"};
};

/// Connections that begin to say this, and no more; from five addresses.
std::vector<std::unique_ptr<asio::ip::tcp::socket>> hoard(asio::io_context& io, int port, int count, const std::string& beginning) {
  std::vector<std::unique_ptr<asio::ip::tcp::socket>> all;
  for (int i = 0; i < count; ++i) {
    auto socket = std::make_unique<asio::ip::tcp::socket>(io, asio::ip::tcp::endpoint(asio::ip::address_v4({127, 0, 1, static_cast<std::uint8_t>(1 + i % 5)}), 0));
    boost::system::error_code ignored;
    socket->connect({asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(port)}, ignored);
    asio::write(*socket, asio::buffer(beginning), ignored);
    all.push_back(std::move(socket));
  }
  return all;
}

TEST_F(AdmissionTest, five_addresses_that_hoard_connections_disturb_nobody) {
  join();
  asio::io_context io;
  const std::string upgrade = "GET /v1/sessions/theatre/signalling HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
  const std::string beginnings[] = {"", "GET /", "POST /v1/sessions/theatre/recording HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n\r\n{", upgrade, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"};
  std::vector<std::vector<std::unique_ptr<asio::ip::tcp::socket>>> hoards;
  for (const auto& beginning : beginnings) hoards.push_back(hoard(io, server_.port(), 150, beginning));
  EXPECT_EQ(http(server_.port(), "GET", "/healthz").status, 200);
  Participant newcomer(server_, "127.0.0.1", "newcomer");
  EXPECT_TRUE(newcomer.join()) << server_.log();
  EXPECT_TRUE(newcomer.sees(2)) << server_.log();
  EXPECT_TRUE(surgeon_.sees_more(10, 10s));
  for (auto* who : {&surgeon_, &student_}) {
    EXPECT_EQ(who->probe.happened().services_disconnected, 0);
    EXPECT_EQ(who->probe.happened().disconnected, 0);
  }
  EXPECT_EQ(http(server_.port(), "GET", "/metrics").status, 200);
}

TEST_F(AdmissionTest, the_administrator_sees_sessions_and_participants_and_nobody_else_does) {
  EXPECT_TRUE(ask("GET", "/v1/sessions").body.at("sessions").empty());
  EXPECT_EQ(ask("GET", "/v1/sessions/theatre/participants").status, 404);
  join();
  const Json sessions = ask("GET", "/v1/sessions").body.at("sessions");
  ASSERT_EQ(sessions.size(), 1u);
  EXPECT_EQ(sessions[0].at("id"), "theatre");
  EXPECT_EQ(sessions[0].at("participants"), 2);
  EXPECT_EQ(sessions[0].at("feeds"), 2);
  EXPECT_EQ(sessions[0].at("recording"), false);
  const Json participants = ask("GET", "/v1/sessions/theatre/participants").body.at("participants");
  ASSERT_EQ(participants.size(), 2u);
  for (const auto& participant : participants) {
    EXPECT_EQ(participant.at("address"), "127.0.0.1");
    EXPECT_EQ(participant.at("present"), true);
    EXPECT_EQ(participant.at("grants"), (Json{"publish", "subscribe", "record"}));
    EXPECT_EQ(participant.at("feeds").at(0).at("muted"), false);
  }
  const std::string member = server_.token("theatre", "surgeon");
  const std::string id = participants[0].at("id"), feed = participants[0].at("feeds")[0].at("id");
  EXPECT_EQ(ask_as(member, "GET", "/v1/sessions").status, 403);
  EXPECT_EQ(ask_as(member, "GET", "/v1/sessions/theatre/participants").status, 403);
  EXPECT_EQ(ask_as(member, "DELETE", "/v1/sessions/theatre/participants/" + id).status, 403);
  EXPECT_EQ(ask_as(member, "POST", "/v1/sessions/theatre/feeds/" + feed, {{"muted", true}}).status, 403);
  EXPECT_EQ(ask_as(member, "DELETE", "/v1/sessions/theatre").status, 403);
  EXPECT_EQ(ask("DELETE", "/v1/sessions/theatre/participants/par_none").status, 404);
  EXPECT_EQ(ask("POST", "/v1/sessions/theatre/feeds/fd_none", {{"muted", true}}).status, 404);
  EXPECT_EQ(ask("POST", "/v1/sessions/theatre/feeds/" + feed, {{"muted", 1}}).status, 400);
  EXPECT_EQ(ask("DELETE", "/v1/sessions/other").status, 404);
  EXPECT_TRUE(surgeon_.sees_more(10, 10s)) << "nothing of this did anything";
}

TEST_F(AdmissionTest, a_muted_feed_is_neither_seen_nor_recorded_until_it_is_heard_again) {
  join();
  RawClient witness(server_.port(), "/v1/sessions/theatre/signalling");
  witness.send({{"type", "join"}, {"version", 1}, {"token", server_.token("theatre", "witness", "subscribe")}});
  ASSERT_TRUE(witness.receive_type("joined"));
  ASSERT_TRUE(surgeon_.probe->requestSessionRecording(true));
  ASSERT_TRUE(surgeon_.probe.wait_recording(true));
  std::string feed;
  const Json participants = ask("GET", "/v1/sessions/theatre/participants").body.at("participants");
  for (const Json& participant : participants)
    if (participant.at("identity") == "surgeon") feed = participant.at("feeds").at(0).at("id");
  ASSERT_TRUE(student_.sees_more(10, 10s));
  const Reply muted = ask("POST", "/v1/sessions/theatre/feeds/" + feed, {{"muted", true}});
  ASSERT_EQ(muted.status, 200) << muted.body;
  EXPECT_EQ(muted.body.at("muted"), true);
  const auto told = witness.receive_type("feedChanged");
  ASSERT_TRUE(told);
  EXPECT_EQ(told->at("feed").at("id"), feed);
  EXPECT_EQ(told->at("feed").at("muted"), true);
  ASSERT_TRUE(surgeon_.sees_more(20, 10s)) << "the other feed goes on";
  const auto frames = student_.incoming[0]->statistics().frames;
  ASSERT_TRUE(surgeon_.sees_more(20, 10s));
  EXPECT_EQ(student_.incoming[0]->statistics().frames, frames) << "nothing arrives";

  ASSERT_EQ(ask("POST", "/v1/sessions/theatre/feeds/" + feed, {{"muted", false}}).body.at("muted"), false);
  EXPECT_TRUE(student_.sees_more(10, 10s)) << "it is there again";
  ASSERT_TRUE(surgeon_.probe->requestSessionRecording(false));
  ASSERT_TRUE(surgeon_.probe.wait_recording(false));
  const Json manifest = read_manifest(server_.recordings() / "theatre" / surgeon_.probe->sessionRecordingState().recordingId);
  std::map<std::string, Json> gaps;
  for (const Json& track : manifest.at("tracks")) gaps[track.at("participantIdentity")] = track.value("gaps", Json::array());
  ASSERT_FALSE(gaps["surgeon"].empty()) << manifest;
  EXPECT_EQ(gaps["surgeon"].at(0).at("reason"), "absent");
  EXPECT_TRUE(gaps["student"].empty()) << gaps["student"];
}

TEST_F(AdmissionTest, a_removed_participant_is_out_for_good_and_the_others_go_on) {
  join();
  const std::string token = server_.token("theatre", "student");
  const std::string student = student_.probe->participantId();
  ASSERT_EQ(ask("DELETE", "/v1/sessions/theatre/participants/" + student).status, 204);
  EXPECT_TRUE(student_.probe.wait([&] { return student_.probe.happened().disconnected == 1; }));
  EXPECT_TRUE(surgeon_.probe.wait([&] { return surgeon_.probe->participants().empty(); }));
  RawClient again(server_.port(), "/v1/sessions/theatre/signalling");
  again.send({{"type", "join"}, {"version", 1}, {"token", token}});
  const auto refused = again.receive_type("error");
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->at("code"), "forbidden");
  EXPECT_EQ(refused->at("fatal"), true);
  EXPECT_EQ(ask_as(token, "POST", "/v1/sessions/theatre/recording", {{"on", true}}).status, 403) << "nor over REST";
  EXPECT_EQ(ask("DELETE", "/v1/sessions/theatre/participants/" + student).status, 404);
  Participant other(server_, "127.0.0.1", "other");
  EXPECT_TRUE(other.join());
  EXPECT_TRUE(other.sees(1)) << "the surgeon's";
  EXPECT_EQ(surgeon_.probe.happened().disconnected, 0);
}

TEST_F(AdmissionTest, a_closed_session_ends_for_everybody_and_its_recording_is_complete) {
  join();
  ASSERT_TRUE(surgeon_.probe->requestSessionRecording(true));
  ASSERT_TRUE(surgeon_.probe.wait_recording(true));
  const std::string id = surgeon_.probe->sessionRecordingState().recordingId;
  ASSERT_TRUE(student_.sees_more(20, 10s));
  ASSERT_EQ(ask("DELETE", "/v1/sessions/theatre").status, 204);
  for (auto* who : {&surgeon_, &student_}) {
    EXPECT_TRUE(who->probe.wait([&] { return who->probe.happened().disconnected == 1; }));
    EXPECT_FALSE(who->probe.happened().disconnect_error) << "graceful";
  }
  const auto folder = server_.recordings() / "theatre" / id;
  EXPECT_TRUE(surgeon_.probe.wait([&] { return read_manifest(folder).at("state") == "complete"; })) << server_.log();
  EXPECT_TRUE(surgeon_.probe.wait([&] { return ask("GET", "/v1/sessions").body.at("sessions").empty(); }));
  Participant again(server_, "127.0.0.1", "surgeon");
  EXPECT_TRUE(again.join()) << "the tokens are still valid";
}

TEST(PlacesInASession, one_identity_has_so_many_as_configured) {
  ServerProcess server({"--participants-per-identity", "2"});
  std::vector<std::unique_ptr<RawClient>> clients;
  const auto join = [&](const std::string& identity) {
    clients.push_back(std::make_unique<RawClient>(server.port(), "/v1/sessions/theatre/signalling"));
    clients.back()->send({{"type", "join"}, {"version", 1}, {"token", server.token("theatre", identity)}});
    const auto answer = clients.back()->receive();
    return answer ? answer->value("code", answer->value("type", "")) : "closed";
  };
  EXPECT_EQ(join("greedy"), "joined");
  EXPECT_EQ(join("greedy"), "joined");
  EXPECT_EQ(join("greedy"), "limit_exceeded");
  EXPECT_EQ(join("good"), "joined");
}

}  // namespace
}  // namespace amphi::end_to_end
