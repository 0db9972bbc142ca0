#include "server/export_jobs.h"

#include "base/fair_share.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace amphi::server {
namespace {

constexpr std::size_t kRemembered = 1000;

std::string seconds(std::int64_t ms) {
  const std::string rest = std::to_string(ms % 1000);
  return std::to_string(ms / 1000) + "." + std::string(3 - rest.size(), '0') + rest;
}

std::string key_of(const ExportRequest& request) { return request.session + '\n' + request.by; }

bool is_over(const ExportStatus& status) { return status.state == "done" || status.state == "failed" || status.state == "cancelled"; }

/// What the process told at its end.
struct Made {
  std::string output;
  bool was_there = false;
  std::int64_t from_ms = 0, duration_ms = 0;
};
std::optional<Made> made_of(const nlohmann::json& last) {
  if (!last.is_object() || !last.contains("output")) return std::nullopt;
  return Made{last.value("output", ""), last.value("wasThere", false), last.value("fromMs", std::int64_t{0}), last.value("durationMs", std::int64_t{0})};
}

/// Without what only the server's owner should see.
Error told_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::storage: return {code, "The recordings' disk has no room for it, or fails."};
    case ErrorCode::invalid_argument: return {code, "There is nothing to show in that time, or a recording is not finished."};
    case ErrorCode::invalid_state: return {code, "The same is being exported already."};
    case ErrorCode::unauthorized: return {code, "The recording is encrypted under a key that the server does not have."};
    case ErrorCode::not_found: return {code, "The server has no FFmpeg, or the recording is gone."};
    default: return {ErrorCode::internal, "It failed. The server's log says why."};
  }
}

}  // namespace

struct ExportJobs::Job {
  ExportStatus status;                 // control's
  std::string key;                     // of its identity in its session
  std::vector<std::string> arguments;
  Cancelled cancelled{false};
  /// Each goes to one of the last two once: both threads ask for it, and one of them gets it.
  enum class Phase { waiting, running, over, cancelled };
  std::atomic<Phase> phase{Phase::waiting};
  bool turn(Phase from, Phase to) { return phase.compare_exchange_strong(from, to); }
};

ExportJobs::ExportJobs(boost::asio::io_context& control, Random& random, std::string program, std::string recording_key, std::uint64_t reserve_mb)
    : control_(control), random_(random), program_(std::move(program)), recording_key_(std::move(recording_key)), reserve_mb_(reserve_mb) {}

ExportJobs::~ExportJobs() {
  for (const auto& [id, job] : jobs_) job->cancelled.store(true);
  thread_.join();
}

Result<ExportStatus> ExportJobs::add(const ExportRequest& request, std::size_t made) {
  if (const auto room = check_places(request, made); !room) return tl::unexpected(room.error());
  auto job = std::make_shared<Job>();
  job->status.id = "exp_" + random_.token(16);
  job->status.session = request.session;
  job->key = key_of(request);
  job->status.recording = request.recording;
  job->status.tracks = request.tracks;
  job->status.state = "waiting";
  job->arguments = {program_, "export", request.folder, request.tracks ? "--tracks" : "--composite", "--progress-json", "--from", seconds(request.from_ms),
                    "--recording-reserve-mb", std::to_string(reserve_mb_)};
  job->arguments.push_back("--of-session=" + request.session);
  if (request.recording.empty()) job->arguments.push_back("--session");
  if (request.to_ms) job->arguments.insert(job->arguments.end(), {"--to", seconds(*request.to_ms)});
  if (!recording_key_.empty()) job->arguments.insert(job->arguments.end(), {"--recording-key", recording_key_});
  jobs_[job->status.id] = job;
  order_.push_back(job->status.id);
  forget_old();
  spdlog::info("export {} of session {} is asked for by {}", job->status.id, request.session, request.by);
  run_next();
  return job->status;
}

Result<void> ExportJobs::check_places(const ExportRequest& request, std::size_t made) const {
  const std::string key = key_of(request);
  std::size_t waiting = 0, waiting_of_key = 0, coming = 0, of_key = 0;
  for (const auto& [id, job] : jobs_) {
    const bool over = is_over(job->status);
    waiting += !over;
    waiting_of_key += !over && job->key == key;
    coming += !over && job->status.session == request.session;
    of_key += job->key == key && (!over || job->status.state == "done");  // those whose file was removed are forgotten
  }
  if (waiting >= kMostWaiting) return fail(ErrorCode::limit_exceeded, "100 exports wait already.");
  const std::string remove = "Remove one: GET /v1/sessions/" + request.session + "/exports lists them, DELETE on one of them removes it.";
  if (made + coming >= kMostOfSession) return fail(ErrorCode::limit_exceeded, "32 exports of this session are there or being made. " + remove);
  if (FairShare::left(kMostWaiting, waiting, waiting_of_key, kAlways, 1) == 0) return fail(ErrorCode::limit_exceeded, "This identity has used up its share of the exports that may wait. Wait for one to be done.");
  if (FairShare::left(kMostOfSession, made + coming, of_key, kAlways, 1) == 0) return fail(ErrorCode::limit_exceeded, "This identity has used up its share of the exports of this session. " + remove);
  return {};
}

void ExportJobs::run_next() {
  std::shared_ptr<Job> next;
  const auto turn = [this](const Job& job) {
    const auto found = turns_.find(job.key);
    return found == turns_.end() ? 0 : found->second;
  };
  for (const std::string& id : order_) {
    const auto& job = jobs_.at(id);
    if (job->status.state == "waiting" && (!next || turn(*job) < turn(*next))) next = job;
  }
  if (running_ || !next) return;
  running_ = true;
  if (turns_.size() >= kRemembered) turns_.clear();
  turns_[next->key] = ++turn_;
  boost::asio::post(thread_, [this, next, alive = std::weak_ptr(alive_)] {
    run(next);
    boost::asio::post(control_, [this, alive] {
      if (alive.expired()) return;
      running_ = false;
      run_next();
    });
  });
}

void ExportJobs::forget_old() {
  while (order_.size() > kRemembered) {
    const auto over = std::find_if(order_.begin(), order_.end(), [&](const auto& id) { return is_over(jobs_.at(id)->status); });
    if (over == order_.end()) return;
    jobs_.erase(*over);
    order_.erase(over);
  }
}

const ExportStatus* ExportJobs::find(const std::string& id) const {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second->status;
}

bool ExportJobs::end(Job& job) {
  using Phase = Job::Phase;
  if (job.turn(Phase::waiting, Phase::cancelled)) job.status.state = "cancelled";
  else if (job.turn(Phase::running, Phase::cancelled)) job.status.state = "cancelling";
  job.cancelled.store(job.phase == Phase::cancelled);
  return job.phase == Phase::cancelled;
}

bool ExportJobs::cancel(const std::string& id) {
  const auto found = jobs_.find(id);
  return found != jobs_.end() && !is_over(found->second->status) && end(*found->second);
}

void ExportJobs::forget_file(const std::string& output) {
  std::erase_if(order_, [&](const std::string& id) { return jobs_.at(id)->status.output == output && jobs_.erase(id) > 0; });
}

void ExportJobs::forget(const std::string& session, const std::string& recording) {
  std::erase_if(order_, [&](const std::string& id) {
    const auto found = jobs_.find(id);
    const ExportStatus& status = found->second->status;
    if (status.session != session || (!status.recording.empty() && status.recording != recording)) return false;
    end(*found->second);
    jobs_.erase(found);
    return true;
  });
}

/// On the jobs' thread.
void ExportJobs::run(const std::shared_ptr<Job>& job) {
  using Phase = Job::Phase;
  const auto tell = [this, &job](auto change) { boost::asio::post(control_, [job, change = std::move(change)] { change(job->status); }); };
  const auto tell_going = [&tell](auto change) {
    tell([change = std::move(change)](ExportStatus& status) {
      if (status.state != "cancelling") change(status);
    });
  };
  if (job->cancelled.load() || !job->turn(Phase::waiting, Phase::running)) return;
  tell_going([](ExportStatus& status) { status.state = "running"; });
  nlohmann::json last;
  const auto done = run_child(job->arguments, job->cancelled, [&](std::string_view line) {
    last = nlohmann::json::parse(line, nullptr, false);
    if (last.is_object() && last.contains("progress")) tell_going([progress = last.value("progress", 0.0)](ExportStatus& status) { status.progress = progress; });
  });
  const auto made = made_of(last);
  if (!job->turn(Phase::running, Phase::over)) {  // cancelled, perhaps too late for the process to hear of it; what another one had made stays
    std::error_code ignored;
    if (made && !made->was_there) std::filesystem::remove(made->output, ignored);
    return tell([](ExportStatus& status) { status.state = "cancelled"; });
  }
  if (!done || !made) {
    spdlog::warn("export {} failed: {}", job->status.id, done ? "it told nothing" : done.error().message);
    const auto code = last.is_object() && last.contains("error") ? error_code_from_wire(last.value("error", "")) : ErrorCode::internal;
    return tell([error = told_of(code)](ExportStatus& status) {
      status.state = "failed";
      status.error = error;
    });
  }
  tell([made = *made](ExportStatus& status) {
    status.state = "done";
    status.progress = 1;
    status.output = made.output;
    status.from_ms = made.from_ms;
    status.duration_ms = made.duration_ms;
  });
}

}  // namespace amphi::server
