#include "feed_core.h"

#include "error_map.h"

namespace amphi::sdk {

FeedCore::FeedCore(std::string id, std::string label, std::shared_ptr<Dispatcher> dispatcher)
    : id_(std::move(id)), label_(std::move(label)), dispatcher_(std::move(dispatcher)) {}

std::string FeedCore::id() const {
  std::lock_guard lock(mutex_);
  return id_;
}
FeedState FeedCore::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}
std::error_code FeedCore::error() const {
  std::lock_guard lock(mutex_);
  return error_;
}
std::string FeedCore::error_message() const {
  std::lock_guard lock(mutex_);
  return error_message_.empty() && error_ ? error_.message() : error_message_;
}
FeedStatistics FeedCore::statistics() const {
  std::lock_guard lock(mutex_);
  return statistics_;
}
bool FeedCore::ended() const {
  const FeedState now = state();
  return now == FeedState::stopped || now == FeedState::failed;
}

void FeedCore::on_state_changed(Feed::StateHandler handler) {
  std::lock_guard lock(mutex_);
  handler_.swap(handler);  // the old one is destroyed after the lock is let go: it may hold the last of anything
}

void FeedCore::set_teardown(std::function<void()> teardown) {
  {
    std::lock_guard lock(mutex_);
    if (state_ != FeedState::stopped && state_ != FeedState::failed) {
      teardown_ = std::move(teardown);
      return;
    }
  }
  teardown();
}

void FeedCore::set_id(std::string id) {
  std::lock_guard lock(mutex_);
  id_ = std::move(id);
}

void FeedCore::set_running() {
  {
    std::lock_guard lock(mutex_);
    if (state_ != FeedState::starting) return;
    state_ = FeedState::running;
    error_.clear();
  }
  tell(FeedState::running, {});
}

void FeedCore::set_unreachable(bool unreachable) {
  const std::error_code error = unreachable ? make_error_code(Errc::mediaUnreachable) : std::error_code{};
  FeedState now;
  {
    std::lock_guard lock(mutex_);
    if (state_ == FeedState::stopped || state_ == FeedState::failed || error_ == error) return;
    error_ = error;
    now = state_;
  }
  tell(now, error);
}

void FeedCore::fail(const Error& error) { end(errc_of(error.code), error.message); }

void FeedCore::end(std::error_code error, std::string message) {
  const FeedState final_state = error ? FeedState::failed : FeedState::stopped;
  std::function<void()> teardown;
  {
    std::lock_guard lock(mutex_);
    if (state_ == FeedState::stopped || state_ == FeedState::failed) return;
    state_ = final_state;
    error_ = error;
    error_message_ = std::move(message);
    teardown.swap(teardown_);
  }
  tell(final_state, error);
  if (teardown) teardown();
}

void FeedCore::stop() { end({}); }

void FeedCore::update(const std::function<void(FeedStatistics&)>& change) {
  std::lock_guard lock(mutex_);
  change(statistics_);
}

void FeedCore::tell(FeedState state, std::error_code error) {
  dispatcher_->post([self = shared_from_this(), state, error](const auto&) {
    Feed::StateHandler handler;
    {
      std::lock_guard lock(self->mutex_);
      handler = self->handler_;
      // The last event lets the handler go, and with it whatever the application gave it to hold.
      if (state == FeedState::stopped || state == FeedState::failed) self->handler_ = nullptr;
    }
    if (handler) handler(state, error);
  });
}

}  // namespace amphi::sdk

namespace amphi {

Feed::Feed(std::shared_ptr<sdk::FeedCore> core) : core_(std::move(core)) {}
Feed::~Feed() = default;
std::string Feed::id() const { return core_->id(); }
std::string Feed::label() const { return core_->label(); }
FeedState Feed::state() const { return core_->state(); }
std::error_code Feed::error() const { return core_->error(); }
std::string Feed::errorMessage() const { return core_->error_message(); }
FeedStatistics Feed::statistics() const { return core_->statistics(); }
void Feed::onStateChanged(StateHandler handler) { core_->on_state_changed(std::move(handler)); }
void Feed::stop() { core_->stop(); }

}  // namespace amphi
