#include "other_process.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "main.h"
#include "session_probe.h"

extern char** environ;

namespace amphi::end_to_end {
namespace {

constexpr std::string_view kFlag = "--other-process";

nlohmann::json describe(SessionProbe& probe) {
  const auto state = probe->sessionRecordingState();
  const auto happened = probe.happened();
  return {{"participantId", probe->participantId()}, {"connected", happened.connected}, {"reconnected", happened.reconnected},
          {"disconnected", happened.disconnected}, {"on", state.on}, {"updatePending", state.updatePending},
          {"totalMs", state.totalRunningDurationMs()}, {"recordingId", state.recordingId}, {"error", state.error ? state.error.message() : ""}};
}

std::optional<int> run_other_process(int argc, char** argv) {
  if (argc != 5 || argv[1] != kFlag) return std::nullopt;
  const std::filesystem::path file = argv[4];
  SessionProbe probe(argv[2], argv[3]);
  const auto scope = probe->addOutgoingVideoFeed("scope", {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 200'000, 320, 180, 15}});
  const auto voice = probe->setOutgoingAudioFeed("voice", AudioInputComponentTone{});
  if (!probe->connect()) return 1;
  const pid_t parent = getppid();
  while (getppid() == parent) {
    std::ofstream(file.string() + ".new") << describe(probe).dump();
    std::filesystem::rename(file.string() + ".new", file);
    std::this_thread::sleep_for(100ms);
  }
  return 0;
}

const bool kRegistered = (run_instead_of_tests = run_other_process, true);

}  // namespace

OtherProcess::OtherProcess(const std::string& url, const std::string& token) {
  std::string program = "/proc/self/exe", flag(kFlag), address = url, key = token, file = (folder_.path() / "status.json").string();
  char* arguments[] = {program.data(), flag.data(), address.data(), key.data(), file.data(), nullptr};
  if (posix_spawn(&pid_, program.c_str(), nullptr, nullptr, arguments, environ) != 0) throw std::runtime_error("cannot start another process");
}

OtherProcess::~OtherProcess() { kill_now(); }

void OtherProcess::freeze() { kill(pid_, SIGSTOP); }
void OtherProcess::wake() { kill(pid_, SIGCONT); }

void OtherProcess::kill_now() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

nlohmann::json OtherProcess::status() const {
  std::ifstream file(folder_.path() / "status.json");
  const auto read = nlohmann::json::parse(file, nullptr, false);
  return read.is_object() ? read : nlohmann::json::object();
}

}  // namespace amphi::end_to_end
