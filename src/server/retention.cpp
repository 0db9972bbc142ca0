#include "server/retention.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "recording/manifest.h"

namespace amphi::server {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kDayMs = 24 * 3600 * 1000;

std::string day(std::int64_t ms) { return recording::iso8601({ms}); }

}  // namespace

std::int64_t RetentionEvidence::newest_ms() const { return std::max({started_ms, stopped_ms, newest_file_ms, journal_ms.value_or(0)}); }

std::string RetentionEvidence::doubt() const {
  if (std::min({started_ms, stopped_ms, oldest_file_ms, journal_ms.value_or(started_ms)}) < Retention::kFirstMs)
    return "it carries a time before " + day(Retention::kFirstMs) + ", when this software did not exist: its clock was wrong";
  if (stopped_ms < started_ms) return "it ended before it began: its clock was set meanwhile";
  if (journal_ms && std::abs(*journal_ms - started_ms) > kDayMs) return "its journal says that it began at " + day(*journal_ms) + ", its manifest at " + day(started_ms);
  if (newest_file_ms < started_ms - kDayMs) return "its files are older than its beginning";
  return {};
}

std::string text_of(const RetentionState& state) {
  Json json{{"clockMs", state.clock_ms}, {"marks", Json::array()}};
  for (const auto& mark : state.marks) json["marks"].push_back({{"session", mark.session}, {"recording", mark.id}, {"run", mark.run}, {"atMs", mark.at_ms}});
  if (state.since_share_ms) json["uptimeSinceDeletionMs"] = *state.since_share_ms;
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

RetentionState retention_state(std::string_view text) {
  RetentionState state;
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("clockMs") || !json["clockMs"].is_number_integer() || !json.contains("marks") || !json["marks"].is_array()) return state;
  state.clock_ms = json["clockMs"].get<std::int64_t>();
  if (const auto uptime = json.find("uptimeSinceDeletionMs"); uptime != json.end()) {
    if (!uptime->is_number_integer()) return {};
    state.since_share_ms = uptime->get<std::int64_t>();
  }
  for (const Json& entry : json["marks"]) {
    const auto has_text = [&](const char* name) { return entry.contains(name) && entry[name].is_string(); };
    if (!entry.is_object() || !has_text("session") || !has_text("recording") || !has_text("run") || !entry.contains("atMs") || !entry["atMs"].is_number_integer()) return {};
    state.marks.push_back({entry["session"], entry["recording"], entry["run"], entry["atMs"].get<std::int64_t>(), {}});
  }
  return state;
}

std::int64_t Retention::limit_ms(WallTime wall) const { return wall.unix_ms - static_cast<std::int64_t>(days_) * kDayMs; }

std::string Retention::why_paused(const RetentionState& state, const RetentionView& view, WallTime wall, Time now) const {
  const std::string clock = "the clock says " + day(wall.unix_ms) + ", ";
  if (wall.unix_ms < kFirstMs) return clock + "and this software is younger than that";
  if (wall.unix_ms < view.newest_ms - kSlackMs) return clock + "and recording " + view.newest + " is of " + day(view.newest_ms) + ". Set the clock, or delete that recording if its time is wrong";
  if (wall.unix_ms < state.clock_ms - kSlackMs) return clock + "and said " + day(state.clock_ms) + " before";
  if (view.finished == 0 && state.clock_ms == 0) return {};  // nothing can be deleted, and nothing tells the time
  const std::int64_t known = state.clock_ms > 0 ? state.clock_ms : view.newest_ms;
  const std::int64_t far_ms = std::max<std::int64_t>(kFarAheadDays, 2 * static_cast<std::int64_t>(days_)) * kDayMs;
  if (wall.unix_ms - known > far_ms && now - started_ < kCorroborated)
    return clock + "and the last time that it is known to have been right is " + day(known) + ". It is believed once the server has run for 7 days";
  return {};
}

bool Retention::is_ripe(const RetentionMark& mark, Time now) const { return mark.run != run_ || now - mark.made >= kLaterRun; }

RetentionPlan Retention::plan(const RetentionState& state, const RetentionView& view, WallTime wall, Time now) {
  RetentionPlan plan;
  plan.next = state;
  if (plan.next.since_share_ms && looked_at_) *plan.next.since_share_ms += to_ms(now - *looked_at_);
  looked_at_ = now;
  plan.paused = why_paused(state, view, wall, now);
  // A clock that disagrees costs this run. Marks of a time that is not yet were made under a clock that was wrong.
  std::erase_if(plan.next.marks, [&](const RetentionMark& mark) {
    const bool wrong = mark.at_ms > wall.unix_ms + kSlackMs;
    if (wrong) plan.unmarked.push_back(mark);
    return wrong;
  });
  if (!plan.paused.empty()) {
    const bool agrees_with_recordings = wall.unix_ms >= view.newest_ms && wall.unix_ms >= kFirstMs;
    if (plan.next.clock_ms == 0) plan.next.clock_ms = view.newest_ms;
    else if (agrees_with_recordings) plan.next.clock_ms = std::min(plan.next.clock_ms, wall.unix_ms);
    return plan;
  }
  if (view.finished > 0 || state.clock_ms > 0) plan.next.clock_ms = wall.unix_ms;
  const auto marks = std::exchange(plan.next.marks, {});
  std::vector<RetentionEvidence> ripe;
  for (const RetentionEvidence& recording : view.old) {
    if (recording.newest_ms() >= limit_ms(wall)) continue;
    if (auto doubt = recording.doubt(); !doubt.empty()) {
      if (doubted_.emplace(recording.session, recording.id).second) plan.doubted.emplace_back(recording, std::move(doubt));
      continue;
    }
    const auto mark = std::find_if(marks.begin(), marks.end(), [&](const auto& m) { return m.is_of(recording); });
    plan.next.marks.push_back(mark != marks.end() ? *mark : RetentionMark{recording.session, recording.id, run_, wall.unix_ms, now});
    if (mark == marks.end()) plan.marked.push_back(recording);
    else if (is_ripe(*mark, now)) ripe.push_back(recording);
  }
  for (const RetentionMark& mark : marks)
    if (std::none_of(plan.next.marks.begin(), plan.next.marks.end(), [&](const auto& m) { return m.session == mark.session && m.id == mark.id; })) plan.unmarked.push_back(mark);
  if (ripe.empty() || (plan.next.since_share_ms && *plan.next.since_share_ms < to_ms(kShareEvery))) return plan;
  plan.next.since_share_ms = 0;
  std::sort(ripe.begin(), ripe.end(), [](const auto& a, const auto& b) { return a.newest_ms() < b.newest_ms(); });
  ripe.resize(std::min(ripe.size(), std::max<std::size_t>(1, view.finished / kShare)));
  plan.deleted = std::move(ripe);
  return plan;
}

}  // namespace amphi::server
