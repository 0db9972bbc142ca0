#include "recording/export_ffmpeg.h"

#include <algorithm>
#include <cstdio>
#include <optional>

namespace amphi::recording {
namespace {

constexpr double kFrames = kExportFramesPerSecond;
constexpr const char* kBackground = "0x101418";
constexpr const char* kNoPicture = "0x2a3138";
// A picture is shown by the frame that its time is nearest to; and all times in files and manifests are rounded to a millisecond.
constexpr double kEarly = 0.5 / kFrames + 0.001;

std::string text_of_seconds(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", seconds);
  return text;
}
std::string seconds_of_frames(std::int64_t frames) { return text_of_seconds(static_cast<double>(frames) / kFrames); }
std::string seconds_of_ms(std::int64_t ms) { return text_of_seconds(static_cast<double>(ms) / 1000); }

void add(std::vector<std::string>& arguments, std::initializer_list<std::string> more) { arguments.insert(arguments.end(), more); }

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

/// Within the last absence before a scene, in seconds from its beginning on: what lies before is nobody's picture any more; nullopt: all of it is.
std::optional<double> back_since(const ExportPiece& piece, const ExportScene& scene) {
  std::optional<double> since;
  for (const auto& [gone, back] : piece.absent_ms) {
    const double at = static_cast<double>(gone + back) / 2000 - static_cast<double>(scene.first_frame) / kFrames;
    if (frame_at(back) <= scene.first_frame) since = std::max(since.value_or(at), at);
  }
  return since;
}

std::string input_of(const ExportPiece& piece) {
  if (piece.head.empty()) return "file:" + piece.file;
  return "concat:" + piece.head + "|subfile,,start," + std::to_string(piece.head_bytes) + ",end,0,,:" + piece.file;
}

/// A font that has the letters of `name`, for fontconfig to find: FFmpeg draws all of them in one. (`fontfile` is a pattern where no file is of that name.)
std::string font_for(const std::string& name) {
  std::string pattern = "DejaVu Sans:charset=";
  for (std::size_t at = 0; at < name.size();) {
    const auto lead = static_cast<unsigned char>(name[at++]);
    std::uint32_t letter = lead < 0x80 ? lead : lead < 0xe0 ? lead & 0x1fu : lead < 0xf0 ? lead & 0xfu : lead & 7u;
    for (; at < name.size() && (static_cast<unsigned char>(name[at]) & 0xc0u) == 0x80u; ++at) letter = letter << 6 | (static_cast<unsigned char>(name[at]) & 0x3fu);
    char text[16];
    std::snprintf(text, sizeof text, "%x ", letter);
    if (letter > ' ' && letter <= 0x10ffff) pattern += text;
  }
  return pattern.substr(0, pattern.back() == ' ' ? pattern.size() - 1 : pattern.find(":charset="));
}

std::string name_graph(const ExportPiece& piece, const ExportCell& cell, const std::string& name_file) {
  const int letters = std::clamp(cell.height / 24, 12, 24);
  return "drawtext=fontfile=" + in_graph(font_for(piece.name)) + ":textfile=" + in_graph(name_file) + ":expansion=none:fontsize=" + std::to_string(letters) +
         ":fontcolor=white:box=1:boxcolor=black@0.55:boxborderw=6:x=12:y=h-th-12";
}

/// From input `n` to [p`n`]: a cell's pictures, on the scene's clock.
std::string cell_graph(const ExportPiece& piece, const ExportScene& scene, const ExportCell& cell, double later, const std::string& n, const std::string& name_file) {
  const std::string w = std::to_string(cell.width), h = std::to_string(cell.height);
  std::string graph = ";[" + n + ":v:0]setpts=PTS+" + text_of_seconds(later - kEarly) + "/TB";
  if (const auto since = back_since(piece, scene)) graph += ",trim=start=" + text_of_seconds(*since - kEarly - 0.002);
  return graph + ",scale=" + w + ":" + h + ":force_original_aspect_ratio=decrease:force_divisible_by=2:eval=frame,setsar=1,pad=" + w + ":" + h +
         ":(ow-iw)/2:(oh-ih)/2:eval=frame:color=" + kBackground + "," + name_graph(piece, cell, name_file) + "[p" + n + "]";
}

/// To [`to`]: a place without a picture.
std::string voice_graph(const ExportPiece& piece, const ExportScene& scene, const ExportCell& cell, const std::string& to, const std::string& name_file) {
  return std::string(";color=c=") + kNoPicture + ":s=" + std::to_string(cell.width) + "x" + std::to_string(cell.height) + ":r=" + std::to_string(kExportFramesPerSecond) +
         ":d=" + seconds_of_frames(scene.frames) + ",setsar=1," + name_graph(piece, cell, name_file) + "[" + to + "]";
}

/// Sounds by number, each to the export's clock: inputs, and the graph up to their sum, not named.
void add_sounds(FfmpegRun& run, const ExportPlan& plan, std::size_t first, std::size_t count) {
  std::string mixed;
  for (std::size_t i = 0; i < count; ++i) {
    const ExportPiece& piece = plan.sounds[first + i];
    // From a time of the file's own: left to itself, FFmpeg counts from the file's first frame, wherever that lies.
    add(run.arguments, {"-seek_timestamp", "1", "-ss", seconds_of_ms(piece.file_from_ms), "-t", seconds_of_ms(piece.duration_ms), "-i", "file:" + piece.file});
    const std::string n = std::to_string(i);
    // Gaps become silence of their length.
    run.graph += "[" + n + ":a:0]aresample=48000:async=1:min_hard_comp=0.005:first_pts=0,aformat=sample_fmts=fltp:channel_layouts=stereo[h" + n + "];\n";
    // Silence before it, made as it is needed: adelay would hold it all in memory.
    if (piece.at_ms > 0)
      run.graph += "anullsrc=r=48000:cl=stereo:d=" + seconds_of_ms(piece.at_ms) + ",aformat=sample_fmts=fltp[n" + n + "];[n" + n + "][h" + n + "]concat=n=2:v=0:a=1[a" + n + "];\n";
    mixed += (piece.at_ms > 0 ? "[a" : "[h") + n + "]";
  }
  run.graph += mixed + (count > 1 ? "amix=inputs=" + std::to_string(count) + ":normalize=0:dropout_transition=0" : "anull");
}

}  // namespace

Bytes head_without_index(ByteView file) {
  Bytes head;
  std::vector<std::size_t> indexes;
  for (std::size_t at = 0; file.size() - at >= 8;) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < 4; ++i) size = size << 8 | std::to_integer<std::size_t>(file[at + i]);
    const std::string_view type = as_text(file.subspan(at + 4, 4));
    if (type == "moof") {
      if (indexes.empty()) return {};
      head.assign(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(at));
      break;
    }
    if (size < 8 || size > file.size() - at) return {};
    if (type == "sidx") indexes.push_back(at + 4);
    at += size;
  }
  if (head.empty()) return {};  // no fragment
  for (const std::size_t type : indexes) std::copy_n(as_bytes("free").begin(), 4, head.begin() + static_cast<std::ptrdiff_t>(type));
  return head;
}

FfmpegRun scene_run(const ExportPlan& plan, const ExportScene& scene, const std::vector<std::string>& name_files, const std::string& graph_file,
                    const std::string& output) {
  FfmpegRun run;
  const std::string size = std::to_string(kExportWidth) + "x" + std::to_string(kExportHeight);
  run.graph = std::string("color=c=") + kBackground + ":s=" + size + ":r=" + std::to_string(kExportFramesPerSecond) + ":d=" + seconds_of_frames(scene.frames) + "[base]";
  std::string below = "base";
  std::size_t inputs = 0;
  for (std::size_t i = 0; i < scene.cells.size(); ++i) {
    const ExportCell& cell = scene.cells[i];
    const std::string above = "s" + std::to_string(i);
    const auto lay = [&](const std::string& picture) {
      run.graph += ";\n[" + below + "][" + picture + "]overlay=" + std::to_string(cell.x) + ":" + std::to_string(cell.y) + ":eof_action=repeat[" + above + "]";
      below = above;
    };
    if (cell.voice) {
      const std::string picture = "v" + std::to_string(i);
      run.graph += voice_graph(plan.sounds[cell.piece], scene, cell, picture, name_files[plan.pictures.size() + cell.piece]);
      lay(picture);
      continue;
    }
    const ExportPiece& piece = plan.pictures[cell.piece];
    // To the frame: a scene begins at its frame's time, not at the millisecond that caused it.
    const double from = static_cast<double>(scene.first_frame) / kFrames - static_cast<double>(piece.at_ms - piece.file_from_ms) / 1000;
    // From the keyframe before on, the picture that stands at the scene's beginning among them. And a picture of another size
    // must not set up the graph anew: that would render the scene from its beginning once more.
    add(run.arguments, {"-reinit_filter", "0", "-noaccurate_seek", "-seek_timestamp", "1", "-ss", text_of_seconds(std::max(from, 0.0)), "-i", input_of(piece)});
    const std::string n = std::to_string(inputs++);
    run.graph += cell_graph(piece, scene, cell, std::max(-from, 0.0), n, name_files[cell.piece]);
    // A picture stands until the next one, also over a gap, and to the scene's end.
    lay("p" + n);
  }
  run.graph += ";[" + below + "]format=yuv420p[out]";
  add(run.arguments, {"-filter_complex_script", graph_file, "-map", "[out]", "-frames:v", std::to_string(scene.frames), "-an", "-c:v", "libx264", "-preset", "veryfast",
                      "-crf", "23", "-bf", "0", "-g", std::to_string(2 * kExportFramesPerSecond), "-f", "mp4", output});
  return run;
}

FfmpegRun sound_group_run(const ExportPlan& plan, std::size_t first, const std::string& graph_file, const std::string& output) {
  FfmpegRun run;
  add_sounds(run, plan, first, std::min(kSoundsAtOnce, plan.sounds.size() - first));
  run.graph += "[out]";
  // Floating point: the sum may be louder than a file of whole numbers can hold, and the limiter comes last.
  add(run.arguments, {"-filter_complex_script", graph_file, "-map", "[out]", "-vn", "-c:a", "wavpack", "-sample_fmt", "fltp", "-f", "wv", output});
  return run;
}

FfmpegRun sound_run(const ExportPlan& plan, const std::vector<std::string>& groups, const std::string& graph_file, const std::string& output) {
  FfmpegRun run;
  if (groups.empty()) {
    add_sounds(run, plan, 0, plan.sounds.size());
  } else {
    for (const std::string& group : groups) add(run.arguments, {"-i", "file:" + group});
    run.graph += "amix=inputs=" + std::to_string(groups.size()) + ":normalize=0:dropout_transition=0";
  }
  if (plan.sounds.size() > 1) run.graph += ",alimiter=limit=0.95:level=0:latency=1";
  run.graph += ",apad,atrim=end=" + seconds_of_ms(plan.duration_ms) + "[out]";
  add(run.arguments, {"-filter_complex_script", graph_file, "-map", "[out]", "-vn", "-c:a", "aac", "-b:a", "160k", "-f", "mp4", output});
  return run;
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
