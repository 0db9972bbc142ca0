// The server machine by itself, as to its connections: whom it greets, hears, limits and closes.
#include "services/server.h"

#include "services/test_server_world.h"

namespace amphi::services {
namespace {

TEST(ServicesServer, greets_with_welcome_and_the_restored_snapshot) {
  World w;
  w.open(1, "Ana");
  ASSERT_EQ(w.inbox[1].size(), 2u);
  EXPECT_EQ(w.inbox[1][0].at("services"), Json::array({"recording"}));
  EXPECT_EQ(w.inbox[1][0].at("heartbeatMs"), 1000);
  EXPECT_EQ(w.inbox[1][1].at("revision"), 1001);
  EXPECT_EQ(w.inbox[1][1].at("recordingId"), "rec_old");
  EXPECT_EQ(w.news(1), (Words{"welcome", "off@5000"}));
}

TEST(ServicesServer, beats_each_second_and_closes_whom_it_has_not_heard_for_10_s) {
  World w;
  w.open_quietly(1, "Ana");
  w.wait(9999ms);
  EXPECT_EQ(w.beats[1].size(), 9u);
  EXPECT_TRUE(w.closed.empty());
  w.open_quietly(2, "Ben");
  w.wait(1ms);
  ASSERT_TRUE(w.closed.contains(1));
  EXPECT_EQ(w.closed[1].code, ErrorCode::timeout);
  EXPECT_EQ(w.news(1), (Words{"error=timeout!"}));
  EXPECT_EQ(w.server.connection_count(), 1u);
  w.receive(1, R"({"type":"ping"})");
  EXPECT_EQ(w.server.drops()[ServerDrop::unknown_connection], 1u);
}

TEST(ServicesServer, answers_pings_and_refuses_what_it_does_not_know) {
  struct Row {
    std::string text;
    Words answer;
  };
  const Row rows[] = {
      {R"({"type":"ping"})", {"pong"}},
      {R"({"type":"pong"})", {}},
      {R"({"type":"recording.pause"})", {"error=unsupported"}},
      {R"({"type":"recording.request","on":1})", {"error=malformed"}},
      {R"({"type":"welcome","version":1,"sessionId":"s","services":[],"heartbeatMs":1000})", {"error=unsupported"}},
      {R"({"type":"hello","version":1,"token":"t","participantId":"p"})", {"error=invalid_state"}},
      {"not json", {"error=malformed"}},
      {"", {"error=malformed"}},
      {"\xff\xfe", {"error=malformed"}},
  };
  World w;
  w.open_quietly(1, "Ana");
  for (const Row& row : rows) {
    w.receive(1, row.text);
    EXPECT_EQ(w.news(1), row.answer) << row.text;
  }
  EXPECT_EQ(w.server.drops()[ServerDrop::malformed], 4u);
  EXPECT_EQ(w.server.drops()[ServerDrop::unknown_type], 2u);
  w.receive(1, std::string(16 * 1024 + 1, ' '));
  EXPECT_EQ(w.news(1), (Words{"error=limit_exceeded!"}));
  EXPECT_EQ(w.closed[1].code, ErrorCode::limit_exceeded);
}

TEST(ServicesServer, more_than_20_messages_a_second_are_refused_and_a_flood_is_closed) {
  World w;
  w.open_quietly(1, "Ana");
  for (int i = 0; i < 40; ++i) w.request(1, "r" + std::to_string(i), false);
  EXPECT_EQ(w.news(1).size(), 40u);
  w.request(1, "more", true);
  EXPECT_EQ(w.news(1), (Words{"more=limit_exceeded"}));
  EXPECT_TRUE(w.starts.empty());
  w.request(1, "r0", false);
  EXPECT_EQ(w.news(1), (Words{"r0=ok"})) << "what was taken is not refused afterwards";
  w.receive(1, R"({"type":"ping"})");
  EXPECT_EQ(w.news(1), (Words{"error=limit_exceeded"}));
  w.wait(100ms);
  w.request(1, "more", true);
  EXPECT_EQ(w.starts.size(), 1u) << "a refused request was not remembered";
  for (int i = 0; i < 300; ++i) w.receive(1, "x");
  EXPECT_EQ(w.closed[1].code, ErrorCode::limit_exceeded);
  EXPECT_GT(w.server.drops()[ServerDrop::rate_limited], 200u);
}

TEST(ServicesServer, close_tells_everybody_and_closes_all) {
  World w;
  w.open_quietly(1, "Ana");
  w.open_quietly(2, "Ben");
  w.server.close("The server restarts.", w.now);
  w.drain();
  EXPECT_EQ(w.news(1), (Words{"closing"}));
  EXPECT_EQ(w.news(2), (Words{"closing"}));
  EXPECT_EQ(w.closed.size(), 2u);
  EXPECT_EQ(w.server.next_timeout(), Time::max());
}

TEST(ServicesServer, the_oldest_of_five_connections_of_one_participant_is_closed) {
  World w;
  w.open(9, "Ben");
  for (ConnectionNumber number = 1; number <= 4; ++number) w.open(number, "Ana");
  EXPECT_TRUE(w.closed.empty());
  w.open(5, "Ana");
  ASSERT_EQ(w.closed.size(), 1u);
  EXPECT_EQ(w.closed.at(1).code, ErrorCode::limit_exceeded);
  EXPECT_EQ(w.server.connection_count(), 5u);
}

}  // namespace
}  // namespace amphi::services
