// Receives every feed of a session, until Ctrl-C or --seconds: windows with --show, otherwise it counts what it decodes.
//
//   amphi-sample-receive --url http://HOST:PORT/s/SESSION --token TOKEN [--show] [--seconds N]
#include <amphi/amphi.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {
std::atomic<bool> stop = false;
}

int main(int argc, char** argv) {
  amphi::MediaServerSession::Configuration configuration;
  configuration.clientName = "amphi-sample-receive";
  bool show = false;
  long seconds = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto value = [&] { return i + 1 < argc ? std::string(argv[++i]) : std::string(); };
    if (flag == "--url") configuration.url = value();
    else if (flag == "--token") configuration.accessToken = value();
    else if (flag == "--show") show = true;
    else if (flag == "--seconds") seconds = std::atol(value().c_str());
    else return std::fprintf(stderr, "unknown flag %s\n", flag.c_str()), 2;
  }
  std::signal(SIGINT, [](int) { stop = true; });
  std::signal(SIGTERM, [](int) { stop = true; });

  std::mutex mutex;  // the callbacks come on the session's thread
  std::map<std::string, std::shared_ptr<amphi::IncomingVideoFeed>> feeds;
  std::atomic<bool> failed = false;

  auto session = amphi::MediaServerSession::create(configuration);
  session->onFeedAdded([&](const auto& s, const amphi::FeedInfo& feed) {
    std::printf("+ %s \"%s\" of %s (%s)\n", feed.id.c_str(), feed.label.c_str(), feed.participantIdentity.c_str(), feed.codec.c_str());
    if (feed.kind != amphi::FeedKind::video) return;  // sound is in the mix
    amphi::VideoOutputComponent output = amphi::VideoOutputComponentNull{};
    if (show) output = amphi::VideoOutputComponentWindow{};
    std::lock_guard lock(mutex);
    feeds[feed.id] = s->subscribeVideoFeed(feed.id, output);
  });
  session->onFeedRemoved([&](const auto&, const amphi::FeedInfo& feed) {
    std::printf("- %s \"%s\"\n", feed.id.c_str(), feed.label.c_str());
    std::lock_guard lock(mutex);
    feeds.erase(feed.id);
  });
  session->onDisconnected([&](const auto&, std::error_code error) {
    std::printf("disconnected: %s\n", error ? error.message().c_str() : "gracefully");
    failed = static_cast<bool>(error);
    stop = true;
  });
  session->onReconnecting([](const auto&, std::error_code reason) { std::printf("reconnecting: %s\n", reason.message().c_str()); });
  session->onReconnected([](const auto& s) { std::printf("connected again as %s\n", s->participantId().c_str()); });
  session->onMediaUnreachable([](const auto&, std::error_code reason) { std::printf("media unreachable: %s\n", reason.message().c_str()); });
  session->onMediaReachable([](const auto&) { std::printf("media reachable again\n"); });
  amphi::AudioOutputComponent speaker = amphi::AudioOutputComponentNull{};
  if (show) speaker = amphi::AudioOutputComponentDevice{};
  auto mix = session->setIncomingAudioFeed(speaker);

  if (auto connecting = session->connect(); !connecting)
    return std::fprintf(stderr, "cannot connect: %s\n", connecting.error().message().c_str()), 2;

  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!stop && (seconds == 0 || std::chrono::steady_clock::now() < end)) {
    std::this_thread::sleep_for(1s);
    std::lock_guard lock(mutex);
    for (const auto& [id, feed] : feeds) {
      const auto s = feed->statistics();
      std::printf("  %s: %dx%d, %llu frames, %.0f kbit/s, %lld lost, %llu freezes\n", feed->label().c_str(), s.width, s.height,
                  static_cast<unsigned long long>(s.frames), static_cast<double>(s.bitrate) / 1e3, static_cast<long long>(s.packetsLost),
                  static_cast<unsigned long long>(s.freezes));
    }
    std::printf("  mix: %llu packets decoded\n", static_cast<unsigned long long>(mix->statistics().frames));
    std::fflush(stdout);
  }
  session->disconnect();
  return failed ? 1 : 0;
}
