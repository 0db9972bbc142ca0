#include "subscribing.h"

#include <algorithm>

#include "error_map.h"

namespace amphi::sdk {
namespace {

constexpr Duration kOneTryFor = 10s;  // a negotiation that fails again so soon after it was asked for anew will not come about

}  // namespace

Subscribing::Subscribing(peer::Config config, Random& random, Events events)
    : events_(std::move(events)), local_(config.local), peer_(std::move(config), random) {}

void Subscribing::offered(const signalling::SubscribeOffer& offer, Time now) {
  if (failed_) return;
  auto answer = peer_.accept_offer(offer.sdp, now);
  if (!answer) {  // a failed offer changes nothing
    if (answer.error().code == ErrorCode::fingerprint_mismatch) return events_.falsified(answer.error());
    return negotiation_failed(answer.error(), now);
  }
  feed_of_mid_.clear();  // an offer names all
  for (const auto& [mid, feed_id] : offer.feeds) feed_of_mid_[mid] = feed_id;
  connect_lines();
  const bool any = std::any_of(lines_.begin(), lines_.end(), [](const Line& line) { return line.active; });
  if (any && !was_connected_) reachability_.wanted(now);
  if (!any && !was_connected_) reachability_.settled();
  if (statistics_at_ == Time::max()) statistics_at_ = now + kStatisticsEvery;
  events_.answer(offer.offer_id_text, std::move(*answer));
}

void Subscribing::refused(const Error& error, Time now) {
  if (error.code != ErrorCode::invalid_state) negotiation_failed(error, now);  // else it was answered too late: a newer offer is on its way
}

void Subscribing::negotiation_failed(const Error& error, Time now) {
  if (failed_) return;
  if (asked_anew_at_ && now < *asked_anew_at_ + kOneTryFor) return fail(error);
  asked_anew_at_ = now;
  events_.restart();
}

void Subscribing::connect_lines() {
  for (Line& line : lines_) line = {};
  for (const peer::LineInfo& info : peer_.lines()) {
    if (info.line >= lines_.size()) lines_.resize(info.line + 1);
    Line& line = lines_[info.line];
    const auto feed = feed_of_mid_.find(info.mid);
    if (!info.active || !info.codec || feed == feed_of_mid_.end()) continue;
    line.feed_id = feed->second;
    line.codec = info.codec->name;
    line.active = true;
    const auto sink = sinks_.find(line.feed_id);
    if (sink == sinks_.end()) continue;
    line.sink = &sink->second;
    follow(line.feed_id, sink->second);
    events_.codec_known(line.feed_id, line.codec);
  }
}

void Subscribing::follow(const std::string& feed_id, Sink& sink) {
  for (const Line& line : lines_)
    if (line.active && line.feed_id == feed_id)
      lip_sync_.add(feed_id, sink.participant, line.codec == rtp::CodecName::opus ? 48'000 : 90'000);
}

void Subscribing::attach(const std::string& feed_id, const std::string& participant, std::shared_ptr<RtpInlet> inlet,
                         std::shared_ptr<FeedCore> feed) {
  if (failure_ && feed != nullptr) return feed->fail(*failure_);
  Sink& sink = sinks_[feed_id];
  sink = {std::move(inlet), std::move(feed), participant, {}, {}};
  for (Line& line : lines_)
    if (line.active && line.feed_id == feed_id) {
      line.sink = &sink;
      sink.counted = peer_.line_stats(static_cast<peer::Line>(&line - lines_.data()));  // what came before is not this feed's
      follow(feed_id, sink);
      events_.codec_known(feed_id, line.codec);
    }
}

void Subscribing::detach(const std::string& feed_id, const RtpInlet* inlet) {
  const auto it = sinks_.find(feed_id);
  if (it == sinks_.end() || it->second.inlet.get() != inlet) return;
  for (Line& line : lines_)
    if (line.sink == &it->second) line.sink = nullptr;
  if (it->second.feed != nullptr) it->second.feed->update([](FeedStatistics& s) { s.bitrate = 0; });  // the others' share comes with the next interval
  sinks_.erase(it);
  lip_sync_.remove(feed_id);
}

void Subscribing::request_keyframe(const std::string& feed_id, Time now) {
  for (std::size_t i = 0; i < lines_.size(); ++i)
    if (lines_[i].active && lines_[i].feed_id == feed_id) peer_.request_keyframe(i, now);
}

bool Subscribing::owns(const Address& local) const { return std::find(local_.begin(), local_.end(), local) != local_.end(); }

void Subscribing::handle_input(const Datagram& in, Time now) {
  if (const auto packet = peer_.handle_input(in, now)) return receive(*packet, now);
  while (const auto held = peer_.take_held(now)) receive(*held, now);
}

void Subscribing::receive(const peer::ReceivedRtp& packet, Time now) {
  if (packet.line >= lines_.size()) return;
  const Line& line = lines_[packet.line];
  if (line.sink == nullptr || packet.payload.empty()) return;
  if (!packet.recovered) lip_sync_.on_packet(line.feed_id, packet.header.timestamp, now);
  line.sink->inlet->push(packet);
}

void Subscribing::handle(const peer::Event& event, Time now) {
  if (std::holds_alternative<peer::Connected>(event)) {
    restarts_.connected();
    reachability_.settled();
    was_connected_ = true;
    events_.reachable(true);
    for (std::size_t i = 0; i < lines_.size(); ++i)
      if (lines_[i].sink != nullptr && lines_[i].codec != rtp::CodecName::opus) peer_.request_keyframe(i, now);
  } else if (std::holds_alternative<peer::Disconnected>(event)) {
    restarts_.silent(now);
    reachability_.wanted(now);
  } else if (const auto* failed = std::get_if<peer::Failed>(&event)) {
    if (may_revive(failed->error, peer_, was_connected_)) {
      restarts_.consent_lost(now);
    } else if (failed->error.code == ErrorCode::fingerprint_mismatch) {
      fail(failed->error);
    } else {
      broken_ = failed->error;
      if (failed->error.code == ErrorCode::disconnected) restarts_.closed(now);
      else restarts_.broken(now);
    }
  } else if (const auto* report = std::get_if<peer::SenderReported>(&event)) {
    if (report->line < lines_.size() && !report->contradicts) lip_sync_.on_sender_report(lines_[report->line].feed_id, report->ntp, report->rtp_timestamp);
  }
}

void Subscribing::failed_at_server(const Error& error, Time now) {
  if (failed_ || restarts_.is_broken()) return;
  if (error.code == ErrorCode::disconnected) return restarts_.consent_lost(now);
  broken_ = error;
  restarts_.broken(now);
}

/// A new transport may work; without anybody to make one, this is the end of its feeds.
void Subscribing::renew(Time now) {
  if (!events_.broken) return fail(broken_);
  reachability_.lost();
  events_.reachable(false);
  update_statistics(now);
  events_.broken(broken_);
}

void Subscribing::fail(const Error& error) {
  failed_ = true;
  failure_ = error;
  restarts_.stop();
  reachability_.settled();
  if (error.code == ErrorCode::fingerprint_mismatch) events_.falsified(error);
  for (auto& [id, sink] : sinks_)
    if (sink.feed != nullptr) sink.feed->fail(*failure_);
}

void Subscribing::handle_timeout(Time now) {
  peer_.handle_timeout(now);
  while (const auto held = peer_.take_held(now)) receive(*held, now);
  if (reachability_.take_due(now)) {
    restarts_.consent_lost(now);
    events_.reachable(false);
    update_statistics(now);
  }
  const IceRestarts::Due due = restarts_.take_due(now);
  if (due == IceRestarts::Due::renewal) renew(now);
  if (due == IceRestarts::Due::restart) events_.restart();
  if (now < statistics_at_) return;
  update_statistics(now);
  for (const LipSync::Hold& hold : lip_sync_.poll(now))
    if (const auto it = sinks_.find(hold.feed); it != sinks_.end()) it->second.inlet->hold(hold.delay);
}

void Subscribing::update_statistics(Time now) {
  statistics_at_ = now + kStatisticsEvery;
  std::map<FeedCore*, IncomingInterval> of_feed;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    Sink* sink = lines_[i].sink;
    if (sink == nullptr || sink->feed == nullptr) continue;
    const peer::LineStats stats = peer_.line_stats(i);
    of_feed[sink->feed.get()].add(sink->counted, stats, sink->rate.update(stats.bytes, now));
    sink->counted = stats;
  }
  const bool stalled = lapsed_ || restarts_.lost() || reachability_.unreachable() || !was_connected_;
  for (const auto& [feed, interval] : of_feed) {
    feed->set_unreachable(reachability_.unreachable());
    feed->update([&, &all = interval, has_run = feed->has_run()](FeedStatistics& s) {
      all.apply(s, peer_.stats());
      s.stalled = stalled && has_run;
    });
  }
}

Time Subscribing::next_timeout() const noexcept { return std::min({peer_.next_timeout(), restarts_.next_timeout(), reachability_.next_timeout(), statistics_at_}); }

void Subscribing::drain(SendBatch& out, Time now) {
  while (auto output = peer_.poll_output()) {
    if (const auto* transmit = std::get_if<Transmit>(&*output)) {
      out.send(*transmit);
    } else {
      handle(std::get<peer::Event>(*output), now);
    }
  }
}

void Subscribing::close(SendBatch& out, Time now) {
  failed_ = true;
  restarts_.stop();
  reachability_.settled();
  statistics_at_ = Time::max();
  for (Line& line : lines_) line.sink = nullptr;
  sinks_.clear();
  peer_.close(now);
  drain(out, now);
}

}  // namespace amphi::sdk
