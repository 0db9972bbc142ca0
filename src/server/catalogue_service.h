// The catalogue's index on a thread of its own: asked from control without blocking it; what is older than the retention goes.
// Thread: control.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>

#include "server/catalogue_index.h"

namespace amphi::server {

class CatalogueService {
 public:
  /// Zero days: recordings are kept.
  CatalogueService(boost::asio::io_context& control, CatalogueIndex index, unsigned retention_days);
  ~CatalogueService();

  /// Runs `task(CatalogueIndex&)` there; the awaiting coroutine goes on with its result on control. Name the task first (GCC 12).
  template <class Task>
  auto call(Task task) -> boost::asio::awaitable<std::invoke_result_t<Task&, CatalogueIndex&>>;
  /// A recording began or ended.
  void refresh(const SessionId& session, const RecordingId& id);

 private:
  void look_for_expired();

  boost::asio::io_context& control_;
  CatalogueIndex index_;  // the thread's
  const unsigned retention_days_;
  boost::asio::steady_timer timer_;
  boost::asio::thread_pool thread_{1};
};

template <class Task>
auto CatalogueService::call(Task task) -> boost::asio::awaitable<std::invoke_result_t<Task&, CatalogueIndex&>> {
  using Value = std::invoke_result_t<Task&, CatalogueIndex&>;
  auto initiate = [this](auto handler, Task work) {
    auto resume = std::make_shared<decltype(handler)>(std::move(handler));
    boost::asio::post(thread_, [this, resume = std::move(resume), work = std::move(work)]() mutable {
      auto value = std::make_shared<Value>(work(index_));
      boost::asio::post(control_, [resume = std::move(resume), value = std::move(value)] { std::move (*resume)(std::move(*value)); });
    });
  };
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(Value)>(std::move(initiate), boost::asio::use_awaitable, std::move(task));
}

}  // namespace amphi::server
