#include "server/retention_keeper.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "recording/manifest.h"
#include "runtime/file_writer.h"
#include "server/recording_place.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "/retention.json";
constexpr std::size_t kMaxState = 64 * 1024 * 1024;

RetentionEvidence evidence_of(const std::string& root, const CatalogueEntry& entry) {
  RetentionEvidence evidence{entry.session, entry.id, entry.started_ms, entry.stopped_ms, std::nullopt, 0, 0};
  const std::string folder = root + "/" + entry.session + "/" + entry.id;
  if (const auto info = recorded_as(folder)) evidence.journal_ms = info->started_at.unix_ms;
  std::optional<std::int64_t> oldest;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    struct stat found {};
    if (::lstat(at->path().c_str(), &found) != 0 || !S_ISREG(found.st_mode)) continue;
    const std::int64_t ms = found.st_mtim.tv_sec * 1000 + found.st_mtim.tv_nsec / 1'000'000;
    evidence.newest_file_ms = std::max(evidence.newest_file_ms, ms);
    oldest = std::min(oldest.value_or(ms), ms);
  }
  evidence.oldest_file_ms = oldest.value_or(0);
  return evidence;
}

}  // namespace

RetentionKeeper::RetentionKeeper(std::string root, unsigned days, std::string run, Time started)
    : root_(std::move(root)), days_(days), retention_(days, std::move(run), started) {}

RetentionView RetentionKeeper::view_of(const CatalogueIndex& index, WallTime wall) const {
  RetentionView view;
  view.finished = index.finished_count();
  const auto newest = index.newest();
  view.newest = newest.recording;
  view.newest_ms = newest.ms;
  for (const auto& entry : index.ended_before(retention_.limit_ms(wall))) view.old.push_back(evidence_of(root_, entry));
  return view;
}

void RetentionKeeper::tell(const RetentionPlan& plan, WallTime wall) {
  if (!plan.paused.empty() && plan.paused != paused_) spdlog::error("retention: paused, nothing is deleted: {}", plan.paused);
  if (plan.paused.empty() && !paused_.empty()) spdlog::info("retention: goes on, the clock agrees with the recordings");
  paused_ = plan.paused;
  for (const auto& [recording, why] : plan.doubted) spdlog::warn("retention: recording {}/{} is kept, its age is not known: {}", recording.session, recording.id, why);
  for (const auto& mark : plan.unmarked) spdlog::warn("retention: recording {}/{} is no longer marked for deletion", mark.session, mark.id);
  for (const auto& recording : plan.marked)
    spdlog::warn("retention: recording {}/{} is marked at {}: it ended at {}, and will be deleted after the next start of the server, or after 24 h", recording.session,
                 recording.id, recording::iso8601(wall), recording::iso8601({recording.stopped_ms}));
}

void RetentionKeeper::look(const CatalogueIndex& index, WallTime wall, Time now, const Remove& remove) {
  if (!state_) {
    const auto text = runtime::read_file(root_ + kFile, kMaxState);
    if (!text && text.error().code != ErrorCode::not_found) return spdlog::error("retention: nothing is deleted: {}", text.error().message);
    state_ = text ? retention_state(*text) : RetentionState{};
  }
  const RetentionPlan plan = retention_.plan(*state_, view_of(index, wall), wall, now);
  tell(plan, wall);
  // A mark that is not durable would be made again by each run.
  if (const auto stored = runtime::replace_file(root_ + kFile, as_bytes(text_of(plan.next))); !stored)
    return spdlog::error("retention: nothing is deleted, the marks cannot be stored: {}", stored.error().message);
  state_ = plan.next;
  for (const auto& recording : plan.deleted) {
    const auto removed = remove(recording.session, recording.id, "retention of " + std::to_string(days_) + " days");
    if (!removed) spdlog::error("retention: recording {}/{}: {}", recording.session, recording.id, removed.error().message);
  }
}

}  // namespace amphi::server
