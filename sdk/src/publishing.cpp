#include "publishing.h"

#include <algorithm>
#include <utility>

#include "error_map.h"
#include "runtime/clock.h"

namespace amphi::sdk {
namespace {

constexpr std::int64_t kUnixToNtp = 2'208'988'800;   // seconds from 1900 to 1970
constexpr std::uint64_t kLeastVideoBitrate = 100'000;
constexpr Duration kOldSound = 2s;   // a source that was suspended makes up for all it has missed, far faster than it can be heard

/// The wall clock on the monotonic line, read once, so that all feeds of the process agree for ever and no clock step tears them apart.
rtp::NtpTime ntp_of(Time t) {
  static const std::int64_t offset_ns = runtime::wall_now().unix_ms * 1'000'000 - runtime::now().time_since_epoch().count();
  const std::int64_t unix_ns = t.time_since_epoch().count() + offset_ns;
  const auto whole = static_cast<std::uint64_t>(unix_ns / 1'000'000'000 + kUnixToNtp);
  const auto rest = static_cast<std::uint64_t>(unix_ns % 1'000'000'000);
  return {whole << 32 | (rest << 32) / 1'000'000'000};
}

}  // namespace

Publishing::Publishing(peer::Config config, Random& random, Events events)
    : events_(std::move(events)), local_(config.local), peer_(std::move(config), random), stream_id_(random.token(16)) {}

Publishing::Line* Publishing::find(const FeedCore* feed) {
  for (auto& line : lines_)
    if (line->stream->feed.get() == feed) return line.get();
  return nullptr;
}
Publishing::Line* Publishing::find(peer::Line number) {
  for (auto& line : lines_)
    if (line->number == number) return line.get();
  return nullptr;
}

void Publishing::add(std::shared_ptr<OutgoingStream> stream, Time now) {
  if (stream->feed->ended()) return;
  if (failed_) return stream->feed->end(Errc::disconnected);
  auto line = std::make_unique<Line>(std::move(stream));
  line->number = peer_.add_line({"", line->stream->codec, stream_id_, "track" + std::to_string(lines_.size()) + "_" + stream_id_});
  lines_.push_back(std::move(line));
  wanted_ = true;
  if (statistics_at_ == Time::max()) statistics_at_ = now + kStatisticsEvery;
  offer_if_needed(now);
}

void Publishing::remove(const FeedCore* feed, Time now) {
  const Line* line = find(feed);
  if (line == nullptr) return;
  peer_.close_line(line->number);
  std::erase_if(lines_, [&](const auto& l) { return l.get() == line; });
  if (lines_.empty() && !was_connected_) reachability_.settled();
  wanted_ = true;
  offer_if_needed(now);
}

void Publishing::offer_if_needed(Time now) {
  if (outstanding_ || !wanted_ || failed_) return;
  wanted_ = false;
  outstanding_ = true;
  std::string sdp = peer_.create_offer(now);
  std::vector<signalling::OfferedFeed> feeds;
  for (const peer::LineInfo& info : peer_.lines()) {
    Line* line = find(info.line);
    if (line == nullptr) continue;
    line->offered = true;
    feeds.push_back({info.mid, std::string(rtp::text(line->stream->codec.kind())), line->stream->feed->label()});
  }
  events_.offer(std::move(sdp), std::move(feeds));
}

void Publishing::answered(const std::string& sdp, const std::vector<signalling::MidFeed>& feeds, const std::vector<signalling::MidError>& refused_lines, Time now) {
  if (!outstanding_) return;
  outstanding_ = false;
  if (const auto taken = peer_.accept_answer(sdp, now); !taken) {
    if (taken.error().code == ErrorCode::fingerprint_mismatch) events_.falsified(taken.error());
    return refused(taken.error(), now);
  }
  for (const peer::LineInfo& info : peer_.lines()) {
    Line* line = find(info.line);
    if (line == nullptr || !line->offered) continue;
    line->accepted = info.active && info.codec.has_value();
    for (const auto& feed : feeds)
      if (feed.mid == info.mid) line->stream->feed->set_id(feed.feed_id);
    if (line->accepted) continue;
    const auto why = std::find_if(refused_lines.begin(), refused_lines.end(), [&](const auto& each) { return each.mid == info.mid; });
    line->stream->feed->fail(why == refused_lines.end() ? Error{ErrorCode::unsupported, "the server's answer rejects the m-line"} : why->error);  // which removes the line by and by
  }
  expect_connection(now);
  start_streams();
  offer_if_needed(now);
}

void Publishing::expect_connection(Time now) {
  const bool any = std::any_of(lines_.begin(), lines_.end(), [](const auto& line) { return line->accepted; });
  if (any && !was_connected_) reachability_.wanted(now);
}

void Publishing::refused(const Error& error, Time now) {
  outstanding_ = false;
  for (auto& line : lines_)
    if (line->offered && !line->accepted) line->stream->feed->fail(error);
  offer_if_needed(now);
}

void Publishing::start_streams() {
  if (!peer_.connected()) return;
  for (auto& line : lines_)
    if (line->accepted && !line->started) {
      line->started = true;
      events_.start(line->stream);
    }
}

void Publishing::send(const FeedCore* feed, const OutgoingPackets& packets, SendBatch& out, Time now) {
  Line* line = find(feed);
  if (line == nullptr) return;
  const bool old = line->stream->codec.kind() == rtp::Kind::audio && now > packets.captured + kOldSound;
  std::size_t at = 0;
  for (const std::size_t size : packets.sizes) {
    const auto packet = rtp::parse_rtp(ByteView(packets.bytes).subspan(at, size), {});
    at += size;
    if (!packet) continue;
    const rtp::Seq seq = line->last_seq ? rtp::extend(packet->header.seq, *line->last_seq) : packet->header.seq;
    line->last_seq = seq;
    line->last_timestamp = packet->header.timestamp;
    line->last_captured = packets.captured;
    // Without a path the numbers stand still but for one, which shows that something is missing: a longer jump than half of their 16 bits
    // would part the two ends' SRTP packet indices for good (RFC 3711 3.3.1).
    const rtp::Seq sent_as = seq - line->withheld;
    if (!old && peer_.send_rtp(line->number, sent_as, packet->header, packet->payload, out, now)) {
      line->history.insert(sent_as, packet->header, packet->payload, now);
      line->gap = false;
      line->stream->feed->set_running();
    } else if (std::exchange(line->gap, true)) {
      ++line->withheld;
    }
  }
  ++line->frames;
  if (line->next_report == Time::max()) {  // the first at once: without it there is no lip sync
    report(*line, now);
    line->next_report = now + 1s;
  }
  drain(out, now);
}

void Publishing::report(Line& line, Time now) {
  const auto rate = static_cast<std::int64_t>(line.stream->codec.clock_rate);
  const std::int64_t ticks = (now - line.last_captured).count() / 1'000 * rate / 1'000'000;
  peer_.send_sender_report(line.number, ntp_of(now), static_cast<rtp::WireTimestamp>(line.last_timestamp + ticks), now);
}

void Publishing::retransmit(const peer::PacketsRequested& asked, SendBatch& out, Time now) {
  Line* line = find(asked.line);
  if (line == nullptr) return;
  for (const rtp::Seq seq : asked.lost)
    if (const auto entry = line->history.find(seq)) peer_.retransmit(line->number, seq, entry->header, entry->payload, out, now);
}

void Publishing::share_bandwidth(std::uint64_t bits_per_second) {
  std::uint64_t video = 0, audio = 0;
  for (const auto& line : lines_) (line->stream->codec.kind() == rtp::Kind::video ? video : audio) += line->stream->bitrate;
  if (video == 0) return;
  const std::uint64_t left = bits_per_second > audio ? bits_per_second - audio : 0;
  for (auto& line : lines_) {
    if (line->stream->codec.kind() != rtp::Kind::video || !line->started) continue;
    const std::uint64_t most = line->stream->bitrate;
    const std::uint64_t share = left * most / video;
    const auto target = static_cast<std::uint32_t>(std::clamp(share, std::min(kLeastVideoBitrate, most), most));
    // An encoder's rate control dislikes being changed for nothing.
    if (target == line->target || (target != most && std::max(target, line->target) - std::min(target, line->target) < most / 20)) continue;
    line->target = target;
    line->stream->pipeline->set_bitrate(target);
  }
}

void Publishing::handle(const peer::Event& event, SendBatch& out, Time now) {
  if (std::holds_alternative<peer::Connected>(event)) {
    restarts_.connected();
    reachability_.settled();
    was_connected_ = true;
    events_.reachable(true);
    start_streams();
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
  } else if (const auto* keyframe = std::get_if<peer::KeyframeRequested>(&event)) {
    if (const Line* line = find(keyframe->line)) line->stream->pipeline->request_keyframe();
  } else if (const auto* asked = std::get_if<peer::PacketsRequested>(&event)) {
    retransmit(*asked, out, now);
  } else if (const auto* estimate = std::get_if<peer::BandwidthEstimated>(&event)) {
    share_bandwidth(estimate->bits_per_second);
  }
}

void Publishing::failed_at_server(const Error& error, Time now) {
  if (failed_ || restarts_.is_broken()) return;
  if (error.code == ErrorCode::disconnected) return restarts_.consent_lost(now);
  broken_ = error;
  restarts_.broken(now);
}

/// A new transport may work; without anybody to make one, this is the end of its feeds.
void Publishing::renew(Time now) {
  if (!events_.broken) return fail(broken_);
  reachability_.lost();
  events_.reachable(false);
  update_statistics(now);
  events_.broken(broken_);
}

void Publishing::fail(const Error& error) {
  failed_ = true;
  restarts_.stop();
  reachability_.settled();
  if (error.code == ErrorCode::fingerprint_mismatch) events_.falsified(error);
  for (auto& line : lines_) line->stream->feed->fail(error);
}

bool Publishing::owns(const Address& local) const { return std::find(local_.begin(), local_.end(), local) != local_.end(); }
void Publishing::handle_input(const Datagram& in, Time now) { peer_.handle_input(in, now); }

void Publishing::handle_timeout(Time now) {
  peer_.handle_timeout(now);
  for (auto& line : lines_)
    if (now >= line->next_report) {
      report(*line, now);
      line->next_report = now + 1s;
    }
  if (reachability_.take_due(now)) {
    restarts_.consent_lost(now);
    events_.reachable(false);
    update_statistics(now);
  }
  const IceRestarts::Due due = restarts_.take_due(now);
  if (due == IceRestarts::Due::renewal) renew(now);
  if (due == IceRestarts::Due::restart && !outstanding_) {
    peer_.restart_ice(now);
    wanted_ = true;
    offer_if_needed(now);
  }
  if (now >= statistics_at_) update_statistics(now);
}

void Publishing::update_statistics(Time now) {
  statistics_at_ = now + kStatisticsEvery;
  const bool stalled = lapsed_ || restarts_.lost() || reachability_.unreachable() || !was_connected_;
  for (auto& line : lines_) {
    line->stream->feed->set_unreachable(reachability_.unreachable());
    const peer::LineStats stats = peer_.line_stats(line->number);
    const std::uint64_t bitrate = line->rate.update(stats.bytes, now);
    line->stream->feed->update([&, has_run = line->stream->feed->has_run()](FeedStatistics& s) {
      fill(s, stats, peer_.stats(), bitrate);
      s.frames = line->frames;
      s.stalled = stalled && has_run;
    });
  }
}

Time Publishing::next_timeout() const noexcept {
  Time next = std::min({peer_.next_timeout(), restarts_.next_timeout(), reachability_.next_timeout(), statistics_at_});
  for (const auto& line : lines_) next = std::min(next, line->next_report);
  return next;
}

void Publishing::drain(SendBatch& out, Time now) {
  while (auto output = peer_.poll_output()) {
    if (const auto* transmit = std::get_if<Transmit>(&*output)) {
      out.send(*transmit);
    } else {
      handle(std::get<peer::Event>(*output), out, now);
    }
  }
}

void Publishing::close(SendBatch& out, Time now) {
  failed_ = true;  // nothing begins any more
  restarts_.stop();
  reachability_.settled();
  statistics_at_ = Time::max();
  lines_.clear();
  peer_.close(now);
  drain(out, now);
}

}  // namespace amphi::sdk
