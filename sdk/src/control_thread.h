// The session's control thread: an io_context with one thread, and a timer that follows a machine's next deadline.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "base/time.h"

namespace amphi::sdk {

class ControlThread {
 public:
  ControlThread();
  ~ControlThread();  // stops
  /// Any thread.
  void post(std::function<void()> task) { boost::asio::post(*io_, std::move(task)); }
  /// Ends once nothing is left to do, or after `patience`; not from the thread itself.
  void finish(Duration patience);
  bool is_current() const { return std::this_thread::get_id() == thread_.get_id(); }
  const std::shared_ptr<boost::asio::io_context>& io() const { return io_; }

 private:
  std::shared_ptr<boost::asio::io_context> io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::promise<void> ended_;
  std::thread thread_;
};

/// Calls `expired` when the deadline last set has passed. Thread: control.
class DeadlineTimer {
 public:
  DeadlineTimer(boost::asio::io_context& io, std::function<void()> expired);
  void set(Time deadline);  // Time::max(): none
  void cancel() { set(Time::max()); }

 private:
  boost::asio::steady_timer timer_;
  std::function<void()> expired_;
  Time deadline_ = Time::max();
};

}  // namespace amphi::sdk
