// Plans of exports from manifests of any content, separated by a line "---", within a range that the first bytes give. A plan's scenes follow each other
// without a hole, and every cell shows a piece that exists. FFmpeg's arguments are written for each.
#include "fuzz.h"
#include "recording/export_ffmpeg.h"
#include "recording/export_plan.h"

using namespace amphi;
using namespace amphi::recording;

namespace {

/// What FFmpeg would be asked for; of the scenes the first few.
void write_runs(const ExportPlan& plan) {
  const std::vector<std::string> names(plan.pictures.size() + plan.sounds.size(), "name");
  for (std::size_t i = 0; i < std::min<std::size_t>(plan.scenes.size(), 4); ++i)
    fuzz::require(!scene_run(plan, plan.scenes[i], names, "graph", "out").arguments.empty(), "a scene is rendered");
  if (!plan.sounds.empty() && plan.sounds.size() <= kSoundsAtOnce) fuzz::require(!sound_run(plan, {}, "graph", "out").arguments.empty(), "the sound is mixed");
  for (std::size_t first = 0; first < plan.sounds.size(); first += kSoundsAtOnce) (void)sound_group_run(plan, first, "graph", "out");
  (void)scene_list(plan, std::vector<std::string>(plan.scenes.size(), "scene"));
  const std::string chapters = chapters_text(plan);
  fuzz::require(std::size_t(std::count(chapters.begin(), chapters.end(), '[')) >= plan.chapters.size(), "every chapter is listed");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  ExportRange range{in.u16(), std::nullopt};
  if (const std::uint16_t to = in.u16()) range.to_ms = to;
  std::string_view text = in.text();
  std::vector<ExportSource> sources;
  while (!text.empty() && sources.size() < 4) {
    const std::size_t end = text.find("\n---\n");
    if (auto manifest = parse_manifest(text.substr(0, end))) sources.push_back({std::move(*manifest), "folder"});
    text = end == text.npos ? std::string_view() : text.substr(end + 5);
  }
  const auto plan = plan_export(sources, range);
  if (!plan) {
    fuzz::require(!plan.error().message.empty(), "a refusal has a reason");
    return 0;
  }
  std::int64_t next = 0;
  for (const ExportScene& scene : plan->scenes) {
    fuzz::require(scene.first_frame == next && scene.frames > 0, "scenes follow each other");
    next += scene.frames;
    for (const ExportCell& cell : scene.cells) {
      fuzz::require(cell.piece < (cell.voice ? plan->sounds : plan->pictures).size(), "a cell shows a piece that exists");
      fuzz::require(cell.x >= 0 && cell.y >= 0 && cell.x + cell.width <= kExportWidth && cell.y + cell.height <= kExportHeight, "a cell lies within the picture");
    }
  }
  write_runs(*plan);
  return 0;
}
