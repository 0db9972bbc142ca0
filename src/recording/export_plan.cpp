#include "recording/export_plan.h"

#include <algorithm>
#include <cstdio>
#include <set>

namespace amphi::recording {
namespace {

constexpr std::int64_t kMoment = 3 * kExportFramesPerSecond / 2;  // frames: mostly a keyframe comes sooner

std::string seconds_of_ms(std::int64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%lld.%03d", static_cast<long long>(ms / 1000), static_cast<int>(ms % 1000));
  return text;
}

std::string name_of(const Manifest::Track& track) {
  if (track.label.empty()) return track.participant_identity;
  return track.participant_identity.empty() ? track.label : track.participant_identity + " (" + track.label + ")";
}

/// What of [0, `duration`) at `at` lies in [`from`, `to`).
std::optional<ExportPiece> cut(const Manifest::Track& track, std::int64_t at, std::int64_t from, std::int64_t to) {
  const std::int64_t begin = std::max(at, from), end = std::min(at + track.duration_ms, to);
  if (end <= begin) return std::nullopt;
  ExportPiece piece;
  piece.path = track.path;
  piece.at_ms = begin - from;
  piece.duration_ms = end - begin;
  piece.file_from_ms = begin - at;
  if (end < at + track.duration_ms) piece.file_to_ms = end - at;
  piece.name = name_of(track);
  piece.participant = track.participant_identity;
  piece.label = track.label;
  piece.feed = track.feed;
  piece.codec = track.codec;
  return piece;
}

bool is_absent(const ExportPiece& piece, std::int64_t frame) {
  return std::any_of(piece.absent_ms.begin(), piece.absent_ms.end(), [&](const auto& gap) { return frame_at(gap.first) <= frame && frame < frame_at(gap.second); });
}

bool is_there(const ExportPiece& piece, std::int64_t frame) {
  return frame_at(piece.at_ms) <= frame && frame_at(piece.at_ms + piece.duration_ms) > frame && !is_absent(piece, frame);
}

std::set<std::string> who_shows_something(const ExportPlan& plan, std::int64_t frame) {
  std::set<std::string> who;
  for (const ExportPiece& piece : plan.pictures)
    if (is_there(piece, frame)) who.insert(piece.participant);
  return who;
}

/// Everybody's pictures, and of whom shows none a place with the name: but not for the moment between a voice and its picture when somebody
/// comes or goes.
std::vector<ExportCell> cells_at(const ExportPlan& plan, std::int64_t frame) {
  std::vector<ExportCell> there;
  for (std::size_t i = 0; i < plan.pictures.size(); ++i)
    if (is_there(plan.pictures[i], frame)) there.push_back({i});
  std::set<std::string> placed = who_shows_something(plan, frame);
  const std::set<std::string> before = who_shows_something(plan, frame - kMoment), after = who_shows_something(plan, frame + kMoment);
  for (std::size_t i = 0; i < plan.sounds.size(); ++i) {
    const ExportPiece& voice = plan.sounds[i];
    if (!is_there(voice, frame)) continue;
    const bool comes = !is_there(voice, frame - kMoment) && after.contains(voice.participant);
    const bool goes = !is_there(voice, frame + kMoment) && before.contains(voice.participant);
    if (!comes && !goes && placed.insert(voice.participant).second) there.push_back({i, true});
  }
  // A person's place does not depend on when each feed began.
  const auto name = [&](const ExportCell& cell) -> const std::string& { return (cell.voice ? plan.sounds : plan.pictures)[cell.piece].name; };
  std::sort(there.begin(), there.end(), [&](const ExportCell& a, const ExportCell& b) {
    return std::tie(name(a), a.voice, a.piece) < std::tie(name(b), b.voice, b.piece);
  });
  const std::vector<ExportCell> places = grid(there.size());
  for (std::size_t i = 0; i < there.size(); ++i) there[i] = {there[i].piece, there[i].voice, places[i].x, places[i].y, places[i].width, places[i].height};
  return there;
}

void add_scenes(ExportPlan& plan) {
  const std::int64_t all = frame_at(plan.duration_ms);
  std::set<std::int64_t> edges{0, all};
  const auto add_edge = [&](std::int64_t ms) {
    for (const std::int64_t frame : {frame_at(ms) - kMoment, frame_at(ms), frame_at(ms) + kMoment}) edges.insert(std::clamp<std::int64_t>(frame, 0, all));
  };
  for (const auto* pieces : {&plan.pictures, &plan.sounds})
    for (const ExportPiece& piece : *pieces) {
      add_edge(piece.at_ms);
      add_edge(piece.at_ms + piece.duration_ms);
      for (const auto& [from, to] : piece.absent_ms) add_edge(from), add_edge(to);
    }
  for (auto edge = edges.begin(); std::next(edge) != edges.end(); ++edge) {
    std::vector<ExportCell> cells = cells_at(plan, *edge);
    const std::int64_t frames = *std::next(edge) - *edge;
    if (!plan.scenes.empty() && plan.scenes.back().cells == cells) plan.scenes.back().frames += frames;
    else plan.scenes.push_back({*edge, frames, std::move(cells)});
  }
}

void add_chapters(ExportPlan& plan, std::vector<ExportChapter> marks) {
  std::stable_sort(marks.begin(), marks.end(), [](const auto& a, const auto& b) { return a.from_ms < b.from_ms; });
  if (!marks.empty() && marks.front().from_ms > 0) marks.insert(marks.begin(), ExportChapter{0, 0, "Begin"});
  // Some readers take only one of two that begin at once.
  for (std::size_t i = 1; i < marks.size(); ++i) marks[i].from_ms = std::max(marks[i].from_ms, marks[i - 1].from_ms + 1);
  for (std::size_t i = 0; i < marks.size(); ++i) marks[i].to_ms = i + 1 < marks.size() ? marks[i + 1].from_ms : std::max(plan.duration_ms, marks[i].from_ms);
  plan.chapters = std::move(marks);
}

}  // namespace

std::int64_t frame_at(std::int64_t ms) { return (ms * kExportFramesPerSecond + 500) / 1000; }

std::vector<ExportCell> grid(std::size_t n) {
  std::vector<ExportCell> cells(n);
  int columns = 1;
  while (static_cast<std::size_t>(columns) * static_cast<std::size_t>(columns) < n) ++columns;
  const int rows = n == 0 ? 1 : static_cast<int>((n + static_cast<std::size_t>(columns) - 1) / static_cast<std::size_t>(columns));
  const int width = kExportWidth / columns / 2 * 2, height = kExportHeight / rows / 2 * 2;
  for (std::size_t i = 0; i < n; ++i) {
    const int column = static_cast<int>(i) % columns, row = static_cast<int>(i) / columns;
    // The last row stands in the middle.
    const int in_row = row + 1 < rows ? columns : static_cast<int>(n) - row * columns;
    const int left = (kExportWidth - in_row * width) / 4 * 2;
    cells[i] = {0, false, left + column * width, row * height, width, height};
  }
  return cells;
}

Result<ExportPlan> plan_export(const std::vector<ExportSource>& sources, const ExportRange& range) {
  std::int64_t all = 0;
  for (const ExportSource& source : sources) all += source.manifest.duration_ms;
  const std::int64_t from = std::max<std::int64_t>(range.from_ms, 0), to = std::min(range.to_ms.value_or(all), all);
  if (range.to_ms && *range.to_ms <= from)
    return fail(ErrorCode::invalid_argument, "It would end, at " + seconds_of_ms(*range.to_ms) + " s, before it begins, at " + seconds_of_ms(from) + " s.");
  if (frame_at(to - from) < 1 || to <= from)
    return fail(ErrorCode::invalid_argument, "There is nothing from " + seconds_of_ms(from) + " s on: the recording lasts " + seconds_of_ms(all) + " s.");
  ExportPlan plan;
  plan.duration_ms = to - from;
  std::vector<ExportChapter> marks;
  std::int64_t at = 0;
  for (const ExportSource& source : sources) {
    const Manifest& manifest = source.manifest;
    if (at <= from) plan.begun.unix_ms = manifest.started_at.unix_ms + from - at;
    if (sources.size() > 1 && at + manifest.duration_ms > from && at < to)
      marks.push_back({std::max<std::int64_t>(at - from, 0), 0, "Recording " + std::to_string(&source - sources.data() + 1)});
    for (const Marker& marker : manifest.markers) {
      const std::int64_t when = at + std::min(marker.at_ms, manifest.duration_ms);
      if (when >= from && when < to) marks.push_back({when - from, 0, marker.label});
    }
    for (const Manifest::Track& track : manifest.tracks) {
      auto piece = cut(track, at + track.offset_ms, from, std::min(to, at + manifest.duration_ms));
      if (!piece) continue;
      piece->source = static_cast<std::size_t>(&source - sources.data());
      piece->file = source.folder + "/" + track.path;
      for (const auto& [gone, back] : track.absent_ms) piece->absent_ms.emplace_back(at + gone - from, at + back - from);
      (track.codec.kind() == rtp::Kind::video ? plan.pictures : plan.sounds).push_back(std::move(*piece));
    }
    at += manifest.duration_ms;
  }
  if (plan.pictures.empty() && plan.sounds.empty()) return fail(ErrorCode::invalid_argument, "Nobody sent anything in that time: there is nothing to show.");
  add_scenes(plan);
  add_chapters(plan, std::move(marks));
  return plan;
}

}  // namespace amphi::recording
