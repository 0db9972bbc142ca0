#include "recorded_files.h"

#include <amphi/frame_barcode.h>
#include <gtest/gtest.h>

#include <fstream>

#include "server_process.h"

namespace amphi::end_to_end {

nlohmann::json read_manifest(const std::filesystem::path& folder) {
  return nlohmann::json::parse(std::ifstream(folder / "manifest.json"));
}

void expect_sound(const std::filesystem::path& folder) {
  const auto verified = run_command({AMPHI_SERVER_BINARY, "verify", folder.string()});
  EXPECT_EQ(verified.status, 0) << verified.out;
}

OutgoingVideoComponents numbered(VideoCodec codec, int width, int height) {
  OutgoingVideoComponents components;
  components.input = VideoInputComponentTestPattern{VideoInputComponentTestPattern::Pattern::ball, true};
  components.encoding = {codec, static_cast<std::uint32_t>(width * height * 5), width, height, kFramesPerSecond};
  return components;
}

Decoded decode_numbers(const std::filesystem::path& file, int width, int height) {
  Decoded decoded;
  const TemporaryFolder work;
  const auto raw = work.path() / "frames.gray";
  const auto result = run_command({"ffmpeg", "-v", "error", "-i", file.string(), "-map", "0:v", "-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", raw.string()});
  decoded.complaints = result.out;
  if (result.status != 0) decoded.complaints += " (exit status " + std::to_string(result.status) + ")";
  std::ifstream frames(raw, std::ios::binary);
  std::vector<std::uint8_t> picture(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  while (frames.read(reinterpret_cast<char*>(picture.data()), static_cast<std::streamsize>(picture.size())))
    decoded.numbers.push_back(barcode::decode({picture.data(), width, height, width}));
  return decoded;
}

double probe_duration(const std::filesystem::path& file) {
  const auto result = run_command({"ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", file.string()});
  return std::stod(result.out);
}

}  // namespace amphi::end_to_end
