// The part of an H.264 MP4 file before its first fragment: ftyp and moov (ISO/IEC 14496-12 8.1 to 8.8, 14496-15 5.3).
#pragma once

#include <cstdint>

#include "recording/box.h"
#include "recording/frame.h"

namespace amphi::recording {

constexpr std::uint32_t kMp4MediaScale = 90'000;
constexpr std::uint32_t kMp4MovieScale = 1'000;

/// Where the durations lie that are only known at the end, as offsets in the writer's bytes. The box at `extends` is a
/// free box of kMp4ExtendsBytes until mehd replaces it.
struct Mp4Places {
  std::size_t movie_duration = 0, track_duration = 0, media_duration = 0;  // 32 bits each
  std::size_t extends = 0;
};
constexpr std::size_t kMp4ExtendsBytes = 16;

Mp4Places write_mp4_header(BoxWriter& out, const Frame& first);

}  // namespace amphi::recording
