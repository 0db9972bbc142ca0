#include "server/export_job.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "recording/export_ffmpeg.h"
#include "runtime/file_writer.h"
#include "runtime/folder.h"
#include "server/export_room.h"
#include "server/export_tracks.h"
#include "server/export_workshop.h"
#include "server/manifest_file.h"
#include "server/recorded_file.h"
#include "server/recording_place.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;
using recording::ExportPlan;
using recording::ExportSource;

constexpr double kSoundShare = 0.05;  // of the work, for a second of sound: a second of picture being one

struct Input {
  ExportSource source;
  std::string manifest_text;
};

Result<Input> open_recording(const std::string& folder) {
  const auto text = runtime::read_file(folder + "/manifest.json", recording::kMaxManifest);
  if (!text && text.error().code != ErrorCode::not_found) return tl::unexpected(text.error());
  if (!text) return fail(ErrorCode::invalid_argument, folder + " is no recording's folder: it has no manifest.json (give <recordings>/<session>/<recording>)");
  auto manifest = recording::parse_manifest(*text);
  if (!manifest) return fail(ErrorCode::invalid_argument, folder + ": " + manifest.error().message);
  if (manifest->state != "complete" && manifest->state != "repaired")
    return fail(ErrorCode::invalid_argument, folder + ": the recording is not finished (" + manifest->state + "). Stop it, or start the server once so that it repairs it.");
  const runtime::Folder files(folder);
  for (const auto& track : manifest->tracks)
    if (std::error_code gone; fs::exists(fs::symlink_status(folder + "/" + track.path, gone)) && !files.size(track.path)) return fail(ErrorCode::forbidden, folder + "/" + track.path + " is no plain file: a symbolic link is not followed");
  return Input{{std::move(*manifest), folder}, *text};
}

/// Nobody gets to see another session's by a folder that was copied.
Result<void> check_whose(const ExportOrder& order, const Input& input) {
  const std::string& folder = input.source.folder;
  recording::RecordingInfo info{input.source.manifest.id, input.source.manifest.session, {}, {}};
  if (auto journaled = recorded_as(folder)) info = std::move(*journaled);
  Result<void> placed;
  if (!order.of_session.empty()) placed = check_place(info, SessionId(order.of_session), RecordingId(fs::path(folder).filename().string()));
  else if (is_misplaced(folder, info)) placed = fail(ErrorCode::forbidden, "By its journal it is the recording " + info.id.value + " of the session " + info.session.value + ", and lies in another's place.");
  return placed ? placed : fail(placed.error().code, folder + ": " + placed.error().message);
}

/// The tracks' files as a player could read them, in the workshop.
Result<void> decrypt(ExportSource& source, SealedFiles& sealed, const Workshop& shop, const Cancelled& cancelled) {
  const std::string plain = shop.file("plain-" + source.manifest.id.value);
  std::error_code error;
  fs::create_directory(plain, error);
  for (const auto& track : source.manifest.tracks) {
    auto file = sealed.open(source.folder, track.path);
    if (!file) return fail(file.error().code, source.folder + " is encrypted: give the key that it was recorded under with --recording-key. " + file.error().message);
    if (!*file) return fail(ErrorCode::storage, source.folder + "/" + track.path + " cannot be read: the recording's journal does not know it");
    std::ofstream out(plain + "/" + track.path, std::ios::binary);
    constexpr std::uint64_t kAtOnce = 1 << 20;
    for (std::uint64_t at = 0; at < (*file)->size(); at += kAtOnce) {
      if (cancelled.load()) return fail(ErrorCode::internal, "cancelled");
      const auto data = (*file)->read(at, std::min(kAtOnce, (*file)->size() - at));
      if (!data) return tl::unexpected(data.error());
      out.write(reinterpret_cast<const char*>(data->data()), static_cast<std::streamsize>(data->size()));
    }
    out.close();
    if (!out) return fail(ErrorCode::storage, plain + ": cannot be written (is the disk full?)");
  }
  source.folder = plain;
  return {};
}

std::vector<std::string> ffmpeg(std::vector<std::string> arguments) {
  std::vector<std::string> all{"ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-y", "-progress", "pipe:1"};
  all.insert(all.end(), std::make_move_iterator(arguments.begin()), std::make_move_iterator(arguments.end()));
  return all;
}

/// What is done of all, as FFmpeg tells it.
class Progress {
 public:
  Progress(double all, const std::function<void(double)>& tell) : all_(all), tell_(tell) {}
  std::function<void(std::string_view)> of_step(double scale) {
    return [this, scale](std::string_view line) {
      constexpr std::string_view kTime = "out_time_us=";
      if (line.substr(0, kTime.size()) != kTime) return;
      std::int64_t us = 0;
      line.remove_prefix(kTime.size());
      if (std::from_chars(line.data(), line.data() + line.size(), us).ec == std::errc() && us > 0) tell_(std::min(1.0, (done_ + scale * static_cast<double>(us) / 1e6) / all_));
    };
  }
  void step_done(double work) { tell_(std::min(1.0, (done_ += work) / all_)); }

 private:
  double done_ = 0, all_;
  const std::function<void(double)>& tell_;
};

Result<void> write_text(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  return out ? Result<void>{} : fail(ErrorCode::storage, path + ": cannot be written (is the disk full?)");
}

/// FFmpeg's runs, one after the other, in the workshop.
class FfmpegRunner {
 public:
  FfmpegRunner(const Workshop& shop, const Cancelled& cancelled, Progress& progress) : shop_(shop), cancelled_(cancelled), progress_(progress) {}
  std::string graph_file() const { return shop_.file("graph.txt"); }
  /// `seconds` of it, of which each is `share` of one of picture.
  Result<void> run(const recording::FfmpegRun& what, double seconds, double share) {
    if (auto written = write_text(graph_file(), what.graph); !written) return written;
    auto done = run_child(ffmpeg(what.arguments), cancelled_, progress_.of_step(share));
    if (done) progress_.step_done(seconds * share);
    return done;
  }

 private:
  const Workshop& shop_;
  const Cancelled& cancelled_;
  Progress& progress_;
};

Result<void> mix_sounds(const ExportPlan& plan, const Workshop& shop, FfmpegRunner& ffmpegs, double seconds, const std::string& output) {
  std::vector<std::string> groups;
  const std::size_t n = plan.sounds.size() <= recording::kSoundsAtOnce ? 0 : (plan.sounds.size() + recording::kSoundsAtOnce - 1) / recording::kSoundsAtOnce;
  const double share = kSoundShare / static_cast<double>(n + 1);
  while (groups.size() < n) {
    groups.push_back(shop.file("sounds-" + std::to_string(groups.size()) + ".wv"));
    const auto run = recording::sound_group_run(plan, (groups.size() - 1) * recording::kSoundsAtOnce, ffmpegs.graph_file(), groups.back());
    if (auto done = ffmpegs.run(run, seconds, share); !done) return done;
  }
  return ffmpegs.run(recording::sound_run(plan, groups, ffmpegs.graph_file(), output), seconds, share);
}

/// MP4 files as FFmpeg reads them right: with another beginning. The recording stays as it is; its path reaches FFmpeg by a plain name.
Result<void> mend_heads(ExportPlan& plan, const Workshop& shop) {
  constexpr std::size_t kMost = 1 << 20;  // in front of the fragments lies less
  for (std::size_t i = 0; i < plan.pictures.size(); ++i) {
    recording::ExportPiece& piece = plan.pictures[i];
    if (piece.codec.name != rtp::CodecName::h264) continue;
    std::ifstream in(piece.file, std::ios::binary);
    Bytes begin(kMost);
    in.read(reinterpret_cast<char*>(begin.data()), static_cast<std::streamsize>(begin.size()));
    begin.resize(static_cast<std::size_t>(in.gcount()));
    const Bytes head = recording::head_without_index(begin);
    if (head.empty()) continue;
    piece.head = shop.file("head-" + std::to_string(i) + ".mp4");
    if (piece.head.find('|') != std::string::npos) return fail(ErrorCode::invalid_argument, "FFmpeg takes no place with a | in its name: choose another.");
    piece.head_bytes = head.size();
    if (auto written = write_text(piece.head, std::string(as_text(head))); !written) return written;
    const std::string link = shop.file("file-" + std::to_string(i) + ".mp4");
    std::error_code error;
    fs::create_symlink(fs::absolute(piece.file), link, error);
    if (error) return fail(ErrorCode::storage, link + ": " + error.message());
    piece.file = link;
  }
  return {};
}

Result<void> make_composite(ExportPlan plan, const Workshop& shop, const std::string& comment, const std::string& output, const Cancelled& cancelled,
                            const std::function<void(double)>& tell) {
  const double seconds = static_cast<double>(plan.duration_ms) / 1000;
  Progress progress(seconds * (1 + kSoundShare), tell);
  if (auto mended = mend_heads(plan, shop); !mended) return mended;
  FfmpegRunner ffmpegs(shop, cancelled, progress);
  std::vector<std::string> names, scenes;  // scenes by plain names
  for (const auto* pieces : {&plan.pictures, &plan.sounds})
    for (const auto& piece : *pieces) {
      names.push_back(shop.file("name-" + std::to_string(names.size()) + ".txt"));
      if (auto written = write_text(names.back(), piece.name); !written) return written;
    }
  // First: it takes a moment, and what fails fails early.
  const std::string sound = plan.sounds.empty() ? "" : shop.file("sound.mp4");
  if (!sound.empty()) {
    if (auto done = mix_sounds(plan, shop, ffmpegs, seconds, sound); !done) return done;
  }
  for (const auto& scene : plan.scenes) {
    scenes.push_back("scene-" + std::to_string(scenes.size()) + ".mp4");
    const auto run = recording::scene_run(plan, scene, names, ffmpegs.graph_file(), shop.file(scenes.back()));
    if (auto done = ffmpegs.run(run, static_cast<double>(scene.frames) / recording::kExportFramesPerSecond, 1); !done) return done;
  }
  const std::string list = shop.file("scenes.txt"), chapters = shop.file("chapters.txt");
  if (auto written = write_text(list, scene_list(plan, scenes)); !written) return written;
  if (auto written = write_text(chapters, chapters_text(plan)); !written) return written;
  return run_child(ffmpeg(recording::join_arguments(list, sound, chapters, comment, output)), cancelled, progress.of_step(0));
}

/// Whether what lies there was made of the same recordings in the same way.
bool is_there(const std::string& output, const std::string& comment) {
  const Cancelled never{false};  // a moment; and whoever cancels is told the truth
  std::error_code error;
  if (!fs::exists(output, error)) return false;
  std::string found;
  (void)run_child({"ffprobe", "-v", "error", "-show_entries", "format_tags=comment", "-of", "default=nw=1:nk=1", "file:" + output}, never,
                  [&](std::string_view line) { found = line; });
  return found == comment;
}

/// What a manifest tells that does not change any more: hashes of large files come later.
std::string identity_of(const Input& input) {
  const auto manifest = nlohmann::json::parse(input.manifest_text, nullptr, false);
  const auto evidence = manifest.is_object() ? manifest.find("evidence") : manifest.end();
  if (evidence == manifest.end() || !evidence->is_object() || !evidence->contains("head") || !(*evidence)["head"].is_string()) return input.manifest_text;
  return input.source.manifest.id.value + " " + input.source.manifest.state + " " + (*evidence)["head"].get<std::string>();
}

std::string fingerprint_of(const ExportOrder& order, const std::vector<Input>& inputs) {
  Sha256 hash;
  hash.update(as_bytes("amphi export 2 " + std::string(order.tracks ? "tracks " : "composite ") + std::to_string(order.range.from_ms) + " " +
                       (order.range.to_ms ? std::to_string(*order.range.to_ms) : "end")));
  for (const Input& input : inputs) {
    const auto one = sha256(as_bytes(identity_of(input)));
    hash.update(one);
  }
  return "amphi-export-" + to_hex(hash.finish()).substr(0, 32);
}

std::string made_up(const ExportOrder& order, const std::string& fingerprint) {
  const fs::path first = order.folders.front();
  const fs::path near = order.folders.size() == 1 ? first : first.parent_path();
  return (near / "exports" / (fingerprint + (order.tracks ? ".mkv" : ".mp4"))).string();
}

/// Puts what was made in place, unless a recording that it holds was deleted meanwhile. A deletion takes the recording's folder away first and what lies in
/// `exports` then, and this does the two the other way round: one of both sees the other's.
Result<void> publish(const std::string& made, const std::string& output, const ExportOrder& order) {
  if (auto placed = put_in_place(made, output); !placed) return placed;
  std::error_code error;
  const auto is_gone = [&](const std::string& folder) { return !fs::exists(folder + "/manifest.json", error); };
  if (std::none_of(order.folders.begin(), order.folders.end(), is_gone)) return {};
  fs::remove(output, error);
  return fail(ErrorCode::storage, "a recording was deleted while it was exported");
}

}  // namespace

Result<ExportResult> run_export(const ExportOrder& order, const Safe& safe, Cancelled& cancelled, const std::function<void(double)>& progress) {
  std::vector<Input> inputs;
  for (const std::string& folder : order.folders) {
    auto input = open_recording(folder);
    if (!input) return tl::unexpected(input.error());
    if (auto whose = check_whose(order, *input); !whose) return tl::unexpected(whose.error());
    inputs.push_back(std::move(*input));
  }
  const std::string fingerprint = fingerprint_of(order, inputs);
  ExportResult result;
  result.output = order.output.empty() ? made_up(order, fingerprint) : order.output;
  std::vector<ExportSource> sources;
  for (const Input& input : inputs) sources.push_back(input.source);
  auto plan = recording::plan_export(sources, order.range);
  if (!plan) return tl::unexpected(plan.error());
  std::optional<RecordedTracks> tracks;
  result.from_ms = std::max<std::int64_t>(order.range.from_ms, 0);
  if (order.tracks) {
    auto opened = RecordedTracks::open(sources, safe);
    if (!opened) return tl::unexpected(opened.error());
    tracks = std::move(*opened);
    const recording::ExportRange range = tracks->from_keyframes(*plan, order.range);
    result.from_ms = range.from_ms;
    plan = recording::plan_export(sources, range);
  }
  result.duration_ms = plan->duration_ms;
  if (is_there(result.output, fingerprint)) {
    result.was_there = true;
    return result;
  }
  std::error_code error;
  if (fs::exists(result.output, error)) return fail(ErrorCode::storage, result.output + " is there already, and is another. Name another place, or remove it.");
  if (cancelled.load()) return fail(ErrorCode::internal, "cancelled");
  const std::string output = fs::absolute(result.output).string();
  if (order.output.empty() && fs::is_symlink(fs::path(output).parent_path(), error)) return fail(ErrorCode::forbidden, output + " would lie behind a symbolic link");
  if (auto made = runtime::create_folders(fs::path(output).parent_path()); !made) return tl::unexpected(made.error());
  const ExportRoom room(fs::path(output).parent_path().string(), order.reserve);
  if (auto found = room.check(export_bytes(*plan, sources, order.tracks)); !found) return tl::unexpected(found.error());
  Result<void> lasts;
  const auto tell = [&](double done) {
    progress(done);
    if (!lasts) return;
    lasts = room.check(0);
    if (!lasts) cancelled.store(true);
  };
  auto shop = Workshop::open(output);
  if (!shop) return tl::unexpected(shop.error());
  const std::string made = shop->file("made");
  Result<void> done;
  if (tracks) {
    done = tracks->copy(*plan, fingerprint, made, cancelled, tell);
  } else {
    SealedFiles sealed(safe);
    for (ExportSource& source : sources) {
      if (!source.manifest.encrypted) continue;
      if (auto plain = decrypt(source, sealed, *shop, cancelled); !plain) return tl::unexpected(plain.error());
    }
    plan = recording::plan_export(sources, order.range);
    done = make_composite(*plan, *shop, fingerprint, made, cancelled, tell);
  }
  if (!lasts) return tl::unexpected(lasts.error());
  if (!done) return tl::unexpected(done.error());
  if (auto published = publish(made, output, order); !published) return tl::unexpected(published.error());
  return result;
}

Result<void> check_export(const ExportOrder& order) {
  if (order.folders.empty()) return fail(ErrorCode::not_found, "There is no finished recording.");
  std::vector<ExportSource> sources;
  for (const std::string& folder : order.folders) {
    const auto input = open_recording(folder);
    if (!input) return fail(ErrorCode::invalid_state, "The recording is not finished, or is broken.");
    if (const auto whose = check_whose(order, *input); !whose) return fail(whose.error().code, "What lies there is another session's, or another recording.");
    sources.push_back(input->source);
  }
  const auto plan = recording::plan_export(sources, order.range);
  if (!plan) return tl::unexpected(plan.error());
  return ExportRoom(order.folders.front(), order.reserve).check(export_bytes(*plan, sources, order.tracks));
}

Result<std::vector<std::string>> finished_recordings(const std::string& session_folder) {
  std::vector<std::pair<std::int64_t, std::string>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(session_folder, error)) {
    if (!recording::is_safe_path_name(entry.path().filename().string()) || !runtime::is_folder(entry.path().string())) continue;  // the former is being deleted
    const auto file = read_manifest(entry.path().string());
    if (!file || (file->manifest.state != "complete" && file->manifest.state != "repaired")) continue;
    found.emplace_back(file->manifest.started_at.unix_ms, entry.path().string());
  }
  if (found.empty()) return fail(ErrorCode::not_found, session_folder + " holds no finished recording (give <recordings>/<session>)");
  std::sort(found.begin(), found.end());
  std::vector<std::string> folders;
  for (auto& [at, folder] : found) folders.push_back(std::move(folder));
  return folders;
}

}  // namespace amphi::server
