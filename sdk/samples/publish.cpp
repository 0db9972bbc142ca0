// Shares a video file, a camera or a test pattern and a tone with a session, until Ctrl-C or --seconds.
//
//   amphi-sample-publish --url http://HOST:PORT/s/SESSION --token TOKEN [--video-file PATH | --camera /dev/video0] [--h264] [--seconds N]
#include <amphi/amphi.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {
std::atomic<bool> stop = false;
}

int main(int argc, char** argv) {
  amphi::MediaServerSession::Configuration configuration;
  configuration.clientName = "amphi-sample-publish";
  amphi::OutgoingVideoComponents video{amphi::VideoInputComponentTestPattern{}, {}};
  long seconds = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto value = [&] { return i + 1 < argc ? std::string(argv[++i]) : std::string(); };
    if (flag == "--url") configuration.url = value();
    else if (flag == "--token") configuration.accessToken = value();
    else if (flag == "--video-file") video.input = amphi::VideoInputComponentFile{value(), true};
    else if (flag == "--camera") video.input = amphi::VideoInputComponentDevice{value()};
    else if (flag == "--h264") video.encoding.codec = amphi::VideoCodec::h264;
    else if (flag == "--seconds") seconds = std::atol(value().c_str());
    else return std::fprintf(stderr, "unknown flag %s\n", flag.c_str()), 2;
  }
  std::signal(SIGINT, [](int) { stop = true; });
  std::signal(SIGTERM, [](int) { stop = true; });

  auto session = amphi::MediaServerSession::create(configuration);
  session->onConnected([](const auto& s) { std::printf("connected as %s\n", s->participantId().c_str()); });
  session->onReconnecting([](const auto&, std::error_code reason) { std::printf("reconnecting: %s\n", reason.message().c_str()); });
  session->onReconnected([](const auto& s) { std::printf("connected again as %s\n", s->participantId().c_str()); });
  session->onMediaUnreachable([](const auto&, std::error_code reason) { std::printf("media unreachable: %s\n", reason.message().c_str()); });
  session->onMediaReachable([](const auto&) { std::printf("media reachable again\n"); });
  std::atomic<bool> failed = false;
  session->onDisconnected([&](const auto&, std::error_code error) {
    std::printf("disconnected: %s\n", error ? error.message().c_str() : "gracefully");
    failed = static_cast<bool>(error);
    stop = true;
  });

  // Feeds may be added before connecting; they start when the session is there.
  auto camera = session->addOutgoingVideoFeed("camera", video);
  auto voice = session->setOutgoingAudioFeed("tone", amphi::AudioInputComponentTone{});
  for (amphi::Feed* feed : {static_cast<amphi::Feed*>(camera.get()), static_cast<amphi::Feed*>(voice.get())})
    feed->onStateChanged([label = feed->label()](amphi::FeedState state, std::error_code error) {
      if (state == amphi::FeedState::running) std::printf("%s is running\n", label.c_str());
      if (state == amphi::FeedState::failed) std::printf("%s failed: %s\n", label.c_str(), error.message().c_str());
    });

  if (auto connecting = session->connect(); !connecting)
    return std::fprintf(stderr, "cannot connect: %s\n", connecting.error().message().c_str()), 2;

  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!stop && (seconds == 0 || std::chrono::steady_clock::now() < end)) {
    std::this_thread::sleep_for(1s);
    const auto s = camera->statistics();
    std::printf("camera: %llu frames, %.0f kbit/s, %.1f %% lost, round trip %.1f ms\n", static_cast<unsigned long long>(s.frames),
                static_cast<double>(s.bitrate) / 1e3, s.fractionLost * 100, static_cast<double>(s.roundTrip.count()) / 1e3);
    std::fflush(stdout);
  }
  session->disconnect();
  return failed ? 1 : 0;
}
