#include "lip_sync.h"

#include <algorithm>

namespace amphi::sdk {
namespace {

Duration wall_of(rtp::NtpTime ntp) {
  const auto whole = static_cast<std::int64_t>(ntp.value >> 32);
  const std::uint64_t fraction = ntp.value & 0xffffffff;
  return seconds(whole) + nanoseconds(static_cast<std::int64_t>(fraction * 1'000'000'000 >> 32));
}

}  // namespace

void LipSync::add(const std::string& feed, const std::string& participant, std::uint32_t clock_rate) {
  Stream stream;
  stream.participant = participant;
  stream.clock_rate = clock_rate;
  streams_.insert_or_assign(feed, std::move(stream));
}

void LipSync::remove(const std::string& feed) { streams_.erase(feed); }

void LipSync::on_sender_report(const std::string& feed, rtp::NtpTime ntp, rtp::WireTimestamp rtp_timestamp) {
  if (const auto it = streams_.find(feed); it != streams_.end()) it->second.report = {wall_of(ntp), rtp_timestamp};
}

void LipSync::on_packet(const std::string& feed, rtp::WireTimestamp rtp_timestamp, Time now) {
  const auto it = streams_.find(feed);
  if (it == streams_.end() || !it->second.report) return;
  Stream& s = it->second;
  const auto ticks = static_cast<std::int32_t>(rtp_timestamp - s.report->second);
  const Duration captured = s.report->first + Duration(std::int64_t{ticks} * 1'000'000'000 / s.clock_rate);
  const Duration transit = now.time_since_epoch() - captured;
  if (now >= s.window_end) {
    s.least_before = s.least;
    s.least.reset();
    s.window_end = now + kWindow;
  }
  if (!s.least || transit < *s.least) s.least = transit;
}

std::vector<LipSync::Hold> LipSync::poll(Time) {
  const auto transit_of = [](const Stream& s) {
    if (s.least && s.least_before) return std::optional(std::min(*s.least, *s.least_before));
    return s.least ? s.least : s.least_before;
  };
  std::map<std::string, Duration> latest;  // of each participant
  for (const auto& [feed, s] : streams_)
    if (const auto transit = transit_of(s)) {
      const auto [it, fresh] = latest.emplace(s.participant, *transit);
      if (!fresh) it->second = std::max(it->second, *transit);
    }
  std::vector<Hold> changed;
  for (auto& [feed, s] : streams_) {
    const auto transit = transit_of(s);
    if (!transit) continue;
    const Duration wanted = latest[s.participant] - *transit;
    if (wanted > kMost) continue;
    const Duration change = wanted > s.held ? wanted - s.held : s.held - wanted;
    if (change < kTolerance) continue;
    s.held = wanted;
    changed.push_back({feed, wanted});
  }
  return changed;
}

}  // namespace amphi::sdk
