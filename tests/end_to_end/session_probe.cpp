#include "session_probe.h"

#include <algorithm>

namespace amphi::end_to_end {

SessionProbe::SessionProbe(std::string url, std::string token, std::string ca_certificate_file, bool reconnect) {
  MediaServerSession::Configuration configuration;
  configuration.url = std::move(url);
  configuration.accessToken = std::move(token);
  configuration.caCertificateFile = std::move(ca_certificate_file);
  configuration.reconnect = reconnect;
  session = MediaServerSession::create(configuration);
  auto s = shared_;
  session->onConnected([s](const auto&) { s->note([](Happened& h) { ++h.connected; }); });
  session->onDisconnected([s](const auto&, std::error_code error) {
    s->note([&](Happened& h) {
      ++h.disconnected;
      h.disconnect_error = error;
    });
  });
  session->onReconnecting([s](const auto&, std::error_code reason) {
    s->note([&](Happened& h) {
      ++h.reconnecting;
      h.reconnect_reason = reason;
    });
  });
  session->onReconnected([s](const auto&) { s->note([](Happened& h) { ++h.reconnected; }); });
  session->onMediaUnreachable([s](const auto&, std::error_code error) {
    s->note([&](Happened& h) {
      ++h.unreachable;
      h.unreachable_error = error;
    });
  });
  session->onMediaReachable([s](const auto&) { s->note([](Happened& h) { ++h.reachable; }); });
  session->onSessionServicesConnected([s](const auto&) { s->note([](Happened& h) { ++h.services_connected; }); });
  session->onSessionServicesDisconnected([s](const auto&, std::error_code error) {
    s->note([&](Happened& h) {
      ++h.services_disconnected;
      h.services_error = error;
    });
  });
  session->onRecordingStateChanged([s](const auto&, const auto& state) { s->note([&](Happened& h) { h.states.push_back(state); }); });
  session->onFeedAdded([s](const auto&, const FeedInfo& feed) { s->note([&](Happened& h) { h.feeds.push_back(feed); }); });
  session->onFeedRemoved([s](const auto&, const FeedInfo& feed) {
    s->note([&](Happened& h) { std::erase_if(h.feeds, [&](const FeedInfo& f) { return f.id == feed.id; }); });
  });
}

SessionProbe::~SessionProbe() {
  if (session) session->disconnect();
}

bool SessionProbe::connect(std::chrono::milliseconds limit) {
  if (!session->connect()) return false;
  return wait([&] { return session->areSessionServicesConnected() && !happened().states.empty(); }, limit);
}

bool SessionProbe::wait(const std::function<bool()>& done, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::unique_lock lock(shared_->mutex);
    shared_->changed.wait_for(lock, 20ms);
  }
  return true;
}

SessionProbe::Happened SessionProbe::happened() const {
  std::lock_guard lock(shared_->mutex);
  return shared_->happened;
}

}  // namespace amphi::end_to_end
