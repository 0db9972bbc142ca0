#include "recording/export_plan.h"

#include <algorithm>
#include <cstdio>
#include <set>

namespace amphi::recording {
namespace {

constexpr std::int64_t kFrames = kExportFramesPerSecond;

std::int64_t frame_at(std::int64_t ms) { return (ms * kFrames + 500) / 1000; }

std::string seconds_of_ms(std::int64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%lld.%03d", static_cast<long long>(ms / 1000), static_cast<int>(ms % 1000));
  return text;
}

std::string seconds_of_frames(std::int64_t frames) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", static_cast<double>(frames) / static_cast<double>(kFrames));
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

void add_scenes(ExportPlan& plan) {
  std::set<std::int64_t> edges{0, frame_at(plan.duration_ms)};
  for (const ExportPiece& piece : plan.pictures) {
    edges.insert(frame_at(piece.at_ms));
    edges.insert(frame_at(piece.at_ms + piece.duration_ms));
    for (const auto& [from, to] : piece.absent_ms)
      for (const std::int64_t edge : {from, to}) edges.insert(frame_at(std::clamp<std::int64_t>(edge, 0, plan.duration_ms)));
  }
  for (auto edge = edges.begin(); std::next(edge) != edges.end(); ++edge) {
    ExportScene scene{*edge, *std::next(edge) - *edge, {}};
    std::vector<std::size_t> there;
    for (std::size_t i = 0; i < plan.pictures.size(); ++i) {
      const ExportPiece& piece = plan.pictures[i];
      if (frame_at(piece.at_ms) <= *edge && frame_at(piece.at_ms + piece.duration_ms) > *edge && !is_absent(piece, *edge)) there.push_back(i);
    }
    // A person's place does not depend on when each feed began.
    std::sort(there.begin(), there.end(), [&](std::size_t a, std::size_t b) {
      return std::tie(plan.pictures[a].name, a) < std::tie(plan.pictures[b].name, b);
    });
    scene.cells = grid(there.size());
    for (std::size_t i = 0; i < there.size(); ++i) scene.cells[i].piece = there[i];
    plan.scenes.push_back(std::move(scene));
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

/// From a time of the file's own: left to itself, FFmpeg counts from the file's first frame, wherever that lies.
void input(std::vector<std::string>& arguments, const std::string& from, const std::string& length, const std::string& file) {
  arguments.insert(arguments.end(), {"-seek_timestamp", "1", "-ss", from, "-t", length, "-i", "file:" + file});
}

/// A path inside a filter graph: there, backslash, quote and a few others have a meaning, twice.
std::string in_graph(const std::string& path) {
  std::string once, twice;
  for (const char c : path) {
    if (c == '\\' || c == '\'' || c == ':') once += '\\';
    once += c;
  }
  for (const char c : once) {
    if (c == '\\' || c == '\'' || c == '[' || c == ']' || c == ',' || c == ';') twice += '\\';
    twice += c;
  }
  return twice;
}

}  // namespace

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
    cells[i] = {0, left + column * width, row * height, width, height};
  }
  return cells;
}

Result<ExportPlan> plan_export(const std::vector<ExportSource>& sources, const ExportRange& range) {
  std::int64_t all = 0;
  for (const ExportSource& source : sources) all += source.manifest.duration_ms;
  const std::int64_t from = std::max<std::int64_t>(range.from_ms, 0), to = std::min(range.to_ms.value_or(all), all);
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

std::vector<std::string> scene_arguments(const ExportPlan& plan, const ExportScene& scene, const std::vector<std::string>& name_files,
                                         const std::string& font, const std::string& output) {
  const std::string length = seconds_of_frames(scene.frames);
  const std::string rate = std::to_string(kExportFramesPerSecond);
  const std::string size = std::to_string(kExportWidth) + "x" + std::to_string(kExportHeight);
  std::vector<std::string> arguments;
  std::string graph = "color=c=0x101418:s=" + size + ":r=" + rate + ":d=" + length + "[base]";
  std::string below = "base";
  for (std::size_t i = 0; i < scene.cells.size(); ++i) {
    const ExportCell& cell = scene.cells[i];
    const ExportPiece& piece = plan.pictures[cell.piece];
    // To the frame: a scene begins at its frame's time, not at the millisecond that caused it.
    const double from = static_cast<double>(scene.first_frame) / static_cast<double>(kFrames) - static_cast<double>(piece.at_ms - piece.file_from_ms) / 1000;
    char start[32];
    std::snprintf(start, sizeof start, "%.6f", std::max(from, 0.0));
    input(arguments, start, length, piece.file);
    const std::string n = std::to_string(i), w = std::to_string(cell.width), h = std::to_string(cell.height);
    const int letters = std::clamp(cell.height / 24, 12, 24);
    // A picture stands until the next one, also over a gap, and to the scene's end.
    graph += ";[" + n + ":v:0]fps=" + rate + ":start_time=0,tpad=stop=-1:stop_mode=clone,trim=duration=" + length + ",scale=" + w + ":" + h +
             ":force_original_aspect_ratio=decrease:force_divisible_by=2,setsar=1,drawtext=fontfile=" + in_graph(font) + ":textfile=" + in_graph(name_files[cell.piece]) + ":expansion=none:fontsize=" + std::to_string(letters) +
             ":fontcolor=white:box=1:boxcolor=black@0.55:boxborderw=6:x=12:y=h-th-12,pad=" + w + ":" + h + ":(ow-iw)/2:(oh-ih)/2:color=0x101418[p" + n + "]";
    const std::string above = "s" + n;
    graph += ";[" + below + "][p" + n + "]overlay=" + std::to_string(cell.x) + ":" + std::to_string(cell.y) + ":eof_action=repeat[" + above + "]";
    below = above;
  }
  graph += ";[" + below + "]format=yuv420p[out]";
  arguments.insert(arguments.end(), {"-filter_complex", graph, "-map", "[out]", "-frames:v", std::to_string(scene.frames), "-an", "-c:v", "libx264", "-preset",
                                     "veryfast", "-crf", "23", "-bf", "0", "-g", std::to_string(2 * kExportFramesPerSecond), "-f", "mp4", output});
  return arguments;
}

std::vector<std::string> sound_arguments(const ExportPlan& plan, const std::string& output) {
  std::vector<std::string> arguments;
  std::string graph, mixed;
  for (std::size_t i = 0; i < plan.sounds.size(); ++i) {
    const ExportPiece& piece = plan.sounds[i];
    input(arguments, seconds_of_ms(piece.file_from_ms), seconds_of_ms(piece.duration_ms), piece.file);
    const std::string n = std::to_string(i);
    // Gaps become silence of their length.
    graph += "[" + n + ":a:0]aresample=48000:async=1:min_hard_comp=0.005:first_pts=0,aformat=sample_fmts=fltp:channel_layouts=stereo[h" + n + "];";
    // Silence before it, made as it is needed: adelay would hold it all in memory.
    if (piece.at_ms > 0)
      graph += "anullsrc=r=48000:cl=stereo:d=" + seconds_of_ms(piece.at_ms) + ",aformat=sample_fmts=fltp[n" + n + "];[n" + n + "][h" + n + "]concat=n=2:v=0:a=1[a" + n + "];";
    mixed += piece.at_ms > 0 ? "[a" + n + "]" : "[h" + n + "]";
  }
  const std::string length = seconds_of_ms(plan.duration_ms);
  if (plan.sounds.size() > 1)
    graph += mixed + "amix=inputs=" + std::to_string(plan.sounds.size()) + ":normalize=0:dropout_transition=0,alimiter=limit=0.95:level=0:latency=1";
  else
    graph += mixed + "anull";
  graph += ",apad,atrim=end=" + length + "[out]";
  arguments.insert(arguments.end(), {"-filter_complex", graph, "-map", "[out]", "-vn", "-c:a", "aac", "-b:a", "160k", "-f", "mp4", output});
  return arguments;
}

std::string scene_list(const ExportPlan& plan, const std::vector<std::string>& files) {
  std::string list = "ffconcat version 1.0\n";
  for (std::size_t i = 0; i < files.size(); ++i)
    list += "file '" + files[i] + "'\nduration " + seconds_of_frames(plan.scenes[i].frames) + "\n";
  return list;
}

std::string chapters_text(const ExportPlan& plan) {
  std::string text = ";FFMETADATA1\n";
  for (const ExportChapter& chapter : plan.chapters) {
    text += "[CHAPTER]\nTIMEBASE=1/1000\nSTART=" + std::to_string(chapter.from_ms) + "\nEND=" + std::to_string(chapter.to_ms) + "\ntitle=";
    for (const char c : chapter.title) {
      if (c == '=' || c == ';' || c == '#' || c == '\\' || c == '\n') text += '\\';
      text += c;
    }
    text += '\n';
  }
  return text;
}

std::vector<std::string> join_arguments(const std::string& list, const std::string& sound, const std::string& chapters, const std::string& comment,
                                        const std::string& output) {
  std::vector<std::string> arguments{"-f", "concat", "-i", list};
  if (!sound.empty()) arguments.insert(arguments.end(), {"-i", sound});
  arguments.insert(arguments.end(), {"-f", "ffmetadata", "-i", chapters, "-map", "0:v"});
  if (!sound.empty()) arguments.insert(arguments.end(), {"-map", "1:a"});
  const std::string last = sound.empty() ? "1" : "2";
  arguments.insert(arguments.end(), {"-map_metadata", last, "-map_chapters", last, "-c", "copy", "-metadata", "comment=" + comment, "-movflags", "+faststart", "-f",
                                     "mp4", output});
  return arguments;
}

}  // namespace amphi::recording
