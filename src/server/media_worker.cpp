#include "server/media_worker.h"

#include <algorithm>

namespace amphi::server {
namespace {

constexpr Duration kLookEvery = 1s;
constexpr Duration kKeyframeEvery = 2s;  // while a pre-roll is kept: a feed's pictures begin so soon after the recording does

void add(sfu::SessionStats& sum, const sfu::SessionStats& one) {
  sum.participants += one.participants;
  sum.feeds += one.feeds;
  sum.packets_in += one.packets_in;
  sum.packets_out += one.packets_out;
  sum.bytes_in += one.bytes_in;
  sum.bytes_out += one.bytes_out;
  sum.retransmitted += one.retransmitted;
  sum.nack_misses += one.nack_misses;
  sum.keyframes_throttled += one.keyframes_throttled;
  sum.muted += one.muted;
  sum.parameter_sets_ignored += one.parameter_sets_ignored;
}

}  // namespace

Result<std::unique_ptr<MediaWorker>> MediaWorker::create(unsigned index, const std::vector<Address>& bind,
                                                         std::shared_ptr<const dtls::Certificate> certificate,
                                                         boost::asio::io_context& control, EventSink on_event, Duration pre_roll,
                                                         const std::vector<OuterAddress>& outer, sfu::Limits limits) {
  std::unique_ptr<MediaWorker> worker(new MediaWorker(std::move(certificate), control, std::move(on_event), pre_roll, limits));
  auto loop = runtime::MediaLoop::create("media-" + std::to_string(index), bind, *worker);
  if (!loop) return tl::unexpected(loop.error());
  worker->loop_ = std::move(*loop);
  worker->candidates_ = worker->candidates(outer);
  worker->loop_->start();
  return worker;
}

MediaWorker::MediaWorker(std::shared_ptr<const dtls::Certificate> certificate, boost::asio::io_context& control,
                         EventSink on_event, Duration pre_roll, sfu::Limits limits)
    : certificate_(std::move(certificate)), control_(control), on_event_(std::move(on_event)), router_(random_), limits_(limits), pre_roll_(pre_roll) {}

MediaWorker::~MediaWorker() {
  if (loop_) loop_->stop();
}

void MediaWorker::stop() {
  post([](MediaWorker& worker, Time now) {
    while (!worker.sessions_.empty()) worker.remove_session(SessionId(worker.sessions_.back().id), now);
  });
  loop_->stop();
}

void MediaWorker::post(std::function<void(MediaWorker&, Time)> task) {
  loop_->post([this, task = std::move(task)](SendBatch& out, Time now) mutable { run_posted(task, out, now); });
}

void MediaWorker::run_posted(std::function<void(MediaWorker&, Time)>& task, SendBatch& out, Time now) {
  task(*this, now);
  for (const auto& entry : sessions_) router_.drain(*entry.session, out, now);
  router_.handle_timeout(out, now);  // flushes the farewells of a session that was removed
  forward_events();
}

void MediaWorker::handle_datagrams(std::span<Datagram> in, SendBatch& out, Time now) {
  for (const auto& datagram : in) router_.handle_input(datagram, out, now);
  forward_events();
  if (look_at_ <= now) look_at_socket(now);
}

void MediaWorker::look_at_socket(Time now) {
  look_at_ = now + kLookEvery;
  if (!loop_ || !loop_->count_overflow()) return;
  for (const auto& entry : sessions_)
    boost::asio::post(control_, [this, id = entry.id] {
      on_event_(id, sfu::LimitReached{{}, "More media arrive than the server can take: datagrams of all sessions may be lost."});
    });
}

void MediaWorker::handle_timeout(SendBatch& out, Time now) {
  router_.handle_timeout(out, now);
  if (keep_at_ <= now) look_after_keepers(out, now);
  forward_events();
}

void MediaWorker::look_after_keepers(SendBatch& out, Time now) {
  keep_at_ = Time::max();
  for (const auto& entry : sessions_) {
    if (!entry.sink || !entry.sink->keeping()) continue;
    keep_at_ = now + kKeyframeEvery;
    entry.sink->forget_old(now);
    for (const auto& feed : entry.session->feeds())
      if (feed.codec.kind() == rtp::Kind::video) entry.session->request_keyframe(feed.id, now);
    router_.drain(*entry.session, out, now);
  }
}

void MediaWorker::forward_events() {
  for (const auto& entry : sessions_)
    while (auto event = entry.session->poll_event())
      boost::asio::post(control_, [this, id = entry.id, happened = std::move(*event)]() mutable {
        on_event_(id, std::move(happened));
      });
}

MediaWorker::Pinned* MediaWorker::pinned(const SessionId& session) {
  const auto found = std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& p) { return p.id == session; });
  return found == sessions_.end() ? nullptr : &*found;
}

void MediaWorker::set_candidates(const std::vector<Address>& candidates) {
  candidates_ = candidates;
  for (Pinned& entry : sessions_) entry.session->set_candidates(candidates);
}

sfu::Session* MediaWorker::find(const SessionId& session) {
  const Pinned* entry = pinned(session);
  return entry ? entry->session : nullptr;
}

Result<sfu::Session*> MediaWorker::find_or_create(const SessionId& session) {
  if (sfu::Session* there = find(session)) return there;
  sfu::SessionConfig config;
  config.id = session;
  config.local = loop_->local_addresses();
  config.candidates = candidates_;
  config.certificate = certificate_;
  config.limits = limits_;
  sfu::Session* made = router_.create_session(std::move(config));
  if (!made) return fail(ErrorCode::internal, "The session could not be created.");
  sessions_.push_back({session, made, nullptr});
  keep_pre_roll(sessions_.back(), runtime::now());
  return made;
}

void MediaWorker::remove_session(const SessionId& session, Time now) {
  Pinned* entry = pinned(session);
  if (!entry) return;
  entry->session->set_tap(nullptr, now);
  gone_peer_drops_ += entry->session->peer_drops();
  gone_ice_drops_ += entry->session->ice_drops();
  add(gone_totals_, entry->session->stats());
  gone_totals_.participants = gone_totals_.feeds = 0;  // gauges
  router_.remove_session(session, now);
  sessions_.erase(sessions_.begin() + (entry - sessions_.data()));
}

void MediaWorker::keep_pre_roll(Pinned& entry, Time now) {
  if (pre_roll_ == Duration::zero()) return;
  entry.sink = std::make_shared<RecordingSink>(pre_roll_, RecordingSink::Limits{});
  entry.session->set_tap(entry.sink.get(), now);
  keep_at_ = std::min(keep_at_, now + kKeyframeEvery);
}

MediaWorker::Begun MediaWorker::begin_recording(const SessionId& session, Time at) {
  Pinned* entry = pinned(session);
  if (entry && entry->sink && entry->sink->keeping()) {
    const Duration pre_roll = entry->sink->hand_over(at);
    return {entry->sink, pre_roll};
  }
  auto sink = std::make_shared<RecordingSink>();
  if (entry) {
    entry->session->set_tap(sink.get(), at);
    entry->sink = sink;
  }
  return {std::move(sink), Duration::zero()};
}

void MediaWorker::end_recording(const SessionId& session, Time at, bool began) {
  Pinned* entry = pinned(session);
  if (!entry || (entry->sink && entry->sink->keeping())) return;
  if (!began && entry->sink && entry->sink->keep_again(pre_roll_)) return;
  entry->session->set_tap(nullptr, at);
  entry->sink.reset();
  keep_pre_roll(*entry, at);
}

WorkerReport MediaWorker::report() {
  WorkerReport report;
  report.sessions = sessions_.size();
  look_at_socket(runtime::now());
  report.loop = loop_->stats();
  report.router_drops = router_.drops();
  report.peer_drops = gone_peer_drops_;
  report.ice_drops = gone_ice_drops_;
  report.totals = gone_totals_;
  for (const auto& entry : sessions_) {
    add(report.totals, entry.session->stats());
    report.peer_drops += entry.session->peer_drops();
    report.ice_drops += entry.session->ice_drops();
  }
  return report;
}

}  // namespace amphi::server
