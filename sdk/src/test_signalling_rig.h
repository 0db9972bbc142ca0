// The signalling client in tests: a client, a clock, and the outputs.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "signalling_client.h"

namespace amphi::sdk::signalling {

using Json = nlohmann::json;

/// A client, a clock, and what came out.
struct Rig {
  explicit Rig(bool reconnect = true) : client({"tok", "test 1", reconnect}, random) {}
  SeededRandom random{1};
  Client client;
  Time now{1h};
  std::vector<Output> out;

  void drain() {
    while (auto o = client.poll_output()) out.push_back(std::move(*o));
  }
  template <class T>
  std::vector<T> take() {
    drain();
    std::vector<T> found;
    for (auto& o : out)
      if (auto* v = std::get_if<T>(&o)) found.push_back(*v);
    std::erase_if(out, [](const Output& o) { return std::holds_alternative<T>(o); });
    return found;
  }
  std::vector<Json> sent() {
    std::vector<Json> messages;
    for (auto& s : take<SendText>()) messages.push_back(Json::parse(s.text));
    return messages;
  }
  void hear(const Json& message) { client.handle_message(message.dump(), now); }
  void run(Duration d) {  // exactly from deadline to deadline
    const Time end = now + d;
    while (client.next_timeout() <= end) {
      now = std::max(now, client.next_timeout());
      client.handle_timeout(now);
    }
    now = end;
  }
  static Json feed(const char* id, const char* owner) {
    return {{"id", id}, {"kind", "video"}, {"label", "cam"}, {"participantId", owner}, {"codec", "VP8"}};
  }
  static Json joined(bool resumed = false, const char* resume = "r1", Json participants = Json::array()) {
    return {{"type", "joined"}, {"version", 1}, {"sessionId", "ses"}, {"participantId", "par_me"}, {"identity", "Ann"},
            {"grants", {"publish", "subscribe"}}, {"resumeToken", resume}, {"resumed", resumed}, {"resumeWindowMs", 30000},
            {"participants", std::move(participants)}};
  }
  void join(Json message = joined()) {
    client.connect(now);
    EXPECT_EQ(take<OpenConnection>().size(), 1u);
    client.connection_opened(now);
    const auto messages = sent();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0]["type"], "join");
    EXPECT_EQ(messages[0]["token"], "tok");
    EXPECT_FALSE(messages[0].contains("resumeToken"));
    hear(message);
    EXPECT_EQ(take<Joined>().size(), 1u);
    EXPECT_EQ(sent().at(0)["type"], "ping") << "acknowledges the join";
  }
  /// Until the machine wants a connection. False: it does not within `limit`.
  bool reopen(Duration limit = 10s) {
    const Time until = now + limit;
    while (take<OpenConnection>().empty()) {
      if (client.next_timeout() > until) return false;
      now = std::max(now, client.next_timeout());
      client.handle_timeout(now);
    }
    return true;
  }
  void refuse() { client.connection_failed({ErrorCode::disconnected, "refused"}, now); }
  Json answer_join(const Json& message) {  // gives the `join` that was sent
    client.connection_opened(now);
    const auto messages = sent();
    hear(message);
    return messages.empty() ? Json() : messages.back();
  }
  static Json fatal(const char* code) { return {{"type", "error"}, {"code", code}, {"message", "why"}, {"fatal", true}}; }
};

}  // namespace amphi::sdk::signalling
