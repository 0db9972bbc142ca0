// An amphi-server as a real process with a folder of its own, and tokens for it. Thread: the test's.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace amphi::end_to_end {

/// A folder that is gone at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// What a command printed; `status` is its exit status. Waits for its end.
struct CommandResult {
  int status = 0;
  std::string out;
};
CommandResult run_command(const std::vector<std::string>& arguments);

class ServerProcess {
 public:
  /// `extra`: further flags for `amphi-server serve`. `recordings`: where to record; empty: in its own folder. `dev`: with --dev, which takes
  /// loopback only; else with a key file.
  explicit ServerProcess(const std::vector<std::string>& extra = {}, std::filesystem::path recordings = {}, bool dev = true);
  ~ServerProcess();  // SIGTERM, then SIGKILL after 15 s
  /// SIGTERM and the exit status; what it printed is in `log()`.
  int stop();
  /// SIGKILL: what a crash is to the files.
  void kill_now();
  /// Once more after its end: same folder, same key, same port.
  void start_again();

  std::string session_url(const std::string& session) const { return url_ + "/s/" + session; }
  const std::string& url() const { return url_; }
  int port() const { return port_; }
  pid_t pid() const { return pid_; }
  std::filesystem::path recordings() const { return recordings_.empty() ? folder_.path() / "recordings" : recordings_; }
  std::string log() const;

  std::string token(const std::string& session, const std::string& identity, const std::string& grants = "publish,subscribe,record",
                    int valid_seconds = 3600) const;
  const std::string& key() const { return key_; }

 private:
  void start(std::vector<std::string> further);
  std::vector<std::string> with_key_file() const;

  TemporaryFolder folder_;
  std::vector<std::string> extra_;
  std::filesystem::path recordings_;
  pid_t pid_ = -1;
  std::string url_, key_;
  int port_ = 0;
};

}  // namespace amphi::end_to_end
