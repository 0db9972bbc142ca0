// A thread that runs tasks in order: the session's callback thread, and the one that starts and stops pipelines.
// Any thread may post and stop. Tasks that have not begun when it is stopped are dropped (with what they hold).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace amphi::sdk {

class TaskThread {
 public:
  explicit TaskThread(std::string name);
  ~TaskThread();  // stops
  TaskThread(const TaskThread&) = delete;
  TaskThread& operator=(const TaskThread&) = delete;

  void post(std::function<void()> task);
  /// Waits for the running task; called from within a task it does not wait, and the thread ends after that task.
  void stop();
  /// As stop(), but what was posted before still runs.
  void finish();
  bool is_current() const;

 private:
  struct State;
  void end(bool drop);
  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace amphi::sdk
