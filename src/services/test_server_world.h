// For tests of the server end: one session, everything that it sent, and what it asked its owner for, in virtual time.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/server.h"

namespace amphi::services {

using Json = nlohmann::json;

/// One ServerSession, what it sent to each connection (pongs and beats apart), and what it asked its owner for.
struct World {
  SeededRandom random{1};
  ServerSession server{SessionId("ses_1"), Restored{1000, 5000, "rec_old"}, random};
  Time now = Time{} + 1h;
  std::map<ConnectionNumber, std::vector<Json>> inbox;
  std::map<ConnectionNumber, std::vector<Json>> beats;
  std::map<ConnectionNumber, Error> closed;
  std::vector<StartRecording> starts;
  std::vector<StopRecording> stops;
  std::vector<ForgetRecording> forgets;
  std::vector<AddMarker> markers;
  bool say_waiting = false;  // "?" behind the total

  void drain() {
    while (auto output = server.poll_output()) {
      if (auto* text = std::get_if<SendText>(&*output)) {
        EXPECT_FALSE(closed.contains(text->connection)) << "sent after the close: " << text->text;
        Json json = Json::parse(text->text);
        (json.at("type") == "beat" ? beats : inbox)[text->connection].push_back(std::move(json));
      } else if (auto* close = std::get_if<CloseConnection>(&*output)) {
        closed[close->connection] = close->reason;
      } else if (auto* start = std::get_if<StartRecording>(&*output)) {
        starts.push_back(*start);
      } else if (auto* marker = std::get_if<AddMarker>(&*output)) {
        markers.push_back(*marker);
      } else if (auto* forget = std::get_if<ForgetRecording>(&*output)) {
        forgets.push_back(*forget);
      } else {
        stops.push_back(std::get<StopRecording>(*output));
      }
    }
  }
  void open(ConnectionNumber number, const std::string& who, bool may_record = true) {
    server.connection_opened(number, Caller{ParticipantId("par_" + who), who, may_record}, now);
    drain();
  }
  void open_quietly(ConnectionNumber number, const std::string& who, bool may_record = true) {
    open(number, who, may_record);
    inbox[number].clear();
  }
  void receive(ConnectionNumber from, const std::string& text) {
    server.handle_message(from, text, now);
    drain();
  }
  void request(ConnectionNumber from, const std::string& id, bool on) {
    receive(from, Json{{"type", "recording.request"}, {"requestId", id}, {"on", on}}.dump());
  }
  void mark(ConnectionNumber from, const std::string& id, const std::string& label) {
    receive(from, Json{{"type", "recording.marker.add"}, {"requestId", id}, {"label", label}}.dump());
  }
  void started() {
    server.recording_started(starts.back().id, now, now);
    drain();
  }
  void finished(Duration duration, std::optional<Error> error = {}) {
    server.recording_finished(starts.back().id, duration, std::move(error), now);
    drain();
  }
  void forgotten(std::optional<Error> error = {}) {
    server.recording_forgotten(forgets.back().id, error, now);
    drain();
  }
  void wait(Duration duration) {
    const Time until = now + duration;
    while (server.next_timeout() <= until) {
      now = std::max(now, server.next_timeout());
      server.handle_timeout(now);
      drain();
    }
    now = until;
  }
  /// What came since the last call, as "type" or "type/detail".
  std::vector<std::string> news(ConnectionNumber number) {
    std::vector<std::string> words;
    for (const Json& m : std::exchange(inbox[number], {})) {
      std::string word = m.at("type");
      if (word == "recording.state") {
        word = m.at("phase").get<std::string>() + "@" + std::to_string(m.at("totalMs").get<int>());
        if (m.contains("requestId")) word += "/" + m.at("requestId").get<std::string>();
        if (say_waiting && m.value("waitingForMedia", false)) word += "?";
        if (m.contains("warning")) word += "~" + m.at("warning").at("code").get<std::string>();
        if (m.contains("error")) word += "!" + m.at("error").at("code").get<std::string>();
      } else if (word == "recording.response") {
        word = m.at("requestId").get<std::string>() + "=" + (m.at("ok") ? "ok" : m.at("error").at("code").get<std::string>());
      } else if (word == "recording.marker") {
        word = "#" + std::to_string(m.at("index").get<int>()) + "@" + std::to_string(m.at("atMs").get<int>()) + " " + m.at("label").get<std::string>();
      } else if (word == "error") {
        word += "=" + m.at("code").get<std::string>() + (m.at("fatal") ? "!" : "");
      }
      words.push_back(word);
    }
    return words;
  }
};

using Words = std::vector<std::string>;

}  // namespace amphi::services
