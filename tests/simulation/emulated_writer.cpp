#include "tests/simulation/emulated_writer.h"

namespace amphi::testing {
namespace {

void hand_over(recording::Recorder& recorder, const SeenItem& item) {
  if (const auto* packet = std::get_if<SeenPacket>(&item.what))
    return recorder.handle_packet(packet->feed, packet->seq, packet->header, packet->payload, item.at);
  if (const auto* feed = std::get_if<SeenFeed>(&item.what)) return recorder.add_feed(feed->feed, item.at);
  recorder.remove_feed(std::get<SeenFeedLeave>(item.what).feed, item.at);
}

bool drain(EmulatedJob& job) {
  return job.take->drain(job.backlog, [&](const SeenItem& item) { hand_over(job.take->recorder(), item); });
}

}  // namespace

void EmulatedWriter::add(Job job, std::function<bool()> ready) {
  post(job, [this, job, ready = std::move(ready)] {
    if (!ready()) {
      job->closed = true;
      return false;
    }
    job->take.emplace(job->info, job->start, recording::Safekeeping{});
    answer_at_ = job->start;
    jobs_.push_back(job);
    return false;
  });
}

void EmulatedWriter::stop(Job job, Time at, WallTime wall) {
  post(job, [this, job, at, wall, begun = false]() mutable {
    if (job->closed) return false;
    if (!begun && !job->take->end_at(at)) return false;
    begun = true;
    answer_at_ = at;
    if (drain(*job)) return true;
    job->take->complete(at, wall);
    return false;
  });
}

void EmulatedWriter::add_marker(Job job, std::string label, std::string by, Time at) {
  post(job, [this, job, label = std::move(label), by = std::move(by), at] {
    if (job->closed) return false;
    answer_at_ = at;
    job->take->add_marker(label, by, at);
    return false;
  });
}

bool EmulatedWriter::step(EmulatedJob& job) {
  if (job.closed) return false;
  if (!job.take->ending() && drain(job)) {
    answer_at_ = job.take->reached();
    return true;
  }
  answer_at_ = *busy_since_;
  job.take->handle_timeout(answer_at_);
  return false;
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
                      for (const Job& job : jobs_) round_.push_back({job, [this, job] { return step(*job); }});
                      return false;
                    }});
  go();
}

void EmulatedWriter::end_round() {
  busy_since_.reset();
  last_round_ = machine_.now();
  std::erase_if(jobs_, [](const Job& job) { return job->is_over(); });
  if (!posted_.empty()) return wake(machine_.now());
  for (const Job& job : jobs_) {
    if (job->closed) continue;
    if (!job->backlog.items.empty()) look_soon();
    if (const Time due = job->take->recorder().next_timeout(); due != Time::max()) wake(std::max(due, machine_.now()) + machine_.idle());
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
  else answer(job.take->recorder(), *job.disk, op, done, answer_at_);
}

std::optional<recording::Output> EmulatedWriter::poll(EmulatedJob& job) {
  if (job.repair) return job.repair->poll_output();
  if (job.take && !job.closed) return job.take->recorder().poll_output();
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
  if (found && *found) job.repair.emplace(std::move((*found)->journal), *job.disk, std::move((*found)->failed), machine_.wall(), recording::Safekeeping{});
}

}  // namespace amphi::testing
