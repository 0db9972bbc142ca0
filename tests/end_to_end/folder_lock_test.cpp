// One process owns a recordings folder: a second server that is given the folder of a running one, by whatever path, ends at once, names the
// owner and changes nothing. Read-only commands work beside a running server.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <fstream>
#include <thread>

#include "raw_client.h"
#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

namespace fs = std::filesystem;

/// A second server on that folder. One that starts all the same is ended after a while: status 124.
CommandResult second_server(const std::string& recordings, int port = 0) {
  return run_command({"timeout", "10", AMPHI_SERVER_BINARY, "serve", "--dev", "--port", std::to_string(port), "--media-port", "0", "--recordings", recordings});
}

class FolderOwner : public ::testing::Test {
 protected:
  void record() {
    surgeon_.emplace(server_.session_url("theatre"), server_.token("theatre", "surgeon"));
    ASSERT_TRUE(surgeon_->connect()) << server_.log();
    tone_ = (*surgeon_)->setOutgoingAudioFeed("tone", AudioInputComponentTone{});
    ASSERT_TRUE((*surgeon_)->requestSessionRecording(true));
    ASSERT_TRUE(surgeon_->wait_recording(true)) << server_.log();
    ASSERT_TRUE(surgeon_->wait([&] { return (*surgeon_)->sessionRecordingState().totalRunningDurationMs() > 3000; }));
    folder_ = server_.recordings() / "theatre" / (*surgeon_)->sessionRecordingState().recordingId;
  }
  void expect_refused(const CommandResult& second) {
    EXPECT_EQ(second.status, 1) << second.out;
    EXPECT_NE(second.out.find("is in use by amphi-server (process " + std::to_string(server_.pid()) + "), since 2"), std::string::npos) << second.out;
  }

  ServerProcess server_;
  std::optional<SessionProbe> surgeon_;
  std::shared_ptr<OutgoingAudioFeed> tone_;
  fs::path folder_;
};

TEST_F(FolderOwner, keeps_its_running_recording_whole_whatever_path_a_second_server_is_given) {
  ASSERT_NO_FATAL_FAILURE(record());
  const TemporaryFolder elsewhere;
  const std::string root = server_.recordings().string();
  fs::create_directory_symlink(root, elsewhere.path() / "link");
  fs::create_directory(elsewhere.path() / "bound");
  expect_refused(second_server(root));
  expect_refused(second_server(root, server_.port()));
  expect_refused(second_server(root + "/../recordings/."));
  expect_refused(second_server((elsewhere.path() / "link").string()));
  expect_refused(run_command({"sh", "-c", "cd " + root + "/.. && exec timeout 10 " + AMPHI_SERVER_BINARY + " serve --dev --port 0 --recordings recordings"}));
  if (mount(root.c_str(), (elsewhere.path() / "bound").c_str(), nullptr, MS_BIND, nullptr) == 0) {
    expect_refused(second_server((elsewhere.path() / "bound").string()));
    umount2((elsewhere.path() / "bound").c_str(), MNT_DETACH);
  }
  fs::remove(fs::path(root) / ".amphi-server.lock");  // by somebody who takes it for a left-over
  EXPECT_NE(second_server(root).out.find("is in use by"), std::string::npos);

  ASSERT_TRUE((*surgeon_)->requestSessionRecording(false));
  ASSERT_TRUE(surgeon_->wait_recording(false));
  const auto manifest = read_manifest(folder_);
  EXPECT_EQ(manifest.at("state"), "complete");
  EXPECT_FALSE(manifest.contains("repaired"));
  EXPECT_GT(manifest.at("durationMs").get<int>(), 3000);
  expect_sound(folder_);
}

TEST_F(FolderOwner, of_a_moved_folder_is_still_found_and_records_nothing_where_the_folder_was) {
  ASSERT_NO_FATAL_FAILURE(record());
  const fs::path moved = server_.recordings().string() + "-moved";
  fs::rename(server_.recordings(), moved);
  expect_refused(second_server(moved.string()));
  EXPECT_TRUE(surgeon_->wait([&] { return !(*surgeon_)->sessionRecordingState().on; }, 20s)) << "what is written there is seen by nobody";
  fs::create_directory(server_.recordings());
  ASSERT_TRUE((*surgeon_)->requestSessionRecording(true));
  ASSERT_TRUE(surgeon_->wait([&] { return !(*surgeon_)->sessionRecordingState().updatePending; }));
  EXPECT_FALSE((*surgeon_)->sessionRecordingState().on);
  EXPECT_TRUE(fs::is_empty(server_.recordings()));
}

TEST_F(FolderOwner, leaves_readers_alone) {
  ASSERT_NO_FATAL_FAILURE(record());
  ASSERT_TRUE((*surgeon_)->requestSessionRecording(false));
  ASSERT_TRUE(surgeon_->wait_recording(false));
  EXPECT_EQ(run_command({AMPHI_SERVER_BINARY, "verify", folder_.string()}).status, 0);
  const auto exported = run_command({AMPHI_SERVER_BINARY, "export", "--tracks", folder_.string()});
  EXPECT_EQ(exported.status, 0) << exported.out;
}

TEST_F(FolderOwner, that_was_killed_makes_way_at_once) {
  ASSERT_NO_FATAL_FAILURE(record());
  server_.kill_now();
  EXPECT_NO_THROW(server_.start_again());
  EXPECT_EQ(read_manifest(folder_).at("state"), "repaired");
}

/// Starts it, and does not wait.
pid_t start_server(const std::vector<std::string>& arguments, const fs::path& log) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  const int out = open(log.c_str(), O_CREAT | O_WRONLY, 0600);
  dup2(out, 1);
  dup2(out, 2);
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(127);
}

TEST(FolderLock, goes_to_one_of_two_servers_that_start_at_the_same_moment) {
  const TemporaryFolder folder;
  for (int round = 0; round < 5; ++round) {
    std::vector<pid_t> servers;
    for (const char* name : {"a", "b"})
      servers.push_back(start_server({AMPHI_SERVER_BINARY, "serve", "--dev", "--port", "0", "--recordings", (folder.path() / "recordings").string(), "--ready-file",
                                      (folder.path() / (std::string(name) + ".json")).string()}, folder.path() / name));
    int status = 0;
    const pid_t refused = waitpid(-1, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 1);
    const pid_t owner = servers[0] == refused ? servers[1] : servers[0];
    std::ifstream log(folder.path() / (servers[0] == refused ? "a" : "b"));
    const std::string said((std::istreambuf_iterator<char>(log)), {});
    EXPECT_NE(said.find("(process " + std::to_string(owner) + ")"), std::string::npos) << said;
    kill(owner, SIGKILL);
    waitpid(owner, nullptr, 0);
  }
}

TEST(FolderLock, is_taken_again_while_an_export_of_the_killed_owner_still_lives) {
  ServerProcess server;
  // As an export is: a process that the owner started, and that outlives it.
  const pid_t export_child = start_server({"/bin/sleep", "60"}, server.recordings().parent_path() / "child.log");
  server.kill_now();
  EXPECT_NO_THROW(server.start_again());
  kill(export_child, SIGKILL);
  waitpid(export_child, nullptr, 0);
}

TEST(FolderLock, that_cannot_be_written_leaves_a_read_only_folder_locked) {
  const TemporaryFolder folder;
  if (mount("none", folder.path().c_str(), "tmpfs", 0, "size=1m") != 0) GTEST_SKIP() << "run as root: only that may mount a disk";
  mount("none", folder.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr);
  {
    ServerProcess server({}, folder.path());
    EXPECT_NE(server.log().find("the folder itself is locked"), std::string::npos) << server.log();
    const auto second = second_server(folder.path().string());
    EXPECT_EQ(second.status, 1);
    EXPECT_NE(second.out.find("is in use by"), std::string::npos) << second.out;
  }
  umount2(folder.path().c_str(), MNT_DETACH);
}

TEST(FolderLock, whose_server_cannot_listen_touches_no_recording) {
  const TemporaryFolder folder;
  const fs::path recording = folder.path() / "recordings" / "theatre" / "rec_cut";
  fs::create_directories(recording);
  std::ofstream(recording / "journal.jsonl") << "{}\n";
  const auto before = fs::last_write_time(recording / "journal.jsonl");
  ServerProcess other;
  const auto second = second_server((folder.path() / "recordings").string(), other.port());
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.out.find("listen at"), std::string::npos) << second.out;
  EXPECT_EQ(second.out.find("could not be repaired"), std::string::npos) << "the repair has not begun: " << second.out;
  EXPECT_EQ(fs::last_write_time(recording / "journal.jsonl"), before);
  EXPECT_FALSE(fs::exists(folder.path() / "recordings" / "catalogue.sqlite"));
}

/// By a process that knows nothing of the lock: a server of a version before it, or a copy that is still being made.
TEST(FolderLock, does_not_let_a_journal_be_repaired_that_another_process_still_writes) {
  ServerProcess server;
  SessionProbe surgeon(server.session_url("theatre"), server.token("theatre", "surgeon"));
  ASSERT_TRUE(surgeon.connect());
  const auto tone = surgeon->setOutgoingAudioFeed("tone", AudioInputComponentTone{});
  ASSERT_TRUE(surgeon->requestSessionRecording(true));
  ASSERT_TRUE(surgeon.wait([&] { return surgeon->sessionRecordingState().totalRunningDurationMs() > 2500; }));
  const fs::path folder = server.recordings() / "theatre" / surgeon->sessionRecordingState().recordingId;
  server.kill_now();
  for (const bool keeps_open : {true, false}) {
    SCOPED_TRACE(keeps_open);
    std::atomic<bool> stop{false};
    std::ofstream kept;
    if (keeps_open) kept.open(folder / "journal.jsonl", std::ios::app);
    std::thread appender([&] {
      while (!stop && !keeps_open) {
        std::ofstream(folder / "journal.jsonl", std::ios::app) << " ";
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    });
    EXPECT_NO_THROW(server.start_again());
    EXPECT_EQ(read_manifest(folder).at("state"), "recording");
    EXPECT_NE(server.log().find("another process still writes this recording"), std::string::npos) << server.log();
    const auto refused = http(server.port(), "DELETE", "/v1/sessions/theatre/recordings/" + folder.filename().string(), server.token("theatre", "admin", "admin"));
    EXPECT_NE(refused.body.find("invalid_state"), std::string::npos) << refused.body;
    stop = true;
    appender.join();
    server.kill_now();
  }
  server.start_again();
  EXPECT_EQ(read_manifest(folder).at("state"), "repaired");
}

}  // namespace
}  // namespace amphi::end_to_end
