// The running recordings: starts one (a sink at the session's worker, a job at a writer), stops it, and tells what came of
// it. Each recording is pinned to one of a few writer threads. Thread: control.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>

#include "server/late_hashes.h"
#include "server/media_worker.h"
#include "server/recording_catalogue.h"
#include "server/recording_writer.h"

namespace amphi::server {

class Recordings {
 public:
  /// All called on control. `refused`: it never was on. `finished` is the last word on one that was.
  struct Events {
    std::function<void(const SessionId&, const RecordingId&, Time started_at)> started;
    std::function<void(const SessionId&, const RecordingId&, Duration, std::optional<Error>)> finished;
    std::function<void(const SessionId&, const RecordingId&, Error)> refused;
    std::function<void(const SessionId&, const RecordingId&, bool writing)> media_changed;
    std::function<void(const SessionId&, const RecordingId&, std::vector<RecordingWarning>)> warned;
    std::function<void(const SessionId&, const RecordingId&, const recording::FeedsChanged&)> feeds_changed;
    std::function<void(const SessionId&, const RecordingId&)> repaired;  // some time after it had failed, or been cut off
  };
  struct Options {
    unsigned writers = 1;
    std::uint64_t reserve = 0;  // bytes: see RecordingPlan
    Duration pre_roll{};        // that the workers keep
  };
  Recordings(boost::asio::io_context& control, const RecordingCatalogue& catalogue, const Safe& safe, Options options, Events events);

  /// `revision`: the session's current one. `worker` outlives the recording.
  void start(const SessionId& session, const services::StartRecording& asked, std::uint64_t revision, MediaWorker& worker);
  /// `goes_on`: see services::StopRecording.
  void stop(const RecordingId& id, bool goes_on);
  void add_marker(const RecordingId& id, std::string label, std::string by, Time at);
  /// A recording's of before: see late_hashes.h.
  void complete_later(const std::string& folder) { late_hashes_.add(folder); }
  std::size_t running() const { return running_.size(); }
  bool is_running(const SessionId& session) const;
  bool is_running(const RecordingId& id) const { return running_.contains(id); }
  /// It has failed, and is completed as soon as the disk lets it.
  bool is_mending(const RecordingId& id) const;
  std::uint64_t finished() const { return finished_; }
  std::uint64_t failed() const { return failed_; }
  /// What all recordings left out since the server's start, by reason.
  recording::Drops drops() const;
  /// How often a feed began to lose its media, by reason.
  const Counters<recording::FeedReason>& feed_losses() const { return feed_losses_; }
  const Counters<recording::FeedFault>& feed_faults() const { return feed_faults_; }
  /// Feeds whose media arrive and are not recorded at this moment.
  std::size_t feeds_not_recorded() const;
  /// Ends the writer threads.
  void stop_writers();

 private:
  struct Running {
    SessionId session;
    MediaWorker* worker = nullptr;
    RecordingWriter* writer = nullptr;
    std::shared_ptr<RecordingJob> job;
    bool started = false;
    recording::StorageWatch disk;
    std::shared_ptr<RecordingSink> sink;  // set once the worker has made it
    recording::Drops drops;               // as last told
    std::uint64_t packets_lost = 0;       // before the writer, when the feeds that lose them were last asked for
    std::size_t feeds_not_recorded = 0;
  };
  void on_started(const RecordingId& id, Time at);
  void on_warned(const RecordingId& id, std::optional<RecordingWarning> warning);
  void on_feeds(const RecordingId& id, const recording::FeedsChanged& changed);
  void on_late_repair(const std::string& folder);
  void watch_writers();
  void watch_losses(const RecordingId& id, Running& running);
  static recording::Drops drops_of(const Running& running);
  void on_finished(const RecordingId& id, Duration duration, std::optional<Error> error);

  boost::asio::io_context& control_;
  const RecordingCatalogue& catalogue_;
  const Safe& safe_;
  Options options_;
  const std::optional<FolderId> root_;  // of the recordings
  Events events_;
  LateHashes late_hashes_;
  std::vector<std::unique_ptr<RecordingWriter>> writers_;
  std::size_t next_writer_ = 0;
  boost::asio::steady_timer watch_;
  std::map<RecordingId, Running> running_;
  std::map<RecordingId, std::weak_ptr<RecordingJob>> mending_;  // a job lives as long as it tries
  std::uint64_t finished_ = 0, failed_ = 0;
  recording::Drops drops_of_finished_;
  Counters<recording::FeedReason> feed_losses_;
  Counters<recording::FeedFault> feed_faults_;
};

}  // namespace amphi::server
