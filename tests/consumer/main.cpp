// An application that uses every name of the reference as the reference writes it, and runs offline.
#include <amphi/amphi.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>

using std::error_code;

int main() {
  std::mutex mutex;
  std::condition_variable wake;
  int terminal_events = 0;
  error_code reason;

  auto mediaSession = amphi::MediaServerSession::create({"http://127.0.0.1:9/s/consumer", "no token", "consumer 1.0", "", false});
  mediaSession->onSessionServicesConnected([](const auto& session) { (void)session; });
  mediaSession->onSessionServicesDisconnected([](const auto& session, error_code error) {
    if (error) std::printf("%s\n", error.message().c_str());
    (void)session;
  });
  mediaSession->onRecordingStateChanged([](const auto& session, const auto& state) {
    (void)session;
    std::printf("recording %d, %lld ms\n", state.on, static_cast<long long>(state.totalRunningDurationMs()));
  });
  mediaSession->onDisconnected([&](const auto&, error_code error) {
    std::lock_guard lock(mutex);
    ++terminal_events;
    reason = error;
    wake.notify_one();
  });
  mediaSession->setOutgoingAudioFeed("none", amphi::AudioInputComponentSilence{});
  mediaSession->setIncomingAudioFeed(amphi::AudioOutputComponentNull{});

  auto requested = mediaSession->requestSessionRecording(true);
  if (requested || requested.error() != amphi::Errc::disconnected) return 1;
  if (mediaSession->areSessionServicesConnected()) return 2;
  auto recordingState = mediaSession->sessionRecordingState();
  if (recordingState.updatePending || recordingState.on || recordingState.totalRunningDurationMs() != 0) return 3;

  if (!mediaSession->connect()) return 4;  // nobody listens there
  std::unique_lock lock(mutex);
  if (!wake.wait_for(lock, std::chrono::seconds(15), [&] { return terminal_events > 0; })) return 5;
  std::printf("as expected: %s (%s)\n", reason.message().c_str(), reason.category().name());
  return reason == amphi::Errc::disconnected && terminal_events == 1 ? 0 : 6;
}
