// What a session's recordings add up to, as their manifests say. Thread: its owner's.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "recording/recorder.h"

namespace amphi::recording {

struct History {
  std::int64_t total_ms = 0;
  std::string last_recording_id;  // empty: there is none

  /// In any order.
  void add(const Manifest& manifest) {
    total_ms += manifest.duration_ms;
    if (manifest.started_at.unix_ms <= newest_) return;
    newest_ = manifest.started_at.unix_ms;
    last_recording_id = manifest.id.value;
  }

 private:
  std::int64_t newest_ = std::numeric_limits<std::int64_t>::min();
};

}  // namespace amphi::recording
