#include "server/metrics.h"

#include <string_view>

namespace amphi::server {
namespace {

class Text {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    out_.append("# HELP amphi_").append(name).append(" ").append(help).append("\n");
    out_.append("# TYPE amphi_").append(name).append(" ").append(type).append("\n");
  }
  void sample(std::string_view name, std::string_view labels, std::uint64_t value) {
    out_.append("amphi_").append(name);
    if (!labels.empty()) out_.append("{").append(labels).append("}");
    out_.append(" ").append(std::to_string(value)).append("\n");
  }
  void single(std::string_view name, std::string_view type, std::string_view help, std::uint64_t value) {
    family(name, type, help);
    sample(name, {}, value);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

void drop(Text& text, std::string_view where, std::string_view reason, std::uint64_t value) {
  std::string labels("where=\"");
  labels.append(where).append("\",reason=\"").append(reason).append("\"");
  text.sample("drops_total", labels, value);
}

void control_part(Text& text, const MetricsInput& in) {
  text.single("sessions", "gauge", "Sessions that exist.", in.sessions);
  text.single("participants", "gauge", "Participants in all sessions.", in.participants);
  text.single("http_connections", "gauge", "Open HTTP and WebSocket connections.", in.http_connections);
  text.single("services_connections", "gauge", "Open session services connections.", in.services_connections);
  text.single("recordings_running", "gauge", "Recordings that are running.", in.recordings_running);
  text.single("recordings_finished_total", "counter", "Recordings that were completed.", in.recordings_finished);
  text.single("recordings_failed_total", "counter", "Recordings that ended with an error.", in.recordings_failed);
  text.single("feeds_not_recorded", "gauge", "Feeds whose media arrive and are lost, all or most of them, in running recordings.", in.feeds_not_recorded);
  text.family("feeds_not_recorded_total", "counter", "How often a feed began to lose its media in a recording, by reason.");
  for (std::size_t i = 0; i < Counters<recording::FeedReason>::kSize; ++i) {
    const auto reason = static_cast<recording::FeedReason>(i);
    if (recording::loses_media(reason)) text.sample("feeds_not_recorded_total", "reason=\"" + std::string(recording::wire_name(reason)) + "\"", in.feed_losses[reason]);
  }
  text.family("feed_faults_total", "counter", "How often a fault of a feed that is recorded began, by the code of its warning.");
  in.feed_faults.for_each([&](std::string_view fault, std::uint64_t times) { text.sample("feed_faults_total", "fault=\"" + std::string(fault) + "\"", times); });
}

template <class Get>
void per_worker(Text& text, const MetricsInput& in, std::string_view name, std::string_view type, std::string_view help, Get get) {
  text.family(name, type, help);
  for (std::size_t i = 0; i < in.workers.size(); ++i)
    text.sample(name, "worker=\"" + std::to_string(i) + "\"", get(in.workers[i]));
}

void media_part(Text& text, const MetricsInput& in) {
  using Report = WorkerReport;
  per_worker(text, in, "feeds", "gauge", "Feeds.", [](const Report& r) { return r.totals.feeds; });
  per_worker(text, in, "rtp_packets_in_total", "counter", "RTP packets received from publishers.", [](const Report& r) { return r.totals.packets_in; });
  per_worker(text, in, "rtp_packets_out_total", "counter", "RTP packets sent to subscribers.", [](const Report& r) { return r.totals.packets_out; });
  per_worker(text, in, "rtp_bytes_in_total", "counter", "RTP payload bytes received.", [](const Report& r) { return r.totals.bytes_in; });
  per_worker(text, in, "rtp_bytes_out_total", "counter", "RTP payload bytes sent.", [](const Report& r) { return r.totals.bytes_out; });
  per_worker(text, in, "retransmitted_total", "counter", "Packets sent again.", [](const Report& r) { return r.totals.retransmitted; });
  per_worker(text, in, "nack_misses_total", "counter", "Packets asked for again and no longer there.", [](const Report& r) { return r.totals.nack_misses; });
  per_worker(text, in, "parameter_sets_ignored_total", "counter", "H.264 offers whose sprop-parameter-sets cannot be used.", [](const Report& r) { return r.totals.parameter_sets_ignored; });
  per_worker(text, in, "keyframes_throttled_total", "counter", "Keyframe requests of subscribers that ask too often.", [](const Report& r) { return r.totals.keyframes_throttled; });
  per_worker(text, in, "datagrams_in_total", "counter", "UDP datagrams received.", [](const Report& r) { return r.loop.received; });
  per_worker(text, in, "datagrams_out_total", "counter", "UDP datagrams sent.", [](const Report& r) { return r.loop.sent; });
}

void drops_part(Text& text, const MetricsInput& in) {
  text.family("drops_total", "counter", "What was refused or thrown away, by place and reason.");
  in.drops.for_each([&](std::string_view name, std::uint64_t value) { drop(text, "control", name, value); });
  in.recording_drops.for_each([&](std::string_view name, std::uint64_t value) { drop(text, "recording", name, value); });
  in.services_drops.for_each([&](std::string_view name, std::uint64_t value) { drop(text, "services", name, value); });
  if (in.workers.empty()) return;
  std::uint64_t muted = 0;
  runtime::LoopStats loop;
  Counters<sfu::RouterDrop> router;
  Counters<peer::Drop> peers;
  Counters<ice::Drop> ice;
  for (const auto& worker : in.workers) {
    loop.send_would_block += worker.loop.send_would_block;
    loop.send_errors += worker.loop.send_errors;
    loop.oversized += worker.loop.oversized;
    loop.overflow += worker.loop.overflow;
    router += worker.router_drops;
    peers += worker.peer_drops;
    ice += worker.ice_drops;
    muted += worker.totals.muted;
  }
  drop(text, "session", "muted_feed", muted);
  drop(text, "socket", "send_would_block", loop.send_would_block);
  drop(text, "socket", "send_error", loop.send_errors);
  drop(text, "socket", "oversized", loop.oversized);
  drop(text, "socket", "receive_buffer_full", loop.overflow);
  router.for_each([&](std::string_view name, std::uint64_t value) { drop(text, "router", name, value); });
  peers.for_each([&](std::string_view name, std::uint64_t value) { drop(text, "peer", name, value); });
  ice.for_each([&](std::string_view name, std::uint64_t value) { drop(text, "ice", name, value); });
}

}  // namespace

std::string metrics_text(const MetricsInput& input) {
  Text text;
  control_part(text, input);
  media_part(text, input);
  drops_part(text, input);
  return text.take();
}

}  // namespace amphi::server
