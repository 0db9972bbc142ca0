// Another machine: a network namespace, joined to the test's own by a cable. Thread: the test's.
#pragma once

#include <fcntl.h>
#include <sched.h>

#include <future>
#include <stdexcept>
#include <string>
#include <thread>

namespace amphi::end_to_end {

/// Runs commands of the shell here. Throws where one fails.
void shell(const std::string& commands);

/// Here are 10.88.0.1, 10.88.0.3 and fd88::1; there 10.88.0.2 and fd88::2. All of it goes with the object.
class OtherMachine {
 public:
  OtherMachine();
  ~OtherMachine();
  OtherMachine(const OtherMachine&) = delete;
  OtherMachine& operator=(const OtherMachine&) = delete;

  /// Runs `task` there; what it starts (a session's threads) stays there.
  template <class Task>
  auto run(Task task) {
    std::packaged_task<decltype(task())()> there([&] {
      if (setns(namespace_, CLONE_NEWNET) != 0) throw std::runtime_error("setns");
      return task();
    });
    auto result = there.get_future();
    std::thread(std::ref(there)).join();
    return result.get();
  }
  /// Its addresses are gone, all but loopback's.
  void leave_network();
  /// It has this address ("10.88.0.9/24") now, too.
  void join_network(const std::string& address);

 private:
  int namespace_ = -1;
  bool made_ = false;
};

}  // namespace amphi::end_to_end
