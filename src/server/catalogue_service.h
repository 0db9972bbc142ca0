// The catalogue's index on a thread of its own: asked from control without blocking it; what is older than the retention goes.
// Thread: control.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/catalogue_index.h"
#include "server/disk_reader.h"
#include "server/retention_keeper.h"

namespace amphi::server {

class CatalogueService {
 public:
  /// What is asked for the time; a test gives its own.
  struct Clock {
    std::function<WallTime()> wall;
    std::function<Time()> now;
  };
  struct RetentionOptions {
    std::string root;   // the recordings folder
    unsigned days = 0;  // zero: recordings are kept
    std::string run;    // a name that no other start of the server has
  };
  CatalogueService(boost::asio::io_context& control, CatalogueIndex index, RetentionOptions retention, Clock clock);

  /// Runs `task(CatalogueIndex&)` there; the awaiting coroutine goes on with its result on control. Name the task first (GCC 12).
  template <class Task>
  auto call(Task task) -> boost::asio::awaitable<std::invoke_result_t<Task&, CatalogueIndex&>> {
    return reader_.call([this, task = std::move(task)]() mutable { return task(index_); });
  }
  /// A recording began or ended.
  void refresh(const SessionId& session, const RecordingId& id);
  /// As the index does, and tells. Its arguments are kept.
  boost::asio::awaitable<Result<void>> remove(std::string session, std::string id, std::string by);
  /// `tell` hears on control of each recording that is deleted, by a request (before it is answered) or by the retention. Set before control runs.
  void on_removed(std::function<void(const std::string& session, const std::string& id)> tell) { *removed_ = std::move(tell); }

 private:
  using Removed = std::function<void(const std::string& session, const std::string& id)>;
  void look_for_expired();
  Result<void> remove_now(const std::string& session, const std::string& id, const std::string& by);

  boost::asio::io_context& control_;
  const std::shared_ptr<Removed> removed_ = std::make_shared<Removed>();

  CatalogueIndex index_;  // the thread's
  const Clock clock_;
  std::optional<RetentionKeeper> retention_;  // the thread's; nullopt: recordings are kept
  boost::asio::steady_timer timer_;
  DiskReader reader_;  // last: its thread uses the index
};

}  // namespace amphi::server
