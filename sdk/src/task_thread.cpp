#include "task_thread.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>

namespace amphi::sdk {

// Shared with the thread, so that the thread may outlive the object (which may be destroyed by one of its own tasks).
struct TaskThread::State {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::function<void()>> tasks;
  bool stopping = false;

  void run() {
    for (;;) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return stopping || !tasks.empty(); });
        if (tasks.empty()) return;
        task = std::move(tasks.front());
        tasks.pop_front();
      }
      task();
    }
  }
};

TaskThread::TaskThread(std::string name) : state_(std::make_shared<State>()) {
  thread_ = std::thread([state = state_, name = std::move(name)] {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    state->run();
  });
}

TaskThread::~TaskThread() { stop(); }

void TaskThread::post(std::function<void()> task) {
  {
    std::lock_guard lock(state_->mutex);
    if (state_->stopping) return;
    state_->tasks.push_back(std::move(task));
  }
  state_->wake.notify_one();
}

bool TaskThread::is_current() const { return thread_.get_id() == std::this_thread::get_id(); }
void TaskThread::stop() { end(true); }
void TaskThread::finish() { end(false); }

void TaskThread::end(bool drop) {
  std::deque<std::function<void()>> dropped;  // destroyed without the lock: a task may hold the last of anything
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    if (drop) dropped.swap(state_->tasks);
  }
  state_->wake.notify_one();
  if (!thread_.joinable()) return;
  if (is_current()) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

}  // namespace amphi::sdk
