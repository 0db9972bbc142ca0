// Reads of a disk, away from the control thread: one that stands still must not stop anybody's signalling.
// Thread: control calls; tasks run on the reader's own threads, in order where it has only one.
#pragma once

#include <sys/prctl.h>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace amphi::server {

class DiskReader {
 public:
  /// `name` is its threads': of at most 15 letters.
  DiskReader(boost::asio::io_context& control, const std::string& name, std::size_t threads = 1) : control_(control) {
    for (std::size_t i = 0; i < threads; ++i)
      threads_.emplace_back([this, name] {
        prctl(PR_SET_NAME, name.c_str());
        tasks_.run();
      });
  }
  /// What was asked for is still done.
  ~DiskReader() {
    open_.reset();
    for (std::thread& thread : threads_) thread.join();
  }

  /// Runs `task()` there; the awaiting coroutine goes on with its result on control. Name the task first (GCC 12).
  template <class Task>
  auto call(Task task) -> boost::asio::awaitable<std::invoke_result_t<Task&>> {
    using Value = std::invoke_result_t<Task&>;
    auto initiate = [this](auto handler, Task work) {
      auto resume = std::make_shared<decltype(handler)>(std::move(handler));
      boost::asio::post(tasks_, [this, resume = std::move(resume), work = std::move(work)]() mutable {
        auto value = std::make_shared<Value>(work());
        boost::asio::post(control_, [resume = std::move(resume), value = std::move(value)] { std::move (*resume)(std::move(*value)); });
      });
    };
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(Value)>(std::move(initiate), boost::asio::use_awaitable, std::move(task));
  }
  /// Nobody waits for it.
  template <class Task>
  void post(Task task) {
    boost::asio::post(tasks_, std::move(task));
  }

 private:
  boost::asio::io_context& control_;
  boost::asio::io_context tasks_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> open_{tasks_.get_executor()};
  std::vector<std::thread> threads_;
};

}  // namespace amphi::server
