#include "server/late_hashes.h"

#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/recording_repair.h"

namespace amphi::server {
namespace {

constexpr int kNice = 15;

}  // namespace

LateHashes::LateHashes(const Safe& safe) : safe_(safe), thread_([this] { run(); }) {}

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
    folders_.push_back(std::move(folder));
  }
  wake_.notify_one();
}

bool LateHashes::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void LateHashes::run() {
  prctl(PR_SET_NAME, "late-hashes");
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
  const RepairOptions options{recording::Hashes::all, {}, [this] { return stopping(); }};
  while (true) {
    std::string folder;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !folders_.empty(); });
      if (stopping_) return;
      folder = std::move(folders_.front());
      folders_.pop_front();
    }
    const auto hashed = repair_recording(folder, safe_, options);
    if (stopping()) return;
    if (hashed) spdlog::info("{}: its files are hashed", folder);
    else spdlog::warn("{}: its files could not be hashed: {}", folder, hashed.error().message);
  }
}

}  // namespace amphi::server
