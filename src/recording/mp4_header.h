// The part of an H.264 MP4 file before its first fragment: ftyp and moov (ISO/IEC 14496-12 8.1 to 8.8, 14496-15 5.3).
#pragma once

#include <cstdint>
#include <optional>

#include "recording/box.h"
#include "recording/frame.h"

namespace amphi::recording {

constexpr std::uint32_t kMp4MediaScale = 90'000;
constexpr std::uint32_t kMp4MovieScale = 1'000;

/// Known at the end only.
struct Mp4Durations {
  std::uint32_t movie = 0;  // in the movie's scale
  std::uint32_t media = 0;  // in the media's
};

/// What a decoder has to know before the first frame, which has its parameter sets: AVCDecoderConfigurationRecord.
Bytes avc_configuration(const Frame& first);

/// Of the same length with durations and without.
void write_mp4_header(BoxWriter& out, const Frame& first, const std::optional<Mp4Durations>& durations);

}  // namespace amphi::recording
