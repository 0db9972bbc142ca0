#include "server_process.h"

#include <algorithm>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace amphi::end_to_end {
namespace {

pid_t spawn(const std::vector<std::string>& arguments, int out) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, out, 2);
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed) throw std::runtime_error("cannot start " + arguments[0]);
  return pid;
}

std::string read_file(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "amphi-test-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary folder");
  path_ = name;
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

CommandResult run_command(const std::vector<std::string>& arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  const pid_t pid = spawn(arguments, ends[1]);
  close(ends[1]);
  CommandResult result;
  std::vector<char> buffer(1 << 16);
  for (ssize_t n; (n = read(ends[0], buffer.data(), buffer.size())) > 0;) result.out.append(buffer.data(), static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

ServerProcess::ServerProcess(const std::vector<std::string>& extra, std::filesystem::path recordings, bool dev)
    : extra_(extra), recordings_(std::move(recordings)) {
  if (dev) {
    start({"--dev", "--port", "0"});
    return;
  }
  for (int i = 0; i < 32; ++i) key_ += "5a";
  auto flags = with_key_file();
  flags.insert(flags.end(), {"--port", "0"});
  start(flags);
}

void ServerProcess::start_again() {
  std::filesystem::remove(folder_.path() / "ready.json");
  auto flags = with_key_file();
  flags.insert(flags.end(), {"--dev", "--port", std::to_string(port_)});
  start(flags);
}

std::vector<std::string> ServerProcess::with_key_file() const {
  const auto file = folder_.path() / "key";
  std::ofstream(file) << key_;
  return {"--key-file", file.string()};
}

void ServerProcess::start(std::vector<std::string> further) {
  const auto ready = folder_.path() / "ready.json";
  const int log = open((folder_.path() / "server.log").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  std::vector<std::string> arguments{AMPHI_SERVER_BINARY, "serve", "--ready-file", ready.string(), "--recordings", recordings().string()};
  // A test may run several servers.
  if (std::find(extra_.begin(), extra_.end(), "--media-port") == extra_.end()) arguments.insert(arguments.end(), {"--media-port", "0"});
  arguments.insert(arguments.end(), further.begin(), further.end());
  arguments.insert(arguments.end(), extra_.begin(), extra_.end());
  pid_ = spawn(arguments, log);
  close(log);
  for (int i = 0; i < 3000 && !std::filesystem::exists(ready); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  if (!std::filesystem::exists(ready)) throw std::runtime_error("the server did not start:\n" + this->log());
  const auto told = nlohmann::json::parse(read_file(ready));
  url_ = told.at("url");
  key_ = told.value("key", key_);
  port_ = told.at("port");
}

ServerProcess::~ServerProcess() { stop(); }

int ServerProcess::stop() {
  if (pid_ < 0) return 0;
  kill(pid_, SIGTERM);
  int status = 0;
  for (int i = 0; i < 1500; ++i) {
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  kill(pid_, SIGKILL);
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return 124;
}

void ServerProcess::kill_now() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string ServerProcess::log() const { return read_file(folder_.path() / "server.log"); }

std::string ServerProcess::token(const std::string& session, const std::string& identity, const std::string& grants, int valid_seconds) const {
  auto result = run_command({AMPHI_SERVER_BINARY, "token", "--key", key_, "--session", session, "--identity", identity, "--grants", grants,
                             "--valid-seconds", std::to_string(valid_seconds)});
  if (result.status != 0) throw std::runtime_error("amphi-server token: " + result.out);
  while (!result.out.empty() && std::isspace(static_cast<unsigned char>(result.out.back()))) result.out.pop_back();
  return result.out;
}

}  // namespace amphi::end_to_end
