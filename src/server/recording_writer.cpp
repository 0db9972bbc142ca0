#include "server/recording_writer.h"

#include <sys/prctl.h>

#include <algorithm>

#include "runtime/clock.h"

namespace amphi::server {
namespace {

constexpr auto kLook = std::chrono::milliseconds(10);  // a full queue takes more than a second to fill at this rate

}  // namespace

RecordingWriter::RecordingWriter(std::string thread_name) : name_(std::move(thread_name)), thread_([this] { run(); }) {}
RecordingWriter::~RecordingWriter() { stop(); }

void RecordingWriter::add(std::shared_ptr<RecordingJob> job, std::shared_ptr<RecordingSink> sink, Duration pre_roll) {
  post([this, job = std::move(job), sink = std::move(sink), pre_roll]() mutable {
    job->begin(std::move(sink), pre_roll);
    if (!job->done()) jobs_.push_back(job);
  });
}

void RecordingWriter::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void RecordingWriter::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void RecordingWriter::run() {
  prctl(PR_SET_NAME, name_.c_str());
  std::vector<std::function<void()>> running;
  bool stopping = false, more = false;
  while (!stopping) {
    {
      std::unique_lock lock(mutex_);
      const auto due = [this] { return stopping_ || !tasks_.empty(); };
      if (jobs_.empty()) wake_.wait(lock, due);
      else if (!more) wake_.wait_for(lock, kLook, due);
      running.swap(tasks_);
      stopping = stopping_;
    }
    const Time now = runtime::now();
    if (!more) busy_since_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    for (auto& task : running) task();
    running.clear();
    more = false;  // a backlog is worked off in turns: nobody's stop waits for another's
    for (auto& job : jobs_) more |= job->step(now);
    jobs_.erase(std::remove_if(jobs_.begin(), jobs_.end(), [](const auto& job) { return job->done(); }), jobs_.end());
    if (!more) busy_since_.store(0, std::memory_order_relaxed);
  }
}

}  // namespace amphi::server
