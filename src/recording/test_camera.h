// For tests: what a feed sends to a recorder, frame by frame, and what the manifest says of it.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "recording/test_files.h"

namespace amphi::recording::test {

inline Bytes bytes(std::initializer_list<unsigned> values) {
  Bytes out;
  for (const unsigned value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}
// VP8: a descriptor without extensions, and a frame whose first partition is four zeros: a header without any feature.
inline const Bytes kKey = bytes({0x10, 0x90, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, 0, 0, 0, 0, 0xaa});
inline const Bytes kDelta = bytes({0x10, 0x91, 0, 0, 0, 0, 0, 0, 0xbb});
inline const Bytes kOpus = bytes({0x78, 1, 2, 3});

/// Sends a packet a frame on a steady clock; what `lost` names is not sent.
struct Camera {
  Studio& studio;
  std::string id = "cam";
  Duration interval = 100ms;
  rtp::Seq seq = 1000;
  std::uint32_t rate = 90'000;
  bool audio = false;
  int keyframe_every = 1000;

  void send(Duration from, Duration to, std::vector<int> lost = {}) {
    int n = 0;
    for (Duration t = from; t < to; t += interval, ++n, ++seq) {
      if (std::find(lost.begin(), lost.end(), n) != lost.end()) continue;
      const auto timestamp = static_cast<rtp::WireTimestamp>(t.count() * rate / 1'000'000'000);
      studio.packet(id, seq, timestamp, true, audio ? kOpus : n % keyframe_every == 0 ? kKey : kDelta, studio.at(t));
    }
  }
};
inline Camera microphone(Studio& studio, std::string id = "mic") {
  return {studio, std::move(id), 20ms, 1000, 48'000, true, 1000};
}

inline nlohmann::json manifest_of(const Studio& studio) {
  return nlohmann::json::parse(studio.manifest());
}
/// How often the recorder asked for a keyframe meanwhile.
inline std::size_t wanted(const Studio& studio, Duration from, Duration to) {
  return static_cast<std::size_t>(
      std::count_if(studio.keyframes_wanted.begin(), studio.keyframes_wanted.end(),
                    [&](const auto& each) { return each.second >= from && each.second < to; }));
}

}  // namespace amphi::recording::test
