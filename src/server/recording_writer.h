// A thread that writes recordings: it looks at each of its jobs' queues many times a second rather than being woken for every
// packet, so that the media path makes no system call for it. Jobs come and go by posted tasks.
//
// Thread: post and stop from any; everything else is its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "server/recording_job.h"

namespace amphi::server {

class RecordingWriter {
 public:
  explicit RecordingWriter(std::string thread_name);
  ~RecordingWriter();

  /// `sink`, `pre_roll`: see RecordingJob::begin.
  void add(std::shared_ptr<RecordingJob> job, std::shared_ptr<RecordingSink> sink, Duration pre_roll);
  void post(std::function<void()> task);
  /// Since when there has been work for it without a break; nullopt: it waits for some. Any thread.
  std::optional<Time> busy_since() const {
    const std::int64_t since = busy_since_.load(std::memory_order_relaxed);
    return since == 0 ? std::nullopt : std::optional(Time(Duration(since)));
  }
  /// After the tasks posted so far. A job that is not done is left as a crash would leave it.
  void stop();

 private:
  void run();

  const std::string name_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::shared_ptr<RecordingJob>> jobs_;  // the thread's own
  std::atomic<std::int64_t> busy_since_{0};
  std::thread thread_;
};

}  // namespace amphi::server
