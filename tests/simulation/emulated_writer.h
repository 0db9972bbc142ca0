// The thread that writes recordings (server/recording_writer), in virtual time: rounds of work over its tasks and its recordings'
// sinks (emulated_job.h), in which each operation takes as long as the emulated disk needs, and nothing else happens meanwhile.
// What it decides is the product's: recording/take, recorder, repair. Thread: the test's.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "tests/simulation/emulated_job.h"

namespace amphi::testing {

class EmulatedWriter {
 public:
  using Job = std::shared_ptr<EmulatedJob>;
  /// True: it has more to do, after what it wants of the disk has been carried out.
  using Work = std::function<bool()>;

  struct Machine {
    std::function<void(Duration delay, std::function<void()>)> after;
    std::function<Time()> now;
    std::function<Duration(const EmulatedJob&)> latency;  // of the next operation
    std::function<Duration()> idle;                       // until it looks at its sinks again
    std::function<WallTime()> wall;
    std::function<void(const Job&, const recording::Output&)> said;  // what is no operation
    std::function<std::optional<std::uint64_t>(const EmulatedJob&, Time at)> free;  // bytes of its disk; nullopt: nobody knows
    std::function<void(const Job&)> full;  // it is to be stopped
    std::function<void(const Job&, std::optional<recording::StorageWarning>)> warned;
  };
  explicit EmulatedWriter(Machine machine) : machine_(std::move(machine)) {}

  /// Records what `sink` holds and gets, from `pre_roll` before the job's start on, once `ready` has said so, when the writer comes to it.
  void add(Job job, std::shared_ptr<server::RecordingSink> sink, Duration pre_roll, std::function<bool()> ready);
  void stop(Job job, Time at, WallTime wall);
  void add_marker(Job job, std::string label, std::string by, Time at);
  /// Something is in a sink.
  void look_soon() { wake(machine_.now() + machine_.idle()); }

  /// Without a break.
  std::optional<Time> busy_since() const { return behind_since_ ? behind_since_ : busy_since_; }
  Time last_round() const { return last_round_; }  // its end
  const std::vector<Job>& jobs() const { return jobs_; }
  /// The process ends; an operation that was on its way is carried out, or not.
  void kill(bool carried_out);

 private:
  struct Task {
    Job job;
    Work work;
    bool more = true;
  };
  void post(Job job, Work work);
  void wake(Time at);
  void begin_round();
  void end_round();
  void go();
  Work step(Job job);
  void look_at_space(const Job& job, Time now);
  void carry_out();
  std::optional<recording::Output> poll(EmulatedJob& job);
  void handle(const Job& job, const recording::Output& output);
  void close(EmulatedJob& job);

  Machine machine_;
  std::uint64_t life_ = 0;
  std::optional<Time> busy_since_;
  Time last_round_{};
  Time wake_at_ = Time::max();
  Time answer_at_{};  // what the writer takes for now
  std::vector<Task> posted_;
  std::deque<Task> round_;
  std::optional<recording::FileOp> pending_;
  std::vector<Job> jobs_;
  bool more_ = false;  // of a backlog
  std::optional<Time> behind_since_;
};

}  // namespace amphi::testing
