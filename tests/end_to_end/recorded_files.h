// What is in a recording's folder, seen through its manifest and through FFmpeg. Thread: any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace amphi::end_to_end {

nlohmann::json read_manifest(const std::filesystem::path& folder);

struct Decoded {
  std::vector<std::optional<std::uint32_t>> numbers;  // of each frame; nullopt: not readable
  std::string complaints;                             // FFmpeg's, empty for a clean file
};
/// Decodes every picture of a video file and reads its frame number (amphi/frame_barcode.h).
Decoded decode_numbers(const std::filesystem::path& file, int width, int height);

/// Seconds, as ffprobe tells.
double probe_duration(const std::filesystem::path& file);

}  // namespace amphi::end_to_end
