#include "recording/feed_roster.h"

#include <algorithm>
#include <utility>

namespace amphi::recording {
namespace {

constexpr Duration kReportEvery = 1s;
constexpr Duration kReportAgain = 5s;  // while media are lost, so that the seconds in the messages are about right

void add(Drops& sum, const Drops& drops) {
  for (std::size_t i = 0; i < Drops::kSize; ++i) sum.add(static_cast<Drop>(i), drops[static_cast<Drop>(i)]);
}

}  // namespace

Feed* FeedRoster::find(const FeedId& id) {
  const auto at = active_.find(id);
  if (at != active_.end()) return at->second;
  shares_.drops.add(Drop::unknown_feed);
  return nullptr;
}

Feed* FeedRoster::find_open(const FeedId& id) {
  if (active_.contains(id)) return active_.at(id);
  const auto gone = newest_.find(id);
  return gone != newest_.end() && !feeds_.at(gone->second)->finished() ? feeds_.at(gone->second).get() : find(id);
}

bool FeedRoster::add(const FeedInfo& feed, bool muted, Time now) {
  membership_changed_ = true;
  if (Feed* again = take_back(feed, now)) {
    again->come_back(muted, now);
    active_.emplace(feed.id, again);
    return true;
  }
  Feed& made = make(feed, now);
  if (muted) made.mute(now);
  active_.emplace(feed.id, &made);
  return false;
}

/// The feed, if it can go on in its file. A file that cannot be continued is completed.
Feed* FeedRoster::take_back(const FeedInfo& feed, Time now) {
  const auto found = std::find_if(away_.begin(), away_.end(), [&](const Feed* gone) { return gone->info().id == feed.id; });
  if (found == away_.end()) return nullptr;
  Feed* gone = *found;
  away_.erase(found);
  if (gone->continues_as(feed)) return gone;
  gone->finish(now);
  return nullptr;
}

/// The feed was there before without a track, and is listed.
Feed* FeedRoster::listed(const FeedInfo& feed) {
  const auto known = newest_.find(feed.id);
  if (known == newest_.end()) return nullptr;
  Feed& old = *feeds_.at(known->second);
  return old.listed() && old.info() == feed ? &old : nullptr;
}

Feed& FeedRoster::make(const FeedInfo& feed, Time now) {
  const Sealer* sealer = safekeeping_.sealer ? &*safekeeping_.sealer : nullptr;
  auto made = std::make_unique<Feed>(feed, start_, now, clocks_[feed.participant], out_, Desk{journal_, files_, shares_, sealer});
  if (const Feed* before = listed(feed)) {
    made->carry_over(before->record());
    made->set_listed();
    return *(feeds_.at(newest_.at(feed.id)) = std::move(made));
  }
  if (shares_.without_track.take(feed.participant_identity)) {
    made->set_listed();
    journal_.feed(feed, made->record().summary.offset_ms);
  } else {
    shares_.drops.add(Drop::unlisted_feed);
    shares_.limits.reached(Limit::feeds_without_track, feed, now);
  }
  newest_[feed.id] = ++feeds_seen_;
  return *(feeds_[feeds_seen_] = std::move(made));
}

bool FeedRoster::remove(const FeedId& id, Time now) {
  Feed* found = find(id);
  if (!found) return false;
  found->leave(now);
  active_.erase(id);
  membership_changed_ = true;
  if (!found->file()) return let_go(*found), false;
  away_.push_back(found);
  if (away_.size() > kMaxAway) complete_one_away(now);
  return true;
}

/// A feed that left without a track is kept only where it is listed.
void FeedRoster::let_go(const Feed& feed) {
  if (feed.listed()) return;
  recording::add(of_gone_, feed.record().drops);
  const auto known = newest_.find(feed.info().id);
  const std::uint64_t number = known->second;
  const ParticipantId participant = feed.info().participant;
  newest_.erase(known);
  feeds_.erase(number);
  const auto is_theirs = [&](const auto& entry) { return entry.second->info().participant == participant; };
  if (std::none_of(feeds_.begin(), feeds_.end(), is_theirs)) clocks_.erase(participant);
}

/// Of the identity with most files that are kept open, the file whose feed left first is completed.
void FeedRoster::complete_one_away(Time now) {
  std::map<std::string, std::size_t> of_one;
  for (const Feed* feed : away_) ++of_one[feed->info().participant_identity];
  const auto most = std::max_element(of_one.begin(), of_one.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  const auto oldest = std::find_if(away_.begin(), away_.end(), [&](const Feed* feed) { return feed->info().participant_identity == most->first; });
  (*oldest)->finish(now);
  away_.erase(oldest);
}

void FeedRoster::handle_timeout(Time now) {
  for (const auto& [id, feed] : active_) feed->handle_timeout(now);
  for (Feed* feed : away_) feed->handle_timeout(now);
}

Time FeedRoster::next_timeout() const {
  Time next = Time::max();
  for (const auto& [id, feed] : active_) next = std::min(next, feed->next_timeout());
  for (const Feed* feed : away_) next = std::min(next, feed->next_timeout());
  return next;
}

void FeedRoster::finish(Time now) {
  for (const auto& [number, feed] : feeds_) feed->finish(now);
  active_.clear();
  away_.clear();
  ManifestContent content{};
  list(content);
  for (const TrackRecord* feed : content.feeds_without_media) journal_.without_track(*feed);
}

void FeedRoster::abandon() {
  for (const auto& [number, feed] : feeds_) feed->abandon();
  active_.clear();
  away_.clear();
}

std::vector<const Feed*> FeedRoster::recorded() const {
  std::vector<const Feed*> found(files_, nullptr);
  for (const auto& [number, feed] : feeds_)
    if (feed->file()) found[*feed->file() - 1] = feed.get();
  return found;
}

void FeedRoster::list(ManifestContent& content) const {
  for (const Feed* feed : recorded()) content.tracks.push_back(&feed->record());
  for (const auto& [number, feed] : feeds_)
    if (feed->listed()) content.list_if_without_media(feed->record());
}

std::uint64_t FeedRoster::bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [number, feed] : feeds_) bytes += feed->record().bytes;
  return bytes;
}

bool FeedRoster::set_hash(FileNumber file, const Sha256Digest& digest) {
  for (const auto& [number, feed] : feeds_) {
    if (feed->file() != file || !feed->record().summary.sha256.empty()) continue;
    feed->set_hash(digest);
    return true;
  }
  return false;
}

Drops FeedRoster::drops() const {
  Drops sum = of_gone_;
  recording::add(sum, shares_.drops);
  for (const auto& [number, feed] : feeds_) recording::add(sum, feed->record().drops);
  return sum;
}

std::optional<FeedsChanged> FeedRoster::report(Time now) {
  if (now < report_at_) return std::nullopt;
  report_at_ = now + kReportEvery;
  FeedsChanged report;
  bool changed = std::exchange(membership_changed_, false), loses = false;
  for (const auto& [number, feed] : feeds_) {
    const auto there = active_.find(feed->info().id);
    if (there == active_.end() || there->second != feed.get()) continue;
    FeedStatus status = feed->look(now);
    changed = changed || status.changed || std::any_of(status.faults.begin(), status.faults.end(), [](const FaultStatus& fault) { return fault.changed; });
    loses = loses || loses_media(status.reason) || !status.of(FeedFault::media_lost).message.empty();
    report.feeds.push_back(std::move(status));
  }
  report.limits = shares_.limits.at(now);
  changed = changed || report.limits != limits_told_;
  if (!changed && !(loses && now >= report_again_at_)) return std::nullopt;
  report_again_at_ = now + kReportAgain;
  limits_told_ = report.limits;
  report.drops = drops();
  return report;
}

}  // namespace amphi::recording
