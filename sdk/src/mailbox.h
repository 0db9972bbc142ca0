// Frames on their way to the application's callback: a few at most, the oldest goes first when it does not keep up.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "dispatcher.h"

namespace amphi::sdk {

template <class Frame>
class Mailbox : public std::enable_shared_from_this<Mailbox<Frame>> {
 public:
  Mailbox(std::shared_ptr<Dispatcher> dispatcher, std::size_t capacity, std::function<void(const Frame&)> deliver)
      : dispatcher_(std::move(dispatcher)), capacity_(capacity), deliver_(std::move(deliver)) {}

  /// Any thread.
  void put(Frame frame) {
    {
      std::lock_guard lock(mutex_);
      if (closed_) return;
      frames_.push_back(std::move(frame));
      if (frames_.size() > capacity_) {
        frames_.pop_front();
        return;  // the delivery that was posted for the oldest takes the next
      }
    }
    dispatcher_->post([self = this->shared_from_this()](const auto&) { self->deliver_one(); });
  }
  /// Nothing is delivered that had not begun.
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    frames_.clear();
  }

 private:
  void deliver_one() {
    Frame frame;
    {
      std::lock_guard lock(mutex_);
      if (frames_.empty()) return;
      frame = std::move(frames_.front());
      frames_.pop_front();
    }
    deliver_(frame);
  }

  const std::shared_ptr<Dispatcher> dispatcher_;
  const std::size_t capacity_;
  const std::function<void(const Frame&)> deliver_;
  std::mutex mutex_;
  std::deque<Frame> frames_;
  bool closed_ = false;
};

}  // namespace amphi::sdk
