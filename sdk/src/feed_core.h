// What stands behind every feed object: its state, its statistics, and the way to end it. Any thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "amphi/error.h"
#include "amphi/feed.h"
#include "base/result.h"
#include "dispatcher.h"

namespace amphi::sdk {

class FeedCore : public std::enable_shared_from_this<FeedCore> {
 public:
  FeedCore(std::string id, std::string label, std::shared_ptr<Dispatcher> dispatcher);

  // --- the application's side
  std::string id() const;
  const std::string& label() const { return label_; }
  FeedState state() const;
  std::error_code error() const;
  std::string error_message() const;
  FeedStatistics statistics() const;
  void on_state_changed(Feed::StateHandler handler);
  void stop();

  // --- the session's side
  /// How the session takes the feed down; called at most once, when the feed ends for whatever reason.
  void set_teardown(std::function<void()> teardown);
  void set_id(std::string id);
  void set_running();
  bool has_run() const { return state() == FeedState::running; }
  /// Whether no media can get through (`Errc::mediaUnreachable`) while the feed lives. Told at each change.
  void set_unreachable(bool unreachable);
  /// Ends the feed: an empty error is `stopped`, any other `failed`. `message`: the error's cause in words. Only the first end counts.
  void end(std::error_code error, std::string message = {});
  void fail(const Error& error);
  bool ended() const;
  void update(const std::function<void(FeedStatistics&)>& change);

 private:
  void tell(FeedState state, std::error_code error);

  mutable std::mutex mutex_;
  std::string id_;
  const std::string label_;
  const std::shared_ptr<Dispatcher> dispatcher_;
  FeedState state_ = FeedState::starting;
  std::error_code error_;
  std::string error_message_;   // empty: the error's own
  FeedStatistics statistics_;
  Feed::StateHandler handler_;
  std::function<void()> teardown_;
};

}  // namespace amphi::sdk
