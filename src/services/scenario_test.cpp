// Runs the stories of protocol/scenarios/services against the client machine; their README is this file's specification.
#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "services/client.h"

namespace amphi::services {
namespace {

using Json = nlohmann::json;

/// `unit()` is always the given value (to 2^-32); the low bits count, so that ids differ.
class FixedRandom final : public Random {
 public:
  explicit FixedRandom(double value) : high_(static_cast<std::uint64_t>(value * 4294967296.0) << 32) {}
  void fill(MutableBytes out) override {
    const std::uint64_t word = high_ | (count_ = (count_ * 1664525 + 1013904223) & 0xFFFFFFFF);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(word >> (56 - 8 * (i % 8)));
  }

 private:
  std::uint64_t high_;
  std::uint64_t count_ = 1;
};

struct Stamped {
  std::int64_t at_ms;
  ClientOutput output;
};

class Runner {
 public:
  explicit Runner(const Json& scenario)
      : random_(scenario.value("random", 0.5)),
        client_({scenario.value("token", "token-1"), {}, scenario.value("mayRecord", true)}, random_) {}

  void run(const Json& steps) {
    for (std::size_t i = 0; i < steps.size() && !::testing::Test::HasFatalFailure(); ++i) {
      SCOPED_TRACE("step " + std::to_string(i + 1) + ": " + steps[i].dump());
      step(steps[i]);
    }
    EXPECT_TRUE(queue_.empty()) << "at the end something is left over: " << front();
  }

 private:
  Time now() const { return Time{} + milliseconds(now_ms_); }

  void drain() {
    while (auto output = client_.poll_output()) {
      const auto* text = std::get_if<ClientSendText>(&*output);
      if (text != nullptr && Json::parse(text->text).at("type") == "ping") {
        ++pings_;
      } else {
        queue_.push_back({now_ms_, std::move(*output)});
      }
    }
  }

  void advance(std::int64_t to) {
    ASSERT_GE(to, now_ms_);
    for (int guard = 0; client_.next_timeout() <= Time{} + milliseconds(to); ++guard) {
      ASSERT_LT(guard, 10000) << "the machine's deadline does not move";
      now_ms_ = std::max(now_ms_, to_ms(client_.next_timeout() - Time{}));
      client_.handle_timeout(now());
      drain();
    }
    now_ms_ = to;
  }

  void step(const Json& s) {
    if (s.contains("at")) advance(s.at("at").get<std::int64_t>());
    if (s.contains("do")) {
      ASSERT_TRUE(queue_.empty()) << "unexpected: " << front();
      act(s.at("do").get<std::string>(), s);
      drain();
    } else {
      check(s.at("expect").get<std::string>(), s);
    }
  }

  void act(const std::string& what, const Json& s) {
    if (what == "sessionConnected") return client_.session_connected(s.at("participantId"), now());
    if (what == "sessionClosed") return client_.session_closed(now());
    if (what == "setToken") return client_.set_token(s.at("token"));
    if (what == "connectionOpened") return client_.connection_opened(now());
    if (what == "connectionFailed") return client_.connection_failed({ErrorCode::disconnected, "no way"}, now());
    if (what == "connectionClosed") {
      std::optional<Error> error;
      if (s.contains("error")) error = Error{error_code_from_wire(s.at("error").get<std::string>()), "gone"};
      return client_.connection_closed(error, now());
    }
    if (what == "wake") {
      now_ms_ = s.at("until").get<std::int64_t>();
      return client_.handle_timeout(now());
    }
    if (what == "receive") return client_.handle_message(replaced(s.at("message")).dump(), now());
    if (what == "receiveText") return client_.handle_message(s.at("text").get<std::string>(), now());
    const bool marker = what == "addMarker";
    ASSERT_TRUE(marker || what == "requestRecording") << what;
    const auto result = marker ? client_.add_marker(s.at("label"), now()) : client_.request_recording(s.at("on"), now());
    EXPECT_EQ(result ? "ok" : std::string(wire_name(result.error().code)), s.at("result"));
  }

  void check(const std::string& what, const Json& s) {
    if (what == "nothing") {
      ASSERT_TRUE(queue_.empty()) << "unexpected: " << front();
    } else if (what == "connected") {
      EXPECT_EQ(client_.connected(), s.at("value").get<bool>());
    } else if (what == "state") {
      check_state(client_.state(now()), s);
    } else if (what == "pings") {
      EXPECT_EQ(pings_, s.at("count").get<int>());
      pings_ = 0;
    } else if (what == "drops") {
      EXPECT_EQ(client_.drops()[ClientDrop::unexpected], s.at("unexpected").get<std::uint64_t>());
    } else {
      ASSERT_FALSE(queue_.empty()) << "nothing came out";
      EXPECT_EQ(queue_.front().at_ms, now_ms_) << "it came at another time";
      SCOPED_TRACE("came out: " + front());
      const ClientOutput output = std::move(queue_.front().output);
      queue_.pop_front();
      check_output(what, s, output);
    }
  }

  void check_output(const std::string& what, const Json& s, const ClientOutput& output) {
    if (what == "openConnection") {
      ASSERT_TRUE(std::holds_alternative<OpenConnection>(output));
    } else if (what == "closeConnection") {
      ASSERT_TRUE(std::holds_alternative<ClientCloseConnection>(output));
    } else if (what == "send") {
      const auto* text = std::get_if<ClientSendText>(&output);
      ASSERT_NE(text, nullptr);
      const Json sent = Json::parse(text->text);
      for (const auto& [key, value] : s.at("message").items()) {
        ASSERT_TRUE(sent.contains(key)) << key;
        bind(value, sent.at(key));
        EXPECT_EQ(sent.at(key), replaced(value)) << key;
      }
    } else {
      ASSERT_EQ(what, "event");
      check_event(s.at("event").get<std::string>(), s, output);
    }
  }

  void check_event(const std::string& name, const Json& s, const ClientOutput& output) {
    if (name == "servicesConnected") {
      ASSERT_TRUE(std::holds_alternative<ServicesConnected>(output));
    } else if (name == "servicesDisconnected") {
      const auto* event = std::get_if<ServicesDisconnected>(&output);
      ASSERT_NE(event, nullptr);
      if (s.contains("error")) { EXPECT_EQ(code_of(event->error), s.at("error")); }
    } else if (name == "markerAdded") {
      const auto* event = std::get_if<MarkerAdded>(&output);
      ASSERT_NE(event, nullptr);
      const Marker& marker = event->marker;
      check_fields({{"recordingId", marker.recording_id}, {"atMs", marker.at_ms}, {"label", marker.label}, {"by", marker.by}}, s.at("marker"));
    } else {
      ASSERT_EQ(name, "recordingStateChanged");
      const auto* event = std::get_if<RecordingStateChanged>(&output);
      ASSERT_NE(event, nullptr);
      if (s.contains("state")) check_state(event->state, s.at("state"));
    }
  }

  void check_state(const RecordingState& state, const Json& expected) {
    Json warnings = Json::array(), feeds = Json::array();
    for (const Warning& warning : state.warnings) warnings.push_back(warning.code);
    for (const FeedState& feed : state.feeds) feeds.push_back(feed.feed_id + ":" + (feed.recorded ? "recorded" : feed.reason));
    check_fields({{"on", state.on},
                  {"updatePending", state.update_pending},
                  {"revision", state.revision},
                  {"recordingId", state.recording_id},
                  {"changedBy", state.changed_by},
                  {"error", code_of(state.error)},
                  {"totalMs", state.total_running_duration_ms(now())},
                  {"waitingForMedia", state.waiting_for_media},
                  {"preRollMs", state.pre_roll_ms},
                  {"warning", state.warning() ? Json(state.warning()->code) : Json(nullptr)},
                  {"warnings", warnings},
                  {"feeds", feeds}},
                 expected);
  }

  void check_fields(const Json& actual, const Json& expected) {
    for (const auto& [key, value] : expected.items()) {
      if (key == "expect" || key == "at") continue;
      ASSERT_TRUE(actual.contains(key)) << key;
      EXPECT_EQ(actual.at(key), replaced(value)) << key;
    }
  }

  static Json code_of(const std::optional<Error>& error) { return error ? Json(wire_name(error->code)) : Json(nullptr); }

  static bool is_variable(const Json& value) {
    return value.is_string() && value.get_ref<const std::string&>().rfind('$', 0) == 0;
  }

  void bind(const Json& variable, const Json& value) {
    if (!is_variable(variable) || variables_.contains(variable)) return;
    for (const auto& [name, other] : variables_) EXPECT_NE(other, value) << name << " has the same value";
    variables_[variable] = value;
  }

  Json replaced(Json value) const {
    if (is_variable(value)) {
      const auto found = variables_.find(value.get<std::string>());
      return found == variables_.end() ? value : found->second;
    }
    if (value.is_structured()) {
      for (auto& inner : value) inner = replaced(inner);
    }
    return value;
  }

  std::string front() const {
    if (queue_.empty()) return "nothing";
    static constexpr const char* kNames[] = {"openConnection",       "send ",     "closeConnection", "servicesConnected",
                                             "servicesDisconnected", "recordingStateChanged", "markerAdded"};
    const ClientOutput& output = queue_.front().output;
    std::string text = std::to_string(queue_.front().at_ms) + " ms " + kNames[output.index()];
    if (const auto* sent = std::get_if<ClientSendText>(&output)) text += sent->text;
    return text;
  }

  FixedRandom random_;
  Client client_;
  std::int64_t now_ms_ = 0;
  int pings_ = 0;
  std::deque<Stamped> queue_;
  std::map<std::string, Json> variables_;
};

TEST(Scenarios, all_stories_of_the_protocol_folder_hold) {
  const std::filesystem::path folder = AMPHI_SOURCE_DIR "/protocol/scenarios/services";
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream file(entry.path());
    for (const Json& scenario : Json::parse(file)) {
      SCOPED_TRACE(entry.path().filename().string() + ": " + scenario.at("name").get<std::string>());
      Runner(scenario).run(scenario.at("steps"));
      ++count;
    }
  }
  EXPECT_GE(count, 60);
}

}  // namespace
}  // namespace amphi::services
