#include "server/late_hashes.h"

#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "runtime/clock.h"
#include "server/recording_repair.h"

namespace amphi::server {
namespace {

constexpr int kNice = 15;

}  // namespace

LateHashes::LateHashes(const Safe& safe, std::function<void(const std::string&)> repaired, Duration again)
    : safe_(safe), repaired_(std::move(repaired)), again_(again), thread_([this] { run(); }) {}

LateHashes::~LateHashes() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void LateHashes::add(std::string folder) {
  {
    const std::lock_guard lock(mutex_);
    work_.push_back({std::move(folder), {}, again_});
  }
  wake_.notify_one();
}

bool LateHashes::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

std::optional<LateHashes::Work> LateHashes::next() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto first = std::min_element(work_.begin(), work_.end(), [](const Work& a, const Work& b) { return a.due < b.due; });
    const Time now = runtime::now();
    if (first == work_.end()) {
      wake_.wait(lock);
    } else if (first->due > now) {
      wake_.wait_for(lock, first->due - now);
    } else {
      Work work = std::move(*first);
      work_.erase(first);
      return work;
    }
  }
  return std::nullopt;
}

void LateHashes::run() {
  prctl(PR_SET_NAME, "late-hashes");
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
  const RepairOptions options{recording::Hashes::all, {}, [this] { return stopping(); }, false};
  while (auto work = next()) {
    const auto done = repair_recording(work->folder, safe_, options);
    if (stopping()) return;
    if (done) {
      spdlog::info("{}: {}", work->folder, done->completed ? "it was cut off, and is repaired" : "its files are hashed");
      if (done->completed && repaired_) repaired_(work->folder);
      continue;
    }
    spdlog::warn("{}: it could not be completed: {}", work->folder, done.error().message);
    if (!may_be_repaired_later(done.error())) continue;
    work->due = runtime::now() + work->wait;
    work->wait = std::min(2 * work->wait, kAgainAtMost);
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(*work));
  }
}

}  // namespace amphi::server
