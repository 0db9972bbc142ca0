// Exports that were asked for over REST: one after the other, each `amphi-server export` in a process of its own at low priority, with its
// progress, and cancelled when that is asked for: then nothing of it is left when its process has ended. The last thousand are remembered; what they made lies with the recordings.
// Thread: control.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "server/child_process.h"

namespace amphi::server {

struct ExportRequest {
  std::string session, recording;  // recording empty: all of the session's
  std::string folder;              // where they lie
  bool tracks = false;
  std::int64_t from_ms = 0;
  std::optional<std::int64_t> to_ms;
  std::string by;                  // identity
};

struct ExportStatus {
  std::string id, session, recording, state;  // "waiting", "running", "done", "failed", "cancelling", "cancelled"
  bool tracks = false;
  double progress = 0;  // 0 to 1
  std::string error;
  std::string output;   // path, once it is done
  std::int64_t from_ms = 0, duration_ms = 0;  // what it holds
};

class ExportJobs {
 public:
  /// `program`: amphi-server itself. `recording_key`: the file, or empty.
  ExportJobs(boost::asio::io_context& control, Random& random, std::string program, std::string recording_key);
  ~ExportJobs();  // cancels what runs, and waits for its end

  /// Errors: limit_exceeded (too many wait).
  Result<ExportStatus> add(const ExportRequest& request);
  /// nullptr: unknown.
  const ExportStatus* find(const std::string& id) const;
  /// One that waits is "cancelled"; one that runs is "cancelling" until its process has ended. False: unknown, or over.
  bool cancel(const std::string& id);
  /// The recording is deleted: what shows it is not known any more, and what is being made of it ends.
  void forget(const std::string& session, const std::string& recording);

 private:
  struct Job;
  static bool end(Job& job);
  void run(const std::shared_ptr<Job>& job);
  void forget_old();

  boost::asio::io_context& control_;
  Random& random_;
  const std::string program_, recording_key_;
  std::map<std::string, std::shared_ptr<Job>> jobs_;
  std::vector<std::string> order_;  // the oldest first
  boost::asio::thread_pool thread_{1};
};

}  // namespace amphi::server
