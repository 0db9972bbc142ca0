// Exports that were asked for over REST: one after the other, the identities of the sessions in turns, each `amphi-server export` in a process of its own at low priority, with its
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
  std::optional<Error> error;  // for whoever may look: the log has the rest
  std::string output;   // path, once it is done
  std::int64_t from_ms = 0, duration_ms = 0;  // what it holds
};

class ExportJobs {
 public:
  static constexpr std::size_t kMostOfSession = 32;  // made and being made; an identity as many as are free
  static constexpr std::size_t kMostWaiting = 100;   // of the server; an identity of a session as many as are free
  static constexpr std::size_t kAlways = 4;          // of an identity, while any place is free

  /// `program`: amphi-server itself. `recording_key`: the file, or empty. `reserve_mb`: what every export leaves free.
  ExportJobs(boost::asio::io_context& control, Random& random, std::string program, std::string recording_key, std::uint64_t reserve_mb);
  ~ExportJobs();  // cancels what runs, and waits for its end

  std::uint64_t reserve() const { return reserve_mb_ * 1'000'000; }

  /// `made`: so many files lie with the session already. Errors: limit_exceeded (too many wait, or are there).
  Result<ExportStatus> add(const ExportRequest& request, std::size_t made);
  /// nullptr: unknown.
  const ExportStatus* find(const std::string& id) const;
  /// One that waits is "cancelled"; one that runs is "cancelling" until its process has ended. False: unknown, or over.
  bool cancel(const std::string& id);
  /// The file was removed: whoever made it has none.
  void forget_file(const std::string& output);
  /// The recording is deleted: what shows it is not known any more, and what is being made of it ends.
  void forget(const std::string& session, const std::string& recording);

 private:
  struct Job;
  static bool end(Job& job);
  Result<void> check_places(const ExportRequest& request, std::size_t made) const;
  /// Of the identity that has waited for the longest, unless one runs.
  void run_next();
  void run(const std::shared_ptr<Job>& job);
  void forget_old();

  boost::asio::io_context& control_;
  Random& random_;
  const std::string program_, recording_key_;
  const std::uint64_t reserve_mb_;
  std::map<std::string, std::shared_ptr<Job>> jobs_;
  std::vector<std::string> order_;  // the oldest first
  std::map<std::string, std::uint64_t> turns_;  // by identity of a session: when it last had one, counted in exports
  std::uint64_t turn_ = 0;
  bool running_ = false;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);  // for what is posted to control
  boost::asio::thread_pool thread_{1};
};

}  // namespace amphi::server
