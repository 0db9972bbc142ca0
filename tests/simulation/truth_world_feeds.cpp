// The feeds of a TruthWorld.
#include "tests/simulation/truth_world.h"

namespace amphi::services::simulation {

namespace rec = amphi::recording;

void TruthWorld::start_feeds() {
  // Few packets: what goes wrong does so between them, not because of many.
  static const std::vector<rec::test::Sender> kSenders{
      {"fd_wide", rec::test::vp8(), 200ms, 5}, {"fd_mic", rec::test::opus(), 100ms, 1}, {"fd_scope", rec::test::h264(), 150ms, 8}};
  const std::size_t count = 1 + random_.below(kSenders.size());
  for (std::size_t i = 0; i < count; ++i) {
    auto source = std::make_unique<Source>();
    source->sender = kSenders[i];
    sources_.push_back(std::move(source));
    after(between(0, 3'000), [this, i] { change(i); });
    after(between(0, 100), [this, i] { tick(i); });
  }
}

void TruthWorld::join(Recorded& folder) {
  for (const auto& source : sources_)
    if (source->present) folder.job->backlog.items.push_back({now_, testing::SeenFeed{source->sender.info()}});
  writer_.look_soon();
}

void TruthWorld::see(const testing::SeenItem& item) {
  for (const auto& folder : folders_) {
    if (!folder->attached) continue;
    folder->job->backlog.items.push_back(item);
    writer_.look_soon();
  }
}

/// It comes, goes, falls silent or is heard again.
void TruthWorld::change(std::size_t which) {
  Source& source = *sources_[which];
  if (server_ && !source.present) {
    source.present = true;
    source.silent = chance(20);
    source.frame = 0;
    source.since = now_;
    see({now_, testing::SeenFeed{source.sender.info()}});
  } else if (server_ && chance(20)) {
    source.present = false;
    see({now_, testing::SeenFeedLeave{FeedId(source.sender.id)}});
  } else {
    source.silent = !source.silent;
  }
  after(source.silent ? between(500, 12'000) : between(1'000, 15'000), [this, which] { change(which); });
}

/// A packet a frame, over a network that delays, loses and turns them round.
void TruthWorld::tick(std::size_t which) {
  Source& source = *sources_[which];
  const rec::test::Sender& sender = source.sender;
  after(sender.interval, [this, which] { tick(which); });
  if (!server_ || !source.present || source.silent) return;
  const std::uint32_t frame = source.frame++;
  if (chance(2)) return;
  const auto ticks = (now_ - source.since).count() / 1000 * sender.codec.clock_rate / 1'000'000;
  testing::SeenPacket packet{FeedId(sender.id), frame, {}, sender.payload(frame)};
  packet.header = {true, 96, static_cast<rtp::WireSeq>(frame), static_cast<rtp::WireTimestamp>(ticks), static_cast<std::uint32_t>(which + 1)};
  after(chance(3) ? between(20, 500) : between(1, 15), [this, which, since = source.since, packet = std::move(packet)] {
    if (server_ && sources_[which]->present && sources_[which]->since == since) see({now_, packet});
  });
}

}  // namespace amphi::services::simulation
