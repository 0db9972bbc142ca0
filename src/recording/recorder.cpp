#include "recording/recorder.h"

#include <algorithm>
#include <deque>

#include "recording/commit_group.h"
#include "recording/feed_roster.h"
#include "recording/manifest.h"

namespace amphi::recording {
namespace {

constexpr std::string_view kManifestName = "manifest.json";
constexpr std::size_t kMaxFeedId = 160;  // leaves room for a file name around it

}  // namespace

struct Recorder::Impl {
  Impl(RecordingInfo info_in, Time start_in, Safekeeping keeping)
      : info(std::move(info_in)), start(start_in), safekeeping(std::move(keeping)), feeds(start, out, journal, safekeeping), manifest_at(start) {
    caught_up = info.pre_roll == Duration::zero();
  }
  enum class State { running, hashing, storing_manifest, failed, closed };

  RecordingInfo info;
  Time start;
  Safekeeping safekeeping;
  State state = State::running;
  Duration duration{};  // once stopped or failed
  std::optional<WallTime> stopped_at;
  std::optional<Error> error;

  std::deque<Output> out;
  std::size_t in_order = 0;  // of them, at the front
  Journal journal{out};
  FeedRoster feeds;
  std::size_t hashes_awaited = 0;
  std::vector<Marker> markers;

  std::size_t replaces_outstanding = 0;
  bool stored = false;  // the folder, and its first manifest
  bool caught_up = false;
  bool started = false;
  bool manifest_stale = false;  // changed while one was on its way, or soon after one
  Time manifest_at;             // of the next
  Duration manifest_every = kManifestEvery;
  bool failed_manifest_given = false;
  std::uint64_t tracks_seen = 0;
  std::uint64_t pieces_seen = 0;
  bool writing = false;
  Time piece_at;  // of the newest

  /// Whether the recorder still takes anything; what is journaled from here on happens at `now`.
  bool running_at(Time now) {
    if (state == State::running) journal.set_time(std::max(now - start, Duration{0}));
    return state == State::running;
  }

  void put_manifest(std::string_view state_name, Duration so_far) {
    ManifestContent content{info, state_name, stopped_at, to_ms(so_far), error, {}, {}, feeds.shares().drops, markers, safekeeping.sealer.has_value(), {}, {}};
    if (state == State::running) journal.sync();  // it tells of nothing that the journal does not
    feeds.list(content);
    if (state_name == "complete") content.evidence = Evidence{journal.lines(), journal.head(), safekeeping.signing};
    Bytes text = write_manifest(content);
    manifest_every = kManifestEvery * static_cast<std::int64_t>(1 + text.size() / 1'000'000);
    out.emplace_back(FileOp(ReplaceFile{std::string(kManifestName), std::move(text)}));
    ++replaces_outstanding;
  }

  void refresh_manifest(Time now) {
    manifest_stale = replaces_outstanding > 0 || now < manifest_at;
    if (manifest_stale) return;
    put_manifest("recording", now - start);
    manifest_at = now + manifest_every;
  }

  /// What follows from the newest packets: a file that was opened, media on the disk.
  void advance(Time now) {
    if (state != State::running) return;
    if (journal.pieces() != pieces_seen) {
      pieces_seen = journal.pieces();
      piece_at = now;
      if (!std::exchange(writing, true) && started) out.emplace_back(MediaChanged{true});
    } else if (writing && now - piece_at >= kSilence) {
      writing = false;
      if (started) out.emplace_back(MediaChanged{false});
    }
    if (std::exchange(tracks_seen, journal.tracks()) != journal.tracks()) refresh_manifest(now);
  }

  Time alive_at() const { return start + milliseconds(journal.last_ms()) + kAliveEvery; }
  Time sync_at() const { return journal.sync_at() ? start + *journal.sync_at() : Time::max(); }

  void ask_for_hashes() {
    for (const Feed* feed : feeds.recorded()) {
      out.emplace_back(FileOp(HashFile{*feed->file()}));
      ++hashes_awaited;
    }
  }

  void complete() {
    state = State::storing_manifest;
    if (feeds.bytes() <= kHashedAtOnce) {
      ask_for_hashes();
      if (hashes_awaited > 0) state = State::hashing;
    }
    if (state == State::storing_manifest) put_manifest("complete", duration);
  }

  /// Behind all that was written by now.
  void start_once_ready() {
    if (started || !stored || !caught_up) return;
    started = true;
    out.emplace_back(Started{});
    if (writing) out.emplace_back(MediaChanged{true});
  }

  void give_finished() {
    Finished finished{duration, {}, error, feeds.drops()};
    for (const Feed* feed : feeds.recorded()) finished.tracks.push_back(feed->record().summary);
    out.emplace_back(std::move(finished));
    out.emplace_back(Closed{});
    state = State::closed;
  }
};

Recorder::Recorder(RecordingInfo info, Time start, Safekeeping safekeeping) : impl_(std::make_unique<Impl>(std::move(info), start, std::move(safekeeping))) {
  Impl& me = *impl_;
  me.out.emplace_back(FileOp(OpenFile{kJournalFile, std::string(kJournalName)}));
  me.journal.begin(me.info, me.safekeeping);
  me.put_manifest("recording", Duration{0});
}

Recorder::~Recorder() = default;

void Recorder::add_feed(const FeedInfo& feed, Time now, bool muted) {
  Impl& me = *impl_;
  if (!me.running_at(now) || me.feeds.contains(feed.id)) return;
  if (!is_safe_path_name(feed.id.value) || feed.id.value.size() > kMaxFeedId) return me.feeds.shares().drops.add(Drop::unsafe_feed_id);
  if (me.feeds.add(feed, muted, now)) me.refresh_manifest(now);
}

void Recorder::remove_feed(const FeedId& feed, Time now) {
  Impl& me = *impl_;
  if (!me.running_at(now) || !me.feeds.remove(feed, now)) return;
  me.refresh_manifest(now);
  me.advance(now);
}

void Recorder::handle_packet(const FeedId& feed, rtp::Seq seq, const rtp::RtpHeader& header, ByteView payload,
                             Time now) {
  Impl& me = *impl_;
  if (!me.running_at(now)) return;
  if (Feed* found = me.feeds.find(feed)) {
    found->handle_packet(seq, header, payload, now);
    me.advance(now);
  }
}

void Recorder::handle_sender_report(const FeedId& feed, rtp::NtpTime ntp, rtp::WireTimestamp rtp_timestamp, Time now) {
  if (!impl_->running_at(now)) return;
  if (Feed* found = impl_->feeds.find(feed)) found->handle_sender_report(ntp, rtp_timestamp, now);
}

void Recorder::handle_dropped(const FeedId& feed, Drop which, std::uint64_t packets, Time now) {
  if (!impl_->running_at(now)) return;
  if (Feed* found = impl_->feeds.find(feed)) found->handle_dropped(which, packets, now);
}

void Recorder::handle_overflow(const FeedId& feed, std::uint64_t packets, Time now) {
  if (!impl_->running_at(now)) return;
  if (Feed* found = impl_->feeds.find_open(feed)) found->handle_overflow(packets, now);
}

void Recorder::add_marker(std::string label, std::string by, Time at) {
  Impl& me = *impl_;
  if (!me.running_at(std::max(at, me.start + milliseconds(me.journal.last_ms())))) return;
  if (me.markers.size() >= kMaxMarkers) return me.feeds.shares().drops.add(Drop::unlisted_marker);
  me.markers.push_back({std::max<std::int64_t>(to_ms(at - me.start), 0), std::move(label), std::move(by)});
  me.journal.marker(me.markers.back());
  me.refresh_manifest(at);
}

void Recorder::catch_up() {
  impl_->caught_up = true;
  impl_->start_once_ready();
}

void Recorder::stop(Time now, WallTime stopped_at, std::optional<Error> why) {
  Impl& me = *impl_;
  if (!me.running_at(now)) return;
  me.duration = now - me.start;
  me.stopped_at = stopped_at;
  me.error = std::move(why);
  me.manifest_stale = false;
  me.feeds.finish(now);
  me.journal.end(to_ms(me.duration), stopped_at, "complete", me.error, me.feeds.shares().drops);
  me.out.emplace_back(FileOp(CloseFile{kJournalFile}));
  me.complete();
}

void Recorder::handle_timeout(Time now) {
  Impl& me = *impl_;
  if (!me.running_at(now)) return;
  me.feeds.handle_timeout(now);
  if (now >= me.alive_at()) me.journal.alive();
  if (now >= me.sync_at()) me.journal.sync();
  me.advance(now);
  if (auto report = me.started ? me.feeds.report(now) : std::nullopt) me.out.emplace_back(std::move(*report));
  if (me.manifest_stale) me.refresh_manifest(now);
}

std::optional<Output> Recorder::poll_output() {
  if (impl_->out.empty()) return std::nullopt;
  if (impl_->in_order == 0) impl_->in_order = group_commits(impl_->out);
  --impl_->in_order;
  Output output = std::move(impl_->out.front());
  impl_->out.pop_front();
  if (impl_->state == Impl::State::failed && std::holds_alternative<FileOp>(output))
    impl_->failed_manifest_given = true;
  return output;
}

Time Recorder::next_timeout() const noexcept {
  const Impl& me = *impl_;
  if (me.state != Impl::State::running) return Time::max();
  Time next = std::min(me.alive_at(), me.sync_at());
  if (me.writing) next = std::min(next, me.piece_at + kSilence);
  if (me.manifest_stale && me.replaces_outstanding == 0) next = std::min(next, me.manifest_at);
  if (me.started) next = std::min(next, me.feeds.report_at());
  return std::min(next, me.feeds.next_timeout());
}

void Recorder::handle_hash(FileNumber file, const Sha256Digest& digest, Time) {
  Impl& me = *impl_;
  if (me.hashes_awaited == 0) return;
  if (me.feeds.set_hash(file, digest)) --me.hashes_awaited;
  if (me.hashes_awaited > 0) return;
  me.state = Impl::State::storing_manifest;
  me.put_manifest("complete", me.duration);
}

void Recorder::handle_replaced(Time now) {
  using State = Impl::State;
  Impl& me = *impl_;
  if (me.state == State::failed) {
    if (me.failed_manifest_given) me.give_finished();
    return;
  }
  if (me.replaces_outstanding == 0) return;
  --me.replaces_outstanding;
  me.stored = true;
  me.start_once_ready();
  if (me.state == State::storing_manifest && me.replaces_outstanding == 0) return me.give_finished();
  if (me.state == State::running && me.manifest_stale) me.refresh_manifest(now);
}

void Recorder::handle_storage_error(Error error, Time now) {
  using State = Impl::State;
  Impl& me = *impl_;
  if (me.state == State::closed) return;
  if (me.state == State::failed) {
    if (me.failed_manifest_given) me.give_finished();
    return;
  }
  if (me.state == State::running) me.duration = now - me.start;
  me.state = State::failed;
  me.error = std::move(error);
  me.feeds.abandon();
  // What was to be written before it could be said to be on is not.
  const auto is_start = [](const Output& output) { return std::holds_alternative<Started>(output); };
  if (std::any_of(me.out.begin(), me.out.end(), is_start)) me.started = false;
  me.out.clear();
  me.in_order = 0;
  if (!me.started) return me.give_finished();  // it never was on: there is nothing to tell of
  me.put_manifest("failed", me.duration);
}

Duration Recorder::running_duration(Time now) const {
  return impl_->state == Impl::State::running ? std::max(now - impl_->start, Duration{0}) : impl_->duration;
}

const Drops& Recorder::drops() const {
  return impl_->feeds.shares().drops;
}

}  // namespace amphi::recording
