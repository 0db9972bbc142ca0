// Plans of exports from manifests of any content, separated by a line "---", within a range that the first bytes give. A plan's scenes follow each other
// without a hole, and every cell shows a piece that exists.
#include "fuzz.h"
#include "recording/export_plan.h"

using namespace amphi;
using namespace amphi::recording;

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
  return 0;
}
