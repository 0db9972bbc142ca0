// The limits of media that a participant has reached, told once a second. Each was counted where it was reached. Thread: the worker's.
#include <utility>

#include "sfu/session_impl.h"

namespace amphi::sfu {
namespace {

constexpr Duration kTellEvery = 1s;

constexpr std::array<const char*, kLimits> kWords{
    "It sends more than a participant may; the rest is dropped.",
    "Its feeds change their codecs too often.",
    "It asks for too many keyframes; they come later.",
    "It sends too much RTCP; the rest is dropped.",
    "It asks for more lost packets than its share; the rest is not sent again.",
    "It sends too many sender reports; the rest is dropped.",
    "It sends too many STUN requests; the rest is dropped.",
};

LimitCounts counts_of(const Participant& participant) {
  LimitCounts counts{participant.over_ingress, participant.codec_changes, participant.keyframes_throttled};
  for (const peer::Peer* peer : {participant.publishing.get(), participant.subscribing.get()}) {
    if (peer == nullptr) continue;
    const auto& drops = peer->drops();
    counts[3] += drops[peer::Drop::rtcp_over_budget];
    counts[4] += drops[peer::Drop::nack_over_budget];
    counts[5] += drops[peer::Drop::report_too_soon];
    counts[6] += peer->ice_drops()[ice::Drop::too_many_requests];
  }
  return counts;
}

}  // namespace

void Session::Impl::tell_limits(Time now) {
  limits_due = now + kTellEvery;
  for (const auto& participant : participants) {
    const LimitCounts counts = counts_of(*participant);
    const LimitCounts told = std::exchange(participant->limits_told, counts);
    for (std::size_t i = 0; i < kLimits; ++i)
      if (counts[i] > told[i]) events.push_back(LimitReached{participant->id, kWords[i]});
  }
}

}  // namespace amphi::sfu
