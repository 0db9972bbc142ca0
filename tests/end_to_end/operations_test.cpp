// What an operator relies on: a reload of keys and certificates that disturbs nobody, modes of files, secrets that are refused, and a
// recordings folder that leads nowhere else.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "raw_client.h"
#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

bool wait_for(const std::function<bool()>& done) {
  for (int i = 0; i < 1000 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return done();
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t found = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
  return found;
}

void make_certificate(const fs::path& folder, const std::string& name) {
  const auto made = run_command({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=" + name, "-addext",
                                 "subjectAltName=IP:127.0.0.1", "-keyout", (folder / "key.pem").string(), "-out", (folder / "cert.pem").string()});
  ASSERT_EQ(made.status, 0) << made.out;
}

class Reload : public ::testing::Test {
 protected:
  Reload() {
    make_certificate(folder_.path(), "first");
    write_key("5a");
    server_.emplace(std::vector<std::string>{"--tls-cert", (folder_.path() / "cert.pem").string(), "--tls-key", (folder_.path() / "key.pem").string(), "--key-file", key_file()});
  }
  std::string key_file() const { return (folder_.path() / "token.key").string(); }
  void write_key(const std::string& byte) {
    std::string key;
    for (int i = 0; i < 32; ++i) key += byte;
    std::ofstream(key_file()) << key;
  }
  void reload(const std::string& expected) {
    const auto before = count(server_->log(), expected);
    kill(server_->pid(), SIGHUP);
    EXPECT_TRUE(wait_for([&] { return count(server_->log(), expected) > before; })) << server_->log();
  }
  std::string subject() const {
    return run_command({"sh", "-c", "openssl s_client -connect 127.0.0.1:" + std::to_string(server_->port()) + " </dev/null 2>/dev/null | openssl x509 -noout -subject"}).out;
  }
  int list_with(const std::string& key) const {
    auto token = run_command({AMPHI_SERVER_BINARY, "token", "--key", key, "--session", "theatre", "--identity", "x", "--grants", "recordings"}).out;
    token.pop_back();
    return std::atoi(run_command({"curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Authorization: Bearer " + token, server_->url() + "/v1/recordings"}).out.c_str());
  }
  static std::string key_of(const std::string& byte) {
    std::string key;
    for (int i = 0; i < 32; ++i) key += byte;
    return key;
  }
  TemporaryFolder folder_;
  std::optional<ServerProcess> server_;
};

TEST_F(Reload, gives_new_connections_the_new_certificate_and_key_and_leaves_the_others_alone) {
  SessionProbe surgeon(server_->session_url("theatre"), server_->token("theatre", "surgeon"), (folder_.path() / "cert.pem").string());
  ASSERT_TRUE(surgeon.connect()) << server_->log();
  EXPECT_NE(subject().find("first"), std::string::npos);
  make_certificate(folder_.path(), "second");
  write_key("7b");
  reload("reloaded: token key, TLS certificate and key\n");
  EXPECT_NE(subject().find("second"), std::string::npos);
  EXPECT_EQ(list_with(key_of("7b")), 200);
  EXPECT_EQ(list_with(key_of("5a")), 401);
  ASSERT_TRUE(surgeon->requestSessionRecording(true));
  EXPECT_TRUE(surgeon.wait_recording(true)) << "by the connections that there were";
  EXPECT_EQ(surgeon.happened().disconnected, 0);
}

TEST_F(Reload, that_fails_keeps_what_there_was_and_says_why) {
  const auto keep = [&](const std::string& why) {
    SCOPED_TRACE(why);
    reload("the reload has failed");
    EXPECT_NE(server_->log().find(why), std::string::npos) << server_->log();
    EXPECT_NE(subject().find("first"), std::string::npos);
    EXPECT_EQ(list_with(key_of("5a")), 200);
  };
  std::ofstream(key_file()) << "no key";
  keep("the key is not hexadecimal");
  fs::remove(key_file());
  keep("token.key");
  write_key("7b");  // valid by itself, and not taken without the certificate
  const auto other = folder_.path() / "other";
  fs::create_directory(other);
  make_certificate(other, "other");
  fs::rename(folder_.path() / "key.pem", folder_.path() / "kept.pem");
  fs::copy_file(other / "key.pem", folder_.path() / "key.pem");
  keep("TLS key");
  const auto key_file_of = [&](const std::vector<std::string>& command) {
    fs::remove(folder_.path() / "key.pem");
    ASSERT_EQ(run_command(command).status, 0);
    fs::permissions(folder_.path() / "key.pem", fs::perms::owner_read | fs::perms::owner_write);
  };
  key_file_of({"openssl", "genrsa", "-out", (folder_.path() / "key.pem").string(), "2048"});
  keep("not the key of the certificate");
  key_file_of({"openssl", "ec", "-in", (folder_.path() / "kept.pem").string(), "-aes256", "-passout", "pass:secret", "-out", (folder_.path() / "key.pem").string()});
  keep("is encrypted");
  fs::remove(folder_.path() / "cert.pem");
  keep("TLS certificate");
}

TEST(KeyReplacement, those_who_are_in_a_session_come_back_with_the_token_that_they_came_with_and_nobody_else_does) {
  const TemporaryFolder folder;
  const std::string key_file = (folder.path() / "token.key").string(), metrics_file = (folder.path() / "metrics.token").string();
  const auto write = [](const std::string& file, const std::string& text) {
    std::ofstream(file) << text;
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  };
  const std::string former(64, 'a'), newer(64, 'b');
  const auto token = [](const std::string& key, const std::string& identity, const std::string& seconds) {
    auto made = run_command({AMPHI_SERVER_BINARY, "token", "--key", key, "--session", "theatre", "--identity", identity, "--grants", "publish,record", "--valid-seconds", seconds}).out;
    made.pop_back();
    return made;
  };
  write(key_file, former);
  write(metrics_file, std::string(16, 'm'));
  ServerProcess server({"--key-file", key_file, "--metrics-token-file", metrics_file});
  const auto join = [&](const std::string& with, const std::string& resume = "") {
    auto client = std::make_unique<RawClient>(server.port(), "/v1/sessions/theatre/signalling");
    Json message{{"type", "join"}, {"version", 1}, {"token", with}};
    if (!resume.empty()) message["resumeToken"] = resume;
    client->send(message);
    Json answer = client->receive().value_or(Json::object());
    client->send({{"type", "ping"}});
    return std::pair{std::move(client), std::move(answer)};
  };
  const std::string surgeons = token(former, "surgeon", "3600");
  auto came_in = join(surgeons);
  auto surgeon = std::move(came_in.first);
  const Json joined = came_in.second;
  ASSERT_EQ(joined["type"], "joined") << joined;
  EXPECT_EQ(http(server.port(), "GET", "/metrics", std::string(16, 'm')).status, 200);

  write(key_file, newer);
  write(metrics_file, std::string(16, 'n'));
  kill(server.pid(), SIGHUP);
  ASSERT_TRUE(wait_for([&] { return count(server.log(), "reloaded: token key, metrics token\n") == 1; })) << server.log();
  EXPECT_EQ(http(server.port(), "GET", "/metrics", std::string(16, 'm')).status, 401);
  EXPECT_EQ(http(server.port(), "GET", "/metrics", std::string(16, 'n')).status, 200);

  const auto hello = [&](const std::string& with) {
    RawClient services(server.port(), "/v1/sessions/theatre/services");
    services.send({{"type", "hello"}, {"version", 1}, {"token", with}, {"participantId", joined["participantId"]}});
    return services.receive().value_or(Json::object());
  };
  EXPECT_EQ(hello(surgeons)["type"], "welcome") << hello(surgeons);
  EXPECT_EQ(hello(token(former, "surgeon", "1800"))["code"], "unauthorized") << "made with the former key by somebody else, perhaps";
  EXPECT_EQ(hello(token(newer, "surgeon", "1800"))["type"], "welcome");
  EXPECT_EQ(join(token(former, "guest", "3600")).second["code"], "unauthorized");
  EXPECT_EQ(join(surgeons).second["code"], "unauthorized") << "nobody new comes in";
  surgeon.reset();
  const Json back = join(surgeons, joined["resumeToken"]).second;
  EXPECT_EQ(back["resumed"], true) << back;
  EXPECT_EQ(join(token(newer, "guest", "3600")).second["type"], "joined");
}

TEST(Signals, quit_ends_gracefully_and_a_hangup_does_not_end_at_all) {
  ServerProcess server;
  SessionProbe surgeon(server.session_url("theatre"), server.token("theatre", "surgeon"));
  ASSERT_TRUE(surgeon.connect());
  ASSERT_TRUE(surgeon->requestSessionRecording(true));
  ASSERT_TRUE(surgeon.wait_recording(true));
  const auto folder = server.recordings() / "theatre" / surgeon->sessionRecordingState().recordingId;
  kill(server.pid(), SIGHUP);
  EXPECT_TRUE(wait_for([&] { return count(server.log(), "reloaded") == 1; })) << server.log();
  kill(server.pid(), SIGQUIT);
  EXPECT_TRUE(wait_for([&] { return server.log().find("] down\n") != std::string::npos; })) << server.log();
  EXPECT_EQ(read_manifest(folder).at("state"), "complete");
}

class UmaskOf {
 public:
  explicit UmaskOf(mode_t mask) : before_(umask(mask)) {}
  ~UmaskOf() { umask(before_); }

 private:
  mode_t before_;
};

TEST(Modes, of_everything_below_the_recordings_folder_are_0640_and_0750_whatever_the_umask) {
  for (const mode_t mask : {mode_t{0}, mode_t{022}, mode_t{077}}) {
    SCOPED_TRACE(mask);
    const UmaskOf umask_of(mask);
    ServerProcess server({"--recording-retention-days", "30"});
    SessionProbe surgeon(server.session_url("theatre"), server.token("theatre", "surgeon"));
    ASSERT_TRUE(surgeon.connect());
    const auto tone = surgeon->setOutgoingAudioFeed("tone", AudioInputComponentTone{});
    std::vector<fs::path> folders;
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(surgeon->requestSessionRecording(true));
      ASSERT_TRUE(surgeon.wait([&] { return surgeon->sessionRecordingState().on && !surgeon->sessionRecordingState().waitingForMedia; }));
      ASSERT_TRUE(surgeon->requestSessionRecording(false));
      ASSERT_TRUE(surgeon.wait_recording(false));
      folders.push_back(server.recordings() / "theatre" / surgeon->sessionRecordingState().recordingId);
    }
    ASSERT_EQ(run_command({AMPHI_SERVER_BINARY, "export", "--tracks", folders[0].string()}).status, 0);
    EXPECT_EQ(http(server.port(), "DELETE", "/v1/sessions/theatre/recordings/" + folders[1].filename().string(), server.token("theatre", "admin", "admin")).status, 204);
    std::set<std::string> kinds;
    for (const auto& entry : fs::recursive_directory_iterator(server.recordings())) {
      struct stat found {};
      ASSERT_EQ(lstat(entry.path().c_str(), &found), 0);
      EXPECT_EQ(found.st_mode & 07777, entry.is_directory() ? 0750u : 0640u) << entry.path();
      kinds.insert(entry.path().extension().empty() ? entry.path().filename().string() : entry.path().extension().string());
    }
    for (const char* kind : {".jsonl", ".json", ".webm", ".mkv", ".sqlite", "exports"}) EXPECT_TRUE(kinds.contains(kind)) << kind;
  }
}

TEST(Secrets, that_everybody_can_read_are_refused_for_each_kind_of_key) {
  const TemporaryFolder folder;
  make_certificate(folder.path(), "test");
  const auto key = (folder.path() / "token.key").string(), signing = (folder.path() / "signing.pem").string(), tls = (folder.path() / "key.pem").string();
  std::ofstream(key) << std::string(64, 'a');
  ASSERT_EQ(run_command({"openssl", "genpkey", "-algorithm", "ed25519", "-out", signing}).status, 0);
  const auto serve = [&](const std::vector<std::string>& options) {
    std::vector<std::string> command{"timeout", "--preserve-status", "2", AMPHI_SERVER_BINARY, "serve", "--port", "0", "--recordings", (folder.path() / "recordings").string()};
    command.insert(command.end(), options.begin(), options.end());
    return run_command(command);
  };
  const auto all = [&](const std::string& open, mode_t mode) {
    for (const auto& file : {key, signing, tls}) chmod(file.c_str(), 0600);
    chmod(open.c_str(), mode);
    return serve({"--key-file", key, "--recording-signing-key", signing, "--recording-key", key, "--tls-cert", (folder.path() / "cert.pem").string(), "--tls-key", tls});
  };
  chmod(folder.path().c_str(), 0755);
  for (const auto& open : {key, signing, tls}) {
    const auto refused = all(open, 0644);
    EXPECT_EQ(refused.status, 1) << open;
    EXPECT_NE(refused.out.find("chmod 600 " + open), std::string::npos) << refused.out;
    EXPECT_EQ(all(open, 0640).status, 0) << "a group may";
  }
  chmod(key.c_str(), 0644);
  EXPECT_EQ(run_command({AMPHI_SERVER_BINARY, "token", "--key-file", key, "--session", "s", "--identity", "i"}).status, 2);
  EXPECT_EQ(serve({"--dev", "--recording-key", key}).status, 1);
  chmod(folder.path().c_str(), 0700);
  EXPECT_EQ(all(key, 0644).status, 0) << "nobody else gets to it";
}

class RecordingsFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    SessionProbe surgeon(server_.session_url("theatre"), server_.token("theatre", "surgeon"));
    ASSERT_TRUE(surgeon.connect());
    const auto tone = surgeon->setOutgoingAudioFeed("tone", AudioInputComponentTone{});
    ASSERT_TRUE(surgeon->requestSessionRecording(true));
    ASSERT_TRUE(surgeon.wait([&] { return surgeon->sessionRecordingState().on && !surgeon->sessionRecordingState().waitingForMedia; }));
    ASSERT_TRUE(surgeon->requestSessionRecording(false));
    ASSERT_TRUE(surgeon.wait_recording(false));
    id_ = surgeon->sessionRecordingState().recordingId;
    folder_ = server_.recordings() / "theatre" / id_;
    track_ = read_manifest(folder_).at("tracks")[0].at("path");
    std::ofstream(outside_.path() / "secret.webm") << "secret";
  }
  HttpAnswer get(const std::string& file) { return http(server_.port(), "GET", "/v1/sessions/theatre/recordings/" + id_ + "/" + file, member_); }

  ServerProcess server_;
  const std::string member_ = server_.token("theatre", "member", "subscribe,record");
  const TemporaryFolder outside_;
  std::string id_, track_;
  fs::path folder_;
};

TEST_F(RecordingsFolder, serves_known_media_types_only_each_with_a_content_security_policy) {
  for (const char* name : {"page.html", "script.js", "picture.svg", "notes.txt", "extensionless", "manifest.json.bak", "style.css", "app.wasm"}) {
    std::ofstream(folder_ / name) << "<script>alert(1)</script>";
    EXPECT_EQ(get(name).status, 404) << name;
  }
  for (const std::string& name : {std::string("manifest.json"), std::string("journal.jsonl"), track_}) {
    const auto head = run_command({"curl", "-s", "-D", "-", "-o", "/dev/null", "-H", "Authorization: Bearer " + member_,
                                   server_.url() + "/v1/sessions/theatre/recordings/" + id_ + "/" + name}).out;
    EXPECT_NE(head.find("200 OK"), std::string::npos) << name << head;
    EXPECT_NE(head.find("Content-Security-Policy: default-src 'none'"), std::string::npos) << head;
    EXPECT_NE(head.find("X-Content-Type-Options: nosniff"), std::string::npos) << head;
  }
}

TEST_F(RecordingsFolder, leads_nowhere_by_a_symbolic_link) {
  fs::create_symlink(outside_.path() / "secret.webm", folder_ / "link.webm");
  EXPECT_EQ(get("link.webm").status, 404);
  // The track itself, for playback, export and verify.
  const auto kept = outside_.path() / track_;
  fs::rename(folder_ / track_, kept);
  fs::create_symlink(kept, folder_ / track_);
  EXPECT_EQ(get(track_).status, 404);
  EXPECT_EQ(run_command({AMPHI_SERVER_BINARY, "verify", folder_.string()}).status, 1);
  for (const char* form : {"--tracks", "--composite"}) {
    const auto exported = run_command({AMPHI_SERVER_BINARY, "export", form, folder_.string()});
    EXPECT_NE(exported.status, 0) << exported.out;
  }
  fs::remove(folder_ / track_);
  fs::rename(kept, folder_ / track_);
  EXPECT_EQ(get(track_).status, 200);
  // Exports beside the recording.
  fs::create_directory(outside_.path() / "exports");
  fs::create_directory(outside_.path() / "exports" / "old.mkv.work");
  fs::create_directory_symlink(outside_.path() / "exports", folder_ / "exports");
  EXPECT_NE(run_command({AMPHI_SERVER_BINARY, "export", "--tracks", folder_.string()}).status, 0);
  EXPECT_EQ(http(server_.port(), "GET", "/v1/sessions/theatre/exports", member_).body, "{\"exports\":[]}");
  // A whole session, and a start of the server that repairs and sweeps.
  fs::create_directory_symlink(server_.recordings() / "theatre", server_.recordings() / "linked");
  EXPECT_EQ(http(server_.port(), "GET", "/v1/sessions/linked/recordings/" + id_ + "/" + track_, server_.token("linked", "x")).status, 404);
  const auto cut = server_.recordings() / "theatre" / "rec_cut";
  fs::create_directory(outside_.path() / "rec_cut");
  for (const char* file : {"manifest.json", "journal.jsonl"}) fs::copy_file(folder_ / file, outside_.path() / "rec_cut" / file);
  fs::remove(outside_.path() / "rec_cut" / "manifest.json");
  fs::create_directory_symlink(outside_.path() / "rec_cut", cut);
  server_.kill_now();
  server_.start_again();
  EXPECT_TRUE(fs::exists(outside_.path() / "exports" / "old.mkv.work"));
  EXPECT_FALSE(fs::exists(outside_.path() / "rec_cut" / "manifest.json")) << "it was repaired behind the link";
  // A deletion takes the link, and nothing behind it.
  EXPECT_EQ(http(server_.port(), "DELETE", "/v1/sessions/theatre/recordings/" + id_, server_.token("theatre", "admin", "admin")).status, 204);
  EXPECT_TRUE(fs::exists(outside_.path() / "exports" / "old.mkv.work"));
  EXPECT_FALSE(fs::exists(folder_));
}

TEST_F(RecordingsFolder, is_named_to_no_participant_by_an_error) {
  SessionProbe surgeon(server_.session_url("theatre"), server_.token("theatre", "surgeon"));
  ASSERT_TRUE(surgeon.connect());
  ASSERT_TRUE(surgeon->requestSessionRecording(true));
  ASSERT_TRUE(surgeon.wait_recording(true));
  const auto running = server_.recordings() / "theatre" / surgeon->sessionRecordingState().recordingId;
  fs::rename(running, outside_.path() / "gone");
  EXPECT_TRUE(surgeon.wait([&] { return !surgeon->sessionRecordingState().on; }, 20s));
  const std::string state = http(server_.port(), "GET", "/v1/sessions/theatre/recording", member_).body;
  EXPECT_NE(state.find("\"error\""), std::string::npos) << state;
  EXPECT_EQ(state.find(server_.recordings().parent_path().string()), std::string::npos) << state;
  EXPECT_EQ(state.find("/tmp"), std::string::npos) << state;
  // A session whose folder cannot be made.
  std::ofstream(server_.recordings() / "blocked") << "a file";
  SessionProbe blocked(server_.session_url("blocked"), server_.token("blocked", "x"));
  ASSERT_TRUE(blocked.connect());
  const std::string other = server_.token("blocked", "y", "record");
  EXPECT_EQ(http(server_.port(), "POST", "/v1/sessions/blocked/recording", other, R"({"on": true})").status, 202);
  std::string refused;
  EXPECT_TRUE(wait_for([&] { return (refused = http(server_.port(), "GET", "/v1/sessions/blocked/recording", other).body).find("storage") != std::string::npos; })) << refused;
  EXPECT_EQ(refused.find("/tmp"), std::string::npos) << refused;
  // A deletion that cannot be written down.
  fs::remove(server_.recordings() / "deletions.jsonl");
  fs::create_directory(server_.recordings() / "deletions.jsonl");
  const auto deletion = http(server_.port(), "DELETE", "/v1/sessions/theatre/recordings/" + id_, server_.token("theatre", "admin", "admin"));
  EXPECT_EQ(deletion.status, 507) << deletion.body;
  EXPECT_EQ(deletion.body.find("/tmp"), std::string::npos) << deletion.body;
}

TEST(Metrics, never_fall_when_a_session_ends) {
  ServerProcess server;
  const auto counters = [&] {
    std::map<std::string, double> found;
    std::istringstream lines(http(server.port(), "GET", "/metrics").body);
    for (std::string line; std::getline(lines, line);)
      if (line.find("_total") != std::string::npos && line[0] != '#') found[line.substr(0, line.rfind(' '))] = std::stod(line.substr(line.rfind(' ')));
    return found;
  };
  std::map<std::string, double> before = counters();
  for (int round = 0; round < 2; ++round) {
    {
      SessionProbe surgeon(server.session_url("theatre"), server.token("theatre", "surgeon"));
      SessionProbe nurse(server.session_url("theatre"), server.token("theatre", "nurse"));
      ASSERT_TRUE(surgeon.connect() && nurse.connect());
      const auto tone = surgeon->setOutgoingAudioFeed("tone", AudioInputComponentTone{});
      ASSERT_TRUE(surgeon.wait([&] { return tone->statistics().packets > 50; }));
      const auto during = counters();
      for (const auto& [name, value] : before) EXPECT_GE(during.at(name), value) << name;
      before = during;
      EXPECT_GT([&] {
        double in = 0;
        for (const auto& [name, value] : during)
          if (name.find("rtp_packets_in_total") != std::string::npos) in += value;
        return in;
      }(), 0);
      surgeon->disconnect();
      nurse->disconnect();
    }
    ASSERT_TRUE(wait_for([&] { return http(server.port(), "GET", "/metrics").body.find("amphi_sessions 0\n") != std::string::npos; })) << http(server.port(), "GET", "/metrics").body;
    const auto after = counters();
    for (const auto& [name, value] : before) EXPECT_GE(after.at(name), value) << name;
    before = after;
  }
}

}  // namespace
}  // namespace amphi::end_to_end
