// What a recorder reports of its feeds, and senders of a single payload.
#pragma once

#include "recording/test_camera.h"

namespace amphi::recording::test {

/// The newest report's status of a feed.
inline FeedStatus status_of(const Studio& studio, const std::string& id) {
  for (auto report = studio.reports.rbegin(); report != studio.reports.rend(); ++report)
    for (const FeedStatus& status : report->second.feeds)
      if (status.feed.value == id) return status;
  return {};
}

/// Sends the payload thirty times a second; `ticks`: of the codec's clock, from one to the next.
inline void send(Studio& studio, const std::string& id, const Bytes& payload, Duration from, Duration to, rtp::WireTimestamp ticks = 2970) {
  int n = static_cast<int>(from / 33ms);
  for (Duration at = from; at < to; at += 33ms, ++n)
    studio.packet(id, n, static_cast<rtp::WireTimestamp>(n) * ticks, true, payload, studio.at(at));
}

inline Bytes nal(std::initializer_list<unsigned> bytes) {
  Bytes out;
  for (const unsigned each : bytes) out.push_back(static_cast<std::byte>(each));
  return out;
}

}  // namespace amphi::recording::test
