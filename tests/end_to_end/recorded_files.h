// What is in a recording's folder, seen through its manifest and through FFmpeg. Thread: any.
#pragma once

#include <amphi/amphi.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace amphi::end_to_end {

nlohmann::json read_manifest(const std::filesystem::path& folder);

/// What `amphi-server verify` says of it.
void expect_sound(const std::filesystem::path& folder);

/// Pictures that carry their numbers, for `decode_numbers` to read.
inline constexpr int kNumberedWidth = 320, kNumberedHeight = 180, kFramesPerSecond = 25;
OutgoingVideoComponents numbered(VideoCodec codec, int width = kNumberedWidth, int height = kNumberedHeight);

struct Decoded {
  std::vector<std::optional<std::uint32_t>> numbers;  // of each frame; nullopt: not readable
  std::string complaints;                             // FFmpeg's, empty for a clean file
};
/// Decodes every picture of a video file and reads its frame number (amphi/frame_barcode.h).
Decoded decode_numbers(const std::filesystem::path& file, int width = kNumberedWidth, int height = kNumberedHeight);

/// Seconds, as ffprobe tells.
double probe_duration(const std::filesystem::path& file);

}  // namespace amphi::end_to_end
