#include "recording/recorder.h"

#include <algorithm>
#include <deque>
#include <map>
#include <unordered_map>

#include "recording/feed.h"
#include "recording/manifest.h"

namespace amphi::recording {
namespace {

constexpr std::string_view kManifestName = "manifest.json";
constexpr std::size_t kMaxFeedId = 160;  // leaves room for a file name around it

}  // namespace

struct Recorder::Impl {
  enum class State { running, stopping, storing_manifest, failed, finished };

  RecordingInfo info;
  Time start;
  State state = State::running;
  Duration duration{};  // once stopped or failed
  std::optional<WallTime> stopped_at;
  std::optional<Error> error;

  std::deque<Output> out;
  std::vector<std::unique_ptr<Feed>> feeds;  // all that ever were, in their order
  std::unordered_map<FeedId, Feed*> active;
  std::map<ParticipantId, ParticipantClock> clocks;  // a node each: feeds hold references
  FileNumber files = 0;
  std::size_t hashes_awaited = 0;
  Drops drops;
  std::vector<Marker> markers;

  std::size_t replaces_outstanding = 0;
  bool started = false;
  bool manifest_stale = false;  // changed while one was on its way
  bool failed_manifest_given = false;

  Feed* find(const FeedId& id) {
    const auto at = active.find(id);
    if (at != active.end()) return at->second;
    drops.add(Drop::unknown_feed);
    return nullptr;
  }

  void put_manifest(std::string_view state_name, Duration so_far) {
    ManifestContent content{info, state_name, stopped_at, to_ms(so_far), error, {}, {}, drops, markers};
    for (const auto& feed : feeds) {
      if (feed->file())
        content.tracks.push_back(&feed->record());
      else
        content.feeds_without_media.push_back(&feed->info());
    }
    out.emplace_back(FileOp(ReplaceFile{std::string(kManifestName), write_manifest(content)}));
    ++replaces_outstanding;
  }

  void refresh_manifest(Time now) {
    manifest_stale = replaces_outstanding > 0;
    if (!manifest_stale) put_manifest("recording", now - start);
  }

  void finish_feed(Feed& feed, Time now) {
    if (feed.finished()) return;
    feed.finish(now);
    if (feed.file()) ++hashes_awaited;
  }

  void advance(Time now) {
    bool opened = false;
    for (const auto& [id, feed] : active) opened = feed->take_opened() || opened;
    if (opened && state == State::running) refresh_manifest(now);
  }

  void complete_if_hashed() {
    if (state != State::stopping || hashes_awaited > 0) return;
    state = State::storing_manifest;
    put_manifest("complete", duration);
  }

  void give_finished() {
    state = State::finished;
    Finished finished{duration, {}, error};
    for (const auto& feed : feeds) {
      if (feed->file()) finished.tracks.push_back(feed->record().summary);
    }
    out.emplace_back(std::move(finished));
  }
};

Recorder::Recorder(RecordingInfo info, Time start) : impl_(std::make_unique<Impl>()) {
  impl_->info = std::move(info);
  impl_->start = start;
  impl_->put_manifest("recording", Duration{0});
}

Recorder::~Recorder() = default;

void Recorder::add_feed(const FeedInfo& feed, Time now) {
  if (impl_->state != Impl::State::running || impl_->active.contains(feed.id)) return;
  if (!is_safe_path_name(feed.id.value) || feed.id.value.size() > kMaxFeedId)
    return impl_->drops.add(Drop::unsafe_feed_id);
  ParticipantClock& clock = impl_->clocks[feed.participant];
  impl_->feeds.push_back(std::make_unique<Feed>(feed, impl_->start, now, clock, impl_->out, impl_->files));
  impl_->active.emplace(feed.id, impl_->feeds.back().get());
}

void Recorder::remove_feed(const FeedId& feed, Time now) {
  if (impl_->state != Impl::State::running) return;
  if (Feed* found = impl_->find(feed)) {
    impl_->finish_feed(*found, now);
    impl_->active.erase(feed);
    impl_->refresh_manifest(now);
  }
}

void Recorder::handle_packet(const FeedId& feed, rtp::Seq seq, const rtp::RtpHeader& header, ByteView payload,
                             Time now) {
  if (impl_->state != Impl::State::running) return;
  if (Feed* found = impl_->find(feed)) {
    found->handle_packet(seq, header, payload, now);
    if (found->take_opened()) impl_->refresh_manifest(now);
  }
}

void Recorder::handle_sender_report(const FeedId& feed, rtp::NtpTime ntp, rtp::WireTimestamp rtp_timestamp, Time now) {
  if (impl_->state != Impl::State::running) return;
  if (Feed* found = impl_->find(feed)) found->handle_sender_report(ntp, rtp_timestamp, now);
}

void Recorder::handle_overflow(const FeedId& feed, std::uint64_t packets, Time) {
  if (impl_->state != Impl::State::running) return;
  if (Feed* found = impl_->find(feed)) found->handle_overflow(packets);
}

void Recorder::add_marker(std::string label, std::string by, Time at) {
  Impl& me = *impl_;
  if (me.state != Impl::State::running) return;
  if (me.markers.size() >= kMaxMarkers) return me.drops.add(Drop::unlisted_marker);
  me.markers.push_back({std::max<std::int64_t>(to_ms(at - me.start), 0), std::move(label), std::move(by)});
  me.refresh_manifest(at);
}

void Recorder::stop(Time now, WallTime stopped_at) {
  if (impl_->state != Impl::State::running) return;
  impl_->state = Impl::State::stopping;
  impl_->duration = now - impl_->start;
  impl_->stopped_at = stopped_at;
  impl_->manifest_stale = false;
  for (const auto& feed : impl_->feeds) impl_->finish_feed(*feed, now);
  impl_->active.clear();
  impl_->complete_if_hashed();
}

void Recorder::handle_timeout(Time now) {
  if (impl_->state != Impl::State::running) return;
  for (const auto& [id, feed] : impl_->active) feed->handle_timeout(now);
  impl_->advance(now);
}

std::optional<Output> Recorder::poll_output() {
  if (impl_->out.empty()) return std::nullopt;
  Output output = std::move(impl_->out.front());
  impl_->out.pop_front();
  if (impl_->state == Impl::State::failed && std::holds_alternative<FileOp>(output))
    impl_->failed_manifest_given = true;
  return output;
}

Time Recorder::next_timeout() const noexcept {
  Time next = Time::max();
  if (impl_->state != Impl::State::running) return next;
  for (const auto& [id, feed] : impl_->active) next = std::min(next, feed->next_timeout());
  return next;
}

void Recorder::handle_hash(FileNumber file, const Sha256Digest& digest, Time) {
  for (const auto& feed : impl_->feeds) {
    if (feed->file() != file || !feed->finished() || !feed->record().summary.sha256.empty()) continue;
    feed->set_hash(digest);
    if (impl_->hashes_awaited > 0) --impl_->hashes_awaited;
  }
  impl_->complete_if_hashed();
}

void Recorder::handle_replaced(Time now) {
  if (impl_->state == Impl::State::finished) return;
  if (impl_->state == Impl::State::failed) {
    if (impl_->failed_manifest_given) impl_->give_finished();
    return;
  }
  if (impl_->replaces_outstanding == 0) return;
  --impl_->replaces_outstanding;
  if (!std::exchange(impl_->started, true)) impl_->out.emplace_back(Started{});
  if (impl_->state == Impl::State::storing_manifest && impl_->replaces_outstanding == 0) impl_->give_finished();
  if (impl_->state == Impl::State::running && impl_->manifest_stale) impl_->refresh_manifest(now);
}

void Recorder::handle_storage_error(Error error, Time now) {
  if (impl_->state == Impl::State::finished) return;
  if (impl_->state == Impl::State::failed) {
    if (impl_->failed_manifest_given) impl_->give_finished();
    return;
  }
  if (impl_->state == Impl::State::running) impl_->duration = now - impl_->start;
  impl_->state = Impl::State::failed;
  impl_->error = std::move(error);
  for (const auto& feed : impl_->feeds) feed->abandon();
  impl_->active.clear();
  std::erase_if(impl_->out, [](const Output& output) { return !std::holds_alternative<Started>(output); });
  impl_->put_manifest("failed", impl_->duration);
}

Duration Recorder::running_duration(Time now) const {
  return impl_->state == Impl::State::running ? std::max(now - impl_->start, Duration{0}) : impl_->duration;
}

const Drops& Recorder::drops() const {
  return impl_->drops;
}

}  // namespace amphi::recording
