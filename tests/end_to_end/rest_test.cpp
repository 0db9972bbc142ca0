// What other servers do over REST, on the real server: ask for a recording, mark it, list, export, delete.
#include <gtest/gtest.h>

#include <fstream>

#include "json_schema.h"
#include "raw_client.h"
#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class RestTest : public ::testing::Test {
 protected:
  struct Reply {
    int status = 0;
    std::string body;
    Json json() const { return Json::parse(body, nullptr, false); }
  };
  Reply ask(const std::string& method, const std::string& target, const std::string& token, const Json& body = nullptr) {
    const auto reply = http(server_.port(), method, target, token, body.is_null() ? "" : body.dump());
    if (const std::string schema = schema_of(method, target, reply.status); !schema.empty()) {
      EXPECT_EQ(schema_error(protocol_schema(schema), Json::parse(reply.body, nullptr, false)), "") << method << " " << target << ": " << schema;
    }
    return {reply.status, reply.body};
  }
  /// The schema in protocol/ that an answer must fit; empty: it is no JSON.
  static std::string schema_of(const std::string& method, const std::string& target, int status) {
    const std::string path = target.substr(0, target.find('?'));
    if (status >= 400) return "rest/error";
    if (status == 204) return "";
    if (path == "/v1/recordings") return "rest/recordings";
    if (path.ends_with("/recording")) return "services/recording.state";
    if (path.ends_with("/markers")) return "services/recording.marker";
    if (path.ends_with("/recordings")) return "rest/sessionRecordings";
    if (path.ends_with("/manifest.json")) return "rest/manifest";
    if (path.ends_with("/exports")) return method == "POST" ? "rest/export" : "rest/exports";
    if (path.find("/recordings/exports/") != std::string::npos) return "";  // a file by its name
    if (path.find("/exports/") != std::string::npos && !path.ends_with("/file")) return "rest/export";
    return "";
  }
  const Json& state() { return state_ = ask("GET", "/v1/sessions/theatre/recording", member_).json(); }
  /// Until `done` holds of what GET says.
  bool wait_for(const std::string& target, const std::function<bool(const Json&)>& done, std::chrono::milliseconds limit = 20s) {
    return surgeon_.wait([&] { return done(ask("GET", target, member_).json()); }, limit);
  }
  std::string record_over_rest() {
    EXPECT_EQ(ask("POST", "/v1/sessions/theatre/recording", recorder_, {{"on", true}}).status, 202);
    EXPECT_TRUE(surgeon_.wait_recording(true)) << server_.log();
    EXPECT_TRUE(surgeon_.wait([&] { return surgeon_->sessionRecordingState().totalRunningDurationMs() > 1500 && !surgeon_->sessionRecordingState().waitingForMedia; }));
    const Reply marked = ask("POST", "/v1/sessions/theatre/recording/markers", recorder_, {{"label", "Zange"}});
    EXPECT_EQ(marked.status, 201) << marked.body;
    EXPECT_EQ(marked.json().value("by", ""), "control room");
    EXPECT_EQ(ask("POST", "/v1/sessions/theatre/recording", recorder_, {{"on", false}}).status, 202);
    EXPECT_TRUE(surgeon_.wait_recording(false));
    return surgeon_->sessionRecordingState().recordingId;
  }
  void join() {
    ASSERT_TRUE(surgeon_.connect()) << server_.log();
    feed_ = surgeon_->addOutgoingVideoFeed("scope", numbered(VideoCodec::vp8));
    ASSERT_TRUE(surgeon_.wait([&] { return feed_->statistics().frames > 0; }));
  }

  ServerProcess server_;
  const std::string member_ = server_.token("theatre", "watcher", "recordings");
  const std::string recorder_ = server_.token("theatre", "control room", "record");
  const std::string admin_ = server_.token("any", "archivist", "admin");
  SessionProbe surgeon_{server_.session_url("theatre"), server_.token("theatre", "surgeon")};
  std::shared_ptr<OutgoingVideoFeed> feed_;
  Json state_;
};

TEST_F(RestTest, a_recording_is_asked_for_marked_listed_and_deleted_and_everybody_knows_by_whom) {
  EXPECT_EQ(ask("POST", "/v1/sessions/theatre/recording", recorder_, {{"on", true}}).status, 404) << "nobody is there";
  join();
  EXPECT_EQ(ask("POST", "/v1/sessions/theatre/recording", member_, {{"on", true}}).status, 403);
  EXPECT_EQ(ask("POST", "/v1/sessions/theatre/recording", recorder_, {{"on", 1}}).status, 400);
  EXPECT_EQ(ask("POST", "/v1/sessions/theatre/recording/markers", recorder_, {{"label", "too early"}}).status, 409);
  EXPECT_FALSE(state().at("on"));
  const std::string id = record_over_rest();
  EXPECT_EQ(surgeon_->sessionRecordingState().changedBy, "control room");
  const fs::path folder = server_.recordings() / "theatre" / id;
  EXPECT_EQ(read_manifest(folder).at("markers").at(0).at("label"), "Zange");
  const std::string second = record_over_rest();

  ASSERT_TRUE(wait_for("/v1/recordings?state=complete", [](const Json& page) { return page.at("recordings").size() == 2; }));
  const Json page = ask("GET", "/v1/recordings?limit=1", member_).json();
  ASSERT_EQ(page.at("recordings").size(), 1u);
  EXPECT_EQ(page.at("recordings")[0].at("recordingId"), second);
  EXPECT_EQ(page.at("recordings")[0].at("requestedBy"), "control room");
  EXPECT_EQ(ask("GET", "/v1/recordings?limit=1&cursor=" + page.at("next").get<std::string>(), member_).json().at("recordings")[0].at("recordingId"), id);
  EXPECT_EQ(ask("GET", "/v1/recordings?session=theatre", admin_).json().at("recordings").size(), 2u);
  EXPECT_EQ(ask("GET", "/v1/recordings?session=theatre", server_.token("other", "x", "subscribe")).status, 403);
  EXPECT_TRUE(ask("GET", "/v1/recordings", server_.token("other", "x", "recordings")).json().at("recordings").empty());
  EXPECT_EQ(ask("GET", "/v1/recordings?limit=0", admin_).status, 400);
  EXPECT_EQ(ask("GET", "/v1/recordings?cursor=x", admin_).status, 400);

  const std::string address = "/v1/sessions/theatre/recordings/" + id;
  EXPECT_EQ(ask("DELETE", address, recorder_).status, 403) << "who may record may not delete";
  EXPECT_TRUE(fs::exists(folder));
  EXPECT_EQ(ask("DELETE", address, admin_).status, 204);
  EXPECT_FALSE(fs::exists(folder));
  const Reply gone = ask("GET", address + "/manifest.json", member_);
  EXPECT_EQ(gone.status, 410);
  EXPECT_NE(gone.body.find("archivist"), std::string::npos) << gone.body;
  EXPECT_EQ(ask("DELETE", address, admin_).status, 410);
  EXPECT_NE(server_.log().find("deleted: "), std::string::npos);
  EXPECT_EQ(ask("GET", "/v1/recordings", member_).json().at("recordings").size(), 1u);

  // The catalogue is lost with the server: both come back with what is true.
  server_.stop();
  fs::remove(server_.recordings() / "catalogue.sqlite");
  server_.start_again();
  EXPECT_EQ(ask("GET", "/v1/recordings", member_).json().at("recordings").size(), 1u);
  EXPECT_EQ(ask("GET", address + "/manifest.json", member_).status, 410);
}

TEST_F(RestTest, a_running_recording_is_not_deleted) {
  join();
  ASSERT_TRUE(surgeon_->requestSessionRecording(true));
  ASSERT_TRUE(surgeon_.wait_recording(true));
  const std::string id = surgeon_->sessionRecordingState().recordingId;
  EXPECT_EQ(ask("DELETE", "/v1/sessions/theatre/recordings/" + id, admin_).status, 409);
  EXPECT_TRUE(surgeon_->sessionRecordingState().on);
  EXPECT_TRUE(fs::exists(server_.recordings() / "theatre" / id / "manifest.json"));
}

TEST_F(RestTest, what_was_cut_off_and_lost_its_journal_is_deleted) {
  join();
  const std::string id = record_over_rest();
  const fs::path folder = server_.recordings() / "theatre" / id;
  server_.stop();
  Json manifest = read_manifest(folder);
  manifest["state"] = "recording";
  manifest.erase("evidence");
  std::ofstream(folder / "manifest.json") << manifest;
  fs::remove(folder / "journal.jsonl");
  server_.start_again();
  EXPECT_EQ(ask("GET", "/v1/recordings?state=recording", admin_).json().at("recordings").size(), 1u) << "nobody can repair it";
  EXPECT_EQ(ask("DELETE", "/v1/sessions/theatre/recordings/" + id, admin_).status, 204);
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(RestTest, a_recording_that_was_copied_into_another_sessions_folder_is_shown_to_nobody_there) {
  join();
  const std::string id = record_over_rest();
  fs::create_directories(server_.recordings() / "corridor");
  fs::copy(server_.recordings() / "theatre" / id, server_.recordings() / "corridor" / id, fs::copy_options::recursive);
  const std::string stranger = server_.token("corridor", "stranger", "subscribe,record");
  const std::string path = read_manifest(server_.recordings() / "theatre" / id).at("tracks").at(0).at("path");
  for (const std::string& file : {path, std::string("manifest.json"), std::string("journal.jsonl")}) {
    EXPECT_EQ(ask("GET", "/v1/sessions/theatre/recordings/" + id + "/" + file, member_).status, 200) << file;
    EXPECT_EQ(ask("GET", "/v1/sessions/corridor/recordings/" + id + "/" + file, stranger).status, 403) << file;
  }
  for (const std::string& what : {"/recordings/" + id + "/exports", std::string("/exports")}) {
    const Reply asked = ask("POST", "/v1/sessions/corridor" + what, stranger, {{"form", "tracks"}});
    EXPECT_EQ(asked.status, 403) << asked.body;
  }
}

TEST_F(RestTest, an_export_is_made_with_progress_fetched_and_cancelled) {
  join();
  const std::string id = record_over_rest();
  const std::string exports = "/v1/sessions/theatre/recordings/" + id + "/exports";
  EXPECT_EQ(ask("POST", exports, member_, {{"form", "composite"}}).status, 403);
  EXPECT_EQ(ask("POST", exports, recorder_, {{"form", "film"}}).status, 400);
  EXPECT_EQ(ask("POST", exports, recorder_, {{"form", "composite"}, {"fromMs", -1}}).status, 400);
  EXPECT_EQ(ask("POST", "/v1/sessions/theatre/recordings/none/exports", recorder_, {{"form", "composite"}}).status, 404);
  const Reply asked = ask("POST", exports, recorder_, {{"form", "composite"}, {"fromMs", 100}});
  ASSERT_EQ(asked.status, 202) << asked.body;
  const std::string job = "/v1/sessions/theatre/exports/" + asked.json().at("exportId").get<std::string>();
  ASSERT_TRUE(wait_for(job, [](const Json& status) { return status.at("state") == "done"; }, 60s)) << ask("GET", job, member_).body;
  const Json done = ask("GET", job, member_).json();
  EXPECT_EQ(done.at("progress"), 1.0);
  const Reply file = ask("GET", done.at("file"), member_);
  EXPECT_EQ(file.status, 200);
  EXPECT_EQ(file.body.substr(4, 4), "ftyp");
  EXPECT_EQ(ask("GET", job, server_.token("other", "x", "subscribe")).status, 403);
  ASSERT_EQ(ask("POST", exports, recorder_, {{"form", "composite"}, {"fromMs", 100}}).status, 202) << "the same again";
  const Json listed = ask("GET", "/v1/sessions/theatre/exports", member_).json().at("exports");
  ASSERT_EQ(listed.size(), 1u) << listed;
  EXPECT_EQ(listed[0].at("recordingId"), id);
  EXPECT_EQ(listed[0].at("bytes"), file.body.size());
  EXPECT_EQ(ask("DELETE", job, member_).status, 403);
  EXPECT_EQ(ask("DELETE", job, recorder_).status, 204);
  EXPECT_EQ(ask("GET", job, member_).status, 404);
  EXPECT_TRUE(ask("GET", "/v1/sessions/theatre/exports", member_).json().at("exports").empty());

  const Reply copied = ask("POST", exports, recorder_, {{"form", "tracks"}});
  const std::string copying = "/v1/sessions/theatre/exports/" + copied.json().at("exportId").get<std::string>();
  ASSERT_TRUE(wait_for(copying, [](const Json& status) { return status.at("state") == "done"; }, 60s)) << ask("GET", copying, member_).body;
  const Reply tracks = ask("GET", ask("GET", copying, member_).json().at("file"), member_);
  EXPECT_EQ(tracks.status, 200);
  EXPECT_EQ(tracks.body.substr(0, 4), "\x1a\x45\xdf\xa3") << "Matroska";
  EXPECT_EQ(ask("GET", copying, member_).json().at("fromMs"), 0);

  const Reply wrong = ask("POST", exports, recorder_, {{"form", "composite"}, {"fromMs", 10'000'000}});
  EXPECT_EQ(wrong.status, 400);
  EXPECT_NE(wrong.body.find("nothing from"), std::string::npos) << wrong.body;
  EXPECT_EQ(ask("POST", "/v1/sessions/NOSUCH/exports", server_.token("NOSUCH", "control room", "record"), {{"form", "tracks"}}).status, 404);

  const Reply whole = ask("POST", "/v1/sessions/theatre/exports", recorder_, {{"form", "composite"}});
  const std::string going = "/v1/sessions/theatre/exports/" + whole.json().at("exportId").get<std::string>();
  ASSERT_TRUE(wait_for(going, [](const Json& status) { return status.at("state") != "waiting"; }));
  EXPECT_EQ(ask("DELETE", going, recorder_).status, 204);
  EXPECT_TRUE(wait_for(going, [](const Json& status) { return status.at("state") == "cancelled"; })) << ask("GET", going, member_).body;
  const auto nothing_left = [&] { return !fs::exists(server_.recordings() / "theatre" / "exports") || fs::is_empty(server_.recordings() / "theatre" / "exports"); };
  EXPECT_TRUE(surgeon_.wait(nothing_left));
}

TEST_F(RestTest, an_export_of_before_a_restart_is_listed_and_removed_by_its_name_and_there_is_a_bound) {
  join();
  const std::string id = record_over_rest(), exports = "/v1/sessions/theatre/recordings/" + id + "/exports";
  const fs::path folder = server_.recordings() / "theatre" / id / "exports";
  fs::create_directories(folder);
  for (int i = 0; i < 32; ++i) std::ofstream(folder / ("amphi-export-" + std::to_string(i) + ".mp4")) << "before";
  const Reply refused = ask("POST", exports, recorder_, {{"form", "tracks"}});
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.json().at("code"), "limit_exceeded");
  EXPECT_NE(refused.body.find("DELETE"), std::string::npos) << "what to do: " << refused.body;
  ASSERT_EQ(ask("GET", "/v1/sessions/theatre/exports", member_).json().at("exports").size(), 32u);
  EXPECT_EQ(ask("DELETE", "/v1/sessions/theatre/exports/amphi-export-7.mp4", recorder_).status, 204);
  EXPECT_EQ(ask("DELETE", "/v1/sessions/theatre/exports/amphi-export-7.mp4", recorder_).status, 404);
  EXPECT_EQ(ask("DELETE", "/v1/sessions/theatre/exports/manifest.json", recorder_).status, 404);
  EXPECT_FALSE(fs::exists(folder / "amphi-export-7.mp4"));
  EXPECT_EQ(ask("POST", exports, recorder_, {{"form", "tracks"}}).status, 202);
}

TEST_F(RestTest, a_deleted_recording_takes_every_export_that_holds_it) {
  join();
  const std::string id = record_over_rest(), other = record_over_rest();
  const auto export_all_of = [&](const std::string& what, const std::string& form) {
    return "/v1/sessions/theatre/exports/" + ask("POST", "/v1/sessions/theatre" + what, recorder_, {{"form", form}}).json().at("exportId").get<std::string>();
  };
  const std::string whole = export_all_of("/exports", "tracks"), one = export_all_of("/recordings/" + id + "/exports", "tracks");
  const std::string others = export_all_of("/recordings/" + other + "/exports", "tracks");
  ASSERT_TRUE(wait_for(others, [](const Json& status) { return status.at("state") == "done"; }, 60s)) << ask("GET", others, member_).body;
  const fs::path exports = server_.recordings() / "theatre" / "exports";
  const std::string file = fs::directory_iterator(exports)->path().filename();
  EXPECT_EQ(ask("GET", "/v1/sessions/theatre/recordings/exports/" + file, member_).status, 200);
  const std::string running = export_all_of("/exports", "composite");
  ASSERT_TRUE(wait_for(running, [](const Json& status) { return status.at("state") == "running"; }));

  EXPECT_EQ(ask("DELETE", "/v1/sessions/theatre/recordings/" + id, admin_).status, 204);
  EXPECT_EQ(ask("GET", "/v1/sessions/theatre/recordings/exports/" + file, member_).status, 404);
  for (const std::string& gone : {whole, one, running}) EXPECT_EQ(ask("GET", gone, member_).status, 404) << gone;
  EXPECT_EQ(ask("GET", others + "/file", member_).status, 200) << "the other recording's stays";
  // What ran has ended when the next one is made.
  const std::string next = export_all_of("/exports", "tracks");
  ASSERT_TRUE(wait_for(next, [](const Json& status) { return status.at("state") == "done"; }, 60s)) << ask("GET", next, member_).body;
  EXPECT_FALSE(fs::exists(exports));
}

}  // namespace
}  // namespace amphi::end_to_end
