#include "control_thread.h"

#include <pthread.h>

namespace amphi::sdk {

namespace asio = boost::asio;

ControlThread::ControlThread() : io_(std::make_shared<asio::io_context>(1)), work_(asio::make_work_guard(*io_)) {
  thread_ = std::thread([this, io = io_] {
    pthread_setname_np(pthread_self(), "amphi-control");
    io->run();
    ended_.set_value();
  });
}

ControlThread::~ControlThread() {
  io_->stop();
  if (thread_.joinable()) thread_.join();
}

void ControlThread::finish(Duration patience) {
  if (!thread_.joinable()) return;
  // Without the work guard the loop ends by itself when the last socket has said goodbye.
  post([this] { work_.reset(); });
  ended_.get_future().wait_for(patience);
  io_->stop();
  thread_.join();
}

DeadlineTimer::DeadlineTimer(asio::io_context& io, std::function<void()> expired) : timer_(io), expired_(std::move(expired)) {}

void DeadlineTimer::set(Time deadline) {
  if (deadline == deadline_) return;
  deadline_ = deadline;
  timer_.cancel();
  if (deadline == Time::max()) return;
  // Time is CLOCK_MONOTONIC, and so is steady_clock here.
  timer_.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline.time_since_epoch())));
  timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    deadline_ = Time::max();
    expired_();
  });
}

}  // namespace amphi::sdk
