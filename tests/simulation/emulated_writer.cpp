#include "tests/simulation/emulated_writer.h"

#include <utility>

namespace amphi::testing {

void EmulatedWriter::add(Job job, std::shared_ptr<server::RecordingSink> sink, Duration pre_roll, std::function<bool()> ready) {
  post(job, [this, job, sink = std::move(sink), pre_roll, ready = std::move(ready)] {
    job->begin(sink, pre_roll);
    if (!ready()) {
      job->closed = true;
      return false;
    }
    job->open();
    answer_at_ = job->start;
    jobs_.push_back(job);
    return false;
  });
}

void EmulatedWriter::stop(Job job, Time at, WallTime wall) {
  post(job, [job, at, wall] {
    if (!job->closed) job->intake->stop(at, wall, job->space.full());
    return false;
  });
}

void EmulatedWriter::add_marker(Job job, std::string label, std::string by, Time at) {
  post(job, [this, job, label = std::move(label), by = std::move(by), at] {
    if (job->closed) return false;
    answer_at_ = at;
    job->take().add_marker(label, by, at);
    return false;
  });
}

EmulatedWriter::Work EmulatedWriter::step(Job job) {
  return [this, job = std::move(job), worked = false, more = false]() mutable {
    if (job->closed) return false;
    if (!std::exchange(worked, true)) {
      more = job->work();
      answer_at_ = job->take().reached();
      return true;
    }
    const Time now = answer_at_ = *busy_since_;
    if (!job->take().ending() && job->space.is_due(now)) look_at_space(job, now);
    more_ = more_ || more;
    if (!more) job->take().handle_timeout(now);
    return false;
  };
}

void EmulatedWriter::look_at_space(const Job& job, Time now) {
  const auto free = machine_.free(*job, now);
  if (!free) return job->space.skip(now);
  if (!job->space.look(*free, now)) return;
  if (!job->space.full()) return machine_.warned(job, job->space.warning());
  job->full_at = now;
  machine_.full(job);
}

void EmulatedWriter::kill(bool carried_out) {
  if (pending_ && carried_out) (void)round_.front().job->disk->apply(*pending_);
  ++life_;
  busy_since_.reset();
  wake_at_ = Time::max();
  posted_.clear();
  round_.clear();
  pending_.reset();
  jobs_.clear();
  more_ = false;
  behind_since_.reset();
}

void EmulatedWriter::post(Job job, Work work) {
  posted_.push_back({std::move(job), std::move(work)});
  wake(machine_.now());
}

void EmulatedWriter::wake(Time at) {
  if (busy_since_ || at >= wake_at_) return;
  wake_at_ = at;
  machine_.after(at - machine_.now(), [this, life = life_] {
    if (life != life_ || busy_since_ || machine_.now() < wake_at_) return;
    wake_at_ = Time::max();
    begin_round();
  });
}

void EmulatedWriter::begin_round() {
  busy_since_ = answer_at_ = machine_.now();
  for (Task& task : posted_) round_.push_back(std::move(task));
  posted_.clear();
  // Looked up when it is their turn: a task may add or end one.
  round_.push_back({nullptr, [this] {
                      for (const Job& job : jobs_) round_.push_back({job, step(job)});
                      return false;
                    }});
  go();
}

void EmulatedWriter::end_round() {
  behind_since_ = more_ ? busy_since() : std::nullopt;
  busy_since_.reset();
  last_round_ = machine_.now();
  std::erase_if(jobs_, [](const Job& job) { return job->is_over(); });
  if (std::exchange(more_, false) || !posted_.empty()) return wake(machine_.now());
  for (const Job& job : jobs_) {
    if (job->closed) continue;
    if (job->sink->front() != nullptr) look_soon();
    if (const Time due = job->take().recorder().next_timeout(); due != Time::max()) wake(std::max(due, machine_.now()) + machine_.idle());
  }
}

/// Until the disk lets it wait, or the round is over.
void EmulatedWriter::go() {
  while (!round_.empty()) {
    Task& task = round_.front();
    if (pending_) {
      carry_out();
    } else if (auto output = task.job ? poll(*task.job) : std::nullopt) {
      const auto* op = std::get_if<recording::FileOp>(&*output);
      if (op == nullptr) {
        handle(task.job, *output);
        continue;
      }
      pending_ = *op;
      const Duration takes = machine_.latency(*task.job);
      if (takes <= Duration::zero()) continue;
      return machine_.after(takes, [this, life = life_] {
        if (life == life_) go();
      });
    } else if (task.more) {
      task.more = false;
      const bool more = task.work();
      round_.front().more = more;  // the queue may have grown
    } else {
      round_.pop_front();
    }
  }
  end_round();
}

void EmulatedWriter::carry_out() {
  EmulatedJob& job = *round_.front().job;
  const recording::FileOp op = std::move(*pending_);
  pending_.reset();
  const auto done = job.disk->apply(op);
  if (job.repair) answer(*job.repair, *job.disk, op, done, answer_at_);
  else answer(job.take().recorder(), *job.disk, op, done, answer_at_);
}

std::optional<recording::Output> EmulatedWriter::poll(EmulatedJob& job) {
  if (job.repair) return job.repair->poll_output();
  if (job.intake && !job.closed) return job.take().recorder().poll_output();
  return std::nullopt;
}

void EmulatedWriter::handle(const Job& job, const recording::Output& output) {
  const bool closed = std::holds_alternative<recording::Closed>(output);
  if (job->repair) {
    if (closed) job->repair.reset();
    return;
  }
  if (const auto* finished = std::get_if<recording::Finished>(&output)) job->failed = finished->error.has_value();
  if (closed) close(*job);
  machine_.said(job, output);
}

/// What was written before the disk failed is completed at once, if the disk lets it.
void EmulatedWriter::close(EmulatedJob& job) {
  job.closed = true;
  job.disk->kill();  // closes the files
  if (!job.failed) return;
  auto found = repair_case(*job.disk);
  if (found && *found) job.repair.emplace(std::move(**found), *job.disk, machine_.wall(), recording::Safekeeping{});
}

}  // namespace amphi::testing
