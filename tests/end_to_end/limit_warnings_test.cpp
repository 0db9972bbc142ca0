// Walks docs/limits.md: each row that refuses its caller with `limit_exceeded` or 429 is reached on a real server while the session is
// recorded, and everybody is told in a warning. A row that cannot be reached here names the reason.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <thread>

#include "hostile_offer.h"
#include "raw_client.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

using nlohmann::json;

struct Guest {
  const ServerProcess& server;
  const std::string session;
  std::vector<std::unique_ptr<RawClient>> connections{};

  const std::string key = server.token(session, "guest", "publish,subscribe,record");
  const std::string& token() const { return key; }
  /// Asks as long as the server lets it: a busy machine gives back part of the allowance meanwhile.
  void ask_until_refused(const std::string& method, const std::string& what, const std::string& body = "") const {
    for (int i = 0; i < 10'000; ++i)
      if (http(server.port(), method, path(what), token(), body).status == 429) return;
    ADD_FAILURE() << what << " is never refused";
  }
  std::string path(const std::string& protocol) const { return "/v1/sessions/" + session + "/" + protocol; }
  RawClient& connect(const std::string& protocol) { return *connections.emplace_back(std::make_unique<RawClient>(server.port(), path(protocol))); }
  RawClient& signalling() {
    RawClient& made = connect("signalling");
    made.send({{"type", "join"}, {"version", 1}, {"token", token()}});
    return made;
  }
  RawClient& services() {
    const auto joined = signalling().receive_type("joined");
    return services(joined ? joined->at("participantId").get<std::string>() : "");
  }
  RawClient& services(const std::string& participant) {
    RawClient& made = connect("services");
    made.send({{"type", "hello"}, {"version", 1}, {"token", token()}, {"participantId", participant}});
    EXPECT_TRUE(made.receive_type("welcome")) << server.log();
    return made;
  }
};

using Reach = std::function<void(Guest&)>;
std::map<std::string, Reach> reached_here() {
  const auto repeat = [](int times, json message) {
    return [times, message = std::move(message)](RawClient& to) { for (int i = 0; i < times; ++i) to.send(message); };
  };
  const json ping{{"type", "ping"}};
  return {
      {"participants of an identity | session", [](Guest& g) { for (int i = 0; i < 5; ++i) g.signalling().receive(); }},
      {"feeds | participant", [](Guest& g) { g.signalling().send(offer_without_media(0, 17)); }},
      {"joins and resumes | identity", [](Guest& g) { for (int i = 0; i < 200; ++i) g.signalling().send({{"type", "leave"}}); }},
      {"size of a message | message", [](Guest& g) { g.signalling().send_text(std::string(300 * 1024, ' ')); }},
      {"large messages | connection", [](Guest& g) {
         RawClient& to = g.signalling();
         for (int i = 0; i < 20; ++i) to.send_text("{\"type\":\"ping\",\"x\":\"" + std::string(250'000, 'x') + "\"}");
       }},
      {"messages that are not text | connection", [](Guest& g) {
         RawClient& to = g.signalling();
         for (int i = 0; i < 300; ++i) to.send_binary("x");
       }},
      {"message from a client | message", [](Guest& g) { g.services().send_text(std::string(16 * 1024 + 1, ' ')); }},
      {"messages read | connection", [=](Guest& g) { repeat(1000, ping)(g.services()); }},
      {"messages acted on | connection", [=](Guest& g) { repeat(60, ping)(g.services()); }},
      {"connections | participant", [](Guest& g) {
         const auto joined = g.signalling().receive_type("joined");
         for (int i = 0; joined && i < 5; ++i) g.services(joined->at("participantId"));
       }},
      {"markers, rate | identity", [](Guest& g) {
         g.ask_until_refused("POST", "recording/markers", R"({"label":"x"})");
       }},
      {"publishOffer and restartSubscribe | identity", [=](Guest& g) {
         RawClient& to = g.signalling();
         for (int i = 0; i < 4; ++i) repeat(90, {{"type", "restartSubscribe"}})(to), std::this_thread::sleep_for(std::chrono::seconds(1));
       }},
      {"signalling messages, pings included | connection", [=](Guest& g) { repeat(1000, ping)(g.signalling()); }},
      {"length of a `mid` | m-line", [](Guest& g) {
         json offer = offer_without_media(0, 1);
         std::string sdp = offer["sdp"];
         sdp.replace(sdp.find("a=mid:0"), 7, "a=mid:" + std::string(65, '0'));
         sdp.replace(sdp.find("BUNDLE 0"), 8, "BUNDLE " + std::string(65, '0'));
         offer["sdp"] = sdp;
         g.signalling().send(offer);
       }},
      {"requests | identity", [](Guest& g) { g.ask_until_refused("GET", "recordings"); }},
  };
}

/// The others, and the reason.
std::map<std::string, std::string> not_reached_here() {
  return {
      {"participants | session", "told by the same line as `participants of an identity`"},
      {"sessions | server", "the newcomer has no session that could be recorded"},
      {"remembered requests | identity, session", "RecordingControl.each_limit_of_the_services_protocol_is_a_warning_that_names_who_reached_it"},
      {"markers of a recording | recording, identity", "RecordingMarkers.a_recording_has_at_most_10000_markers_and_none_is_confirmed_beyond"},
      {"tracks | recording, identity", "Bounds.a_participant_that_opens_tracks_without_end_leaves_places_for_others_and_everybody_is_told"},
      {"feeds without a track that are listed | recording, identity", "RecordingStatus.a_guest_who_offers_thousands_of_feeds_without_media_keeps_no_feed_of_others_from_being_recorded"},
      {"gaps listed one by one | recording, identity", "Bounds.a_participant_that_loses_much_leaves_gaps_to_list_for_its_further_tracks_and_for_everybody_else"},
      {"size of a session description | description", "a larger one is malformed to the parser, or a message that is too large"},
      {"media of a participant | participant", "Greedy.a_participant_that_sends_more_than_it_may_loses_its_own_media_before_decryption_and_is_told_once_a_second"},
      {"receive buffer of a media socket | worker", "MediaLoop.counts_the_datagrams_that_the_kernel_dropped_for_want_of_room"},
      {"connections | IPv4 address, or IPv6 /64; behind a `--trusted-proxy`, the client that it names", "told by HttpServer::apply in every session that is recorded"},
      {"exports that wait or run | server", "told by the same line as `requests`"},
      {"exports of a session, made and being made | session", "told by the same line as `requests`"},
  };
}

std::vector<std::string> rows_that_refuse() {
  std::ifstream file(AMPHI_SOURCE_DIR "/docs/limits.md");
  std::vector<std::string> rows;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| ")) continue;
    std::vector<std::string> cells;
    std::istringstream rest(line.substr(2));
    for (std::string cell; std::getline(rest, cell, '|'); rest.get()) cells.push_back(cell.substr(0, cell.find_last_not_of(' ') + 1));
    if (cells.size() < 5) continue;
    if (cells[4].find("limit_exceeded") != std::string::npos || cells[4].find("429") != std::string::npos) rows.push_back(cells[0] + " | " + cells[2]);
  }
  return rows;
}

TEST(LimitWarnings, each_row_that_refuses_its_caller_is_told_to_everybody_while_the_session_is_recorded) {
  const auto here = reached_here();
  const auto elsewhere = not_reached_here();
  const auto rows = rows_that_refuse();
  EXPECT_GE(rows.size(), 25u) << "docs/limits.md has another form";
  for (const std::string& row : rows) EXPECT_TRUE(here.contains(row) || elsewhere.contains(row)) << row << " is not tested";
  ServerProcess server;
  int number = 0;
  for (const auto& [row, reach] : here) {
    SCOPED_TRACE(row);
    EXPECT_NE(std::find(rows.begin(), rows.end(), row), rows.end()) << "no such row in docs/limits.md";
    const std::string session = "theatre-" + std::to_string(++number);
    SessionProbe surgeon(server.session_url(session), server.token(session, "surgeon"));
    ASSERT_TRUE(surgeon.connect()) << server.log();
    ASSERT_TRUE(surgeon->requestSessionRecording(true));
    ASSERT_TRUE(surgeon.wait_recording(true)) << server.log();
    Guest guest{server, session};
    reach(guest);
    const bool told = surgeon.wait([&] {
      const auto warnings = surgeon->sessionRecordingState().warnings;
      return std::any_of(warnings.begin(), warnings.end(), [](const auto& warning) { return warning.code == "limit_exceeded" && warning.message.starts_with("guest: "); });
    });
    EXPECT_TRUE(told) << server.log();
  }
}

}  // namespace
}  // namespace amphi::end_to_end
