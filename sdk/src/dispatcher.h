// Delivers events to the application: one thread, in order, with the session held for the length of the call and no lock.
// Any thread may post. An event whose session is gone is dropped.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "task_thread.h"

namespace amphi {
class MediaServerSession;
}

namespace amphi::sdk {

class Dispatcher {
 public:
  using Event = std::function<void(const std::shared_ptr<MediaServerSession>&)>;

  void attach(std::weak_ptr<MediaServerSession> session) {
    std::lock_guard lock(mutex_);
    session_ = std::move(session);
  }
  void post(Event event) {
    thread_.post([event = std::move(event), session = session_of()] {
      if (const auto alive = session.lock()) event(alive);
    });
  }
  void stop() { thread_.stop(); }

 private:
  std::weak_ptr<MediaServerSession> session_of() {
    std::lock_guard lock(mutex_);
    return session_;
  }
  std::mutex mutex_;
  std::weak_ptr<MediaServerSession> session_;
  TaskThread thread_{"amphi-callback"};
};

}  // namespace amphi::sdk
