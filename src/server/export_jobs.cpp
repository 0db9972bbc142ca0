#include "server/export_jobs.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <nlohmann/json.hpp>

namespace amphi::server {
namespace {

constexpr std::size_t kMaxWaiting = 100, kRemembered = 1000;

std::string seconds(std::int64_t ms) {
  const std::string rest = std::to_string(ms % 1000);
  return std::to_string(ms / 1000) + "." + std::string(3 - rest.size(), '0') + rest;
}

bool is_over(const ExportStatus& status) { return status.state != "waiting" && status.state != "running"; }

}  // namespace

struct ExportJobs::Job {
  ExportStatus status;                 // control's
  std::vector<std::string> arguments;
  Cancelled cancelled{false};
};

ExportJobs::ExportJobs(boost::asio::io_context& control, Random& random, std::string program, std::string recording_key)
    : control_(control), random_(random), program_(std::move(program)), recording_key_(std::move(recording_key)) {}

ExportJobs::~ExportJobs() {
  for (const auto& [id, job] : jobs_) job->cancelled.store(true);
  thread_.join();
}

Result<ExportStatus> ExportJobs::add(const ExportRequest& request) {
  const auto waiting = std::count_if(jobs_.begin(), jobs_.end(), [](const auto& entry) { return !is_over(entry.second->status); });
  if (static_cast<std::size_t>(waiting) >= kMaxWaiting) return fail(ErrorCode::limit_exceeded, "100 exports wait already.");
  auto job = std::make_shared<Job>();
  job->status.id = "exp_" + random_.token(16);
  job->status.session = request.session;
  job->status.recording = request.recording;
  job->status.tracks = request.tracks;
  job->status.state = "waiting";
  job->arguments = {program_, "export", request.folder, request.tracks ? "--tracks" : "--composite", "--progress-json", "--from", seconds(request.from_ms)};
  if (request.recording.empty()) job->arguments.push_back("--session");
  if (request.to_ms) job->arguments.insert(job->arguments.end(), {"--to", seconds(*request.to_ms)});
  if (!recording_key_.empty()) job->arguments.insert(job->arguments.end(), {"--recording-key", recording_key_});
  jobs_[job->status.id] = job;
  order_.push_back(job->status.id);
  forget_old();
  spdlog::info("export {} of session {} is asked for by {}", job->status.id, request.session, request.by);
  boost::asio::post(thread_, [this, job] { run(job); });
  return job->status;
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

bool ExportJobs::cancel(const std::string& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || is_over(found->second->status)) return false;
  found->second->cancelled.store(true);
  found->second->status.state = "cancelled";
  return true;
}

void ExportJobs::forget(const std::string& session, const std::string& recording) {
  std::erase_if(order_, [&](const std::string& id) {
    const auto found = jobs_.find(id);
    const ExportStatus& status = found->second->status;
    if (status.session != session || (!status.recording.empty() && status.recording != recording)) return false;
    found->second->cancelled.store(true);
    jobs_.erase(found);
    return true;
  });
}

/// On the jobs' thread.
void ExportJobs::run(const std::shared_ptr<Job>& job) {
  const auto tell = [this, &job](auto change) {
    boost::asio::post(control_, [job, change = std::move(change)] {
      if (job->status.state != "cancelled") change(job->status);
    });
  };
  if (job->cancelled.load()) return;
  tell([](ExportStatus& status) { status.state = "running"; });
  nlohmann::json last;
  const auto done = run_child(job->arguments, job->cancelled, [&](std::string_view line) {
    last = nlohmann::json::parse(line, nullptr, false);
    if (last.is_object() && last.contains("progress")) tell([progress = last.value("progress", 0.0)](ExportStatus& status) { status.progress = progress; });
  });
  if (done && last.is_object() && last.contains("output")) {
    tell([output = last.value("output", ""), from = last.value("fromMs", std::int64_t{0}), duration = last.value("durationMs", std::int64_t{0})](ExportStatus& status) {
      status.state = "done";
      status.progress = 1;
      status.output = output;
      status.from_ms = from;
      status.duration_ms = duration;
    });
  } else {
    tell([error = done ? std::string("it told nothing") : done.error().message](ExportStatus& status) {
      status.state = "failed";
      status.error = error;
    });
  }
}

}  // namespace amphi::server
