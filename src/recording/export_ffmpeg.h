// A planned export in FFmpeg's words: what it is to do with which file. Runs nothing. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "recording/export_plan.h"

namespace amphi::recording {

/// One run of FFmpeg.
struct FfmpegRun {
  std::vector<std::string> arguments;  // behind `ffmpeg`
  std::string graph;  // goes into the file that they name: with hundreds of people it is longer than an argument can be
};

/// The beginning of an MP4 file, up to its first fragment, without its index of segments (sidx): where one of these has several fragments,
/// FFmpeg 5.1 gives some of their frames twice after it has sought, and decodes what follows wrongly. `file`: so much of it as holds all that
/// lies in front of the fragments. Empty: there is no such index, or no fragment in `file`.
Bytes head_without_index(ByteView file);

/// So many sounds are mixed by one process; with more they are mixed in groups first.
constexpr std::size_t kSoundsAtOnce = 64;

/// Renders one scene to `output`. `name_files[i]`: a file with the name of plan.pictures[i], and behind those of plan.sounds.
FfmpegRun scene_run(const ExportPlan& plan, const ExportScene& scene, const std::vector<std::string>& name_files, const std::string& graph_file,
                    const std::string& output);
/// plan.sounds from number `first` on, at most kSoundsAtOnce, mixed as they are into a file for `sound_run`.
FfmpegRun sound_group_run(const ExportPlan& plan, std::size_t first, const std::string& graph_file, const std::string& output);
/// The export's sound. `groups`: what sound_group_run made of all sounds; empty: of the sounds themselves, at most kSoundsAtOnce and not none.
FfmpegRun sound_run(const ExportPlan& plan, const std::vector<std::string>& groups, const std::string& graph_file, const std::string& output);
/// The list for FFmpeg's concat demuxer: one file per scene, by plain names, beside the list.
std::string scene_list(const ExportPlan& plan, const std::vector<std::string>& files);
/// FFmpeg's metadata file: the chapters.
std::string chapters_text(const ExportPlan& plan);
/// Arguments that put them together, playable from the first byte on. `sound`: empty: there is none.
std::vector<std::string> join_arguments(const std::string& list, const std::string& sound, const std::string& chapters, const std::string& comment,
                                        const std::string& output);

}  // namespace amphi::recording
