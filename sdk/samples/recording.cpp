// The remote recording service, end to end: a participant shares a real video file, a test pattern and silence; a second participant in the
// same process receives all of it; the first asks for the recording, follows its state, stops it after --seconds, and tells the facts.
//
//   amphi-sample-recording --url http://HOST:PORT/s/SESSION --token TOKEN --viewer-token TOKEN [--video-file PATH] [--seconds N] [--json FILE]
//
// Exit status 0: the recording was confirmed on and off, and the viewer received frames of every feed.
#include <amphi/amphi.h>

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

using namespace std::chrono_literals;
using amphi::MediaServerSession;
using RecordingState = MediaServerSession::SessionRecordingState;

namespace {

struct Options {
  std::string url, token, viewer_token, video_file, json;
  long seconds = 10;
};

/// What the callbacks (each session has its own thread) tell the main thread.
struct News {
  std::mutex mutex;
  std::condition_variable changed;
  bool services = false;
  bool ended = false;
  RecordingState recording;
  std::map<std::string, std::shared_ptr<amphi::IncomingVideoFeed>> received;

  template <class Change>
  void tell(Change change) {
    std::lock_guard lock(mutex);
    change();
    changed.notify_all();
  }
};

std::shared_ptr<MediaServerSession> join(const Options& options, const std::string& token, const char* who, News& news) {
  auto session = MediaServerSession::create({options.url, token, std::string("amphi-sample-recording ") + who, ""});
  session->onDisconnected([&news, who](const auto&, std::error_code error) {
    if (error) std::fprintf(stderr, "\n%s disconnected: %s\n", who, error.message().c_str());
    news.tell([&] { news.ended = true; });
  });
  session->onReconnecting([who](const auto&, std::error_code reason) { std::fprintf(stderr, "\n%s is reconnecting: %s\n", who, reason.message().c_str()); });
  session->onMediaUnreachable([who](const auto&, std::error_code reason) { std::fprintf(stderr, "\n%s: %s\n", who, reason.message().c_str()); });
  return session;
}

/// Waits for `done`, redrawing one progress line. False: the session ended, or it took too long.
bool follow(News& news, const MediaServerSession& session, const char* what, std::chrono::seconds patience, const std::function<bool()>& done) {
  const auto limit = std::chrono::steady_clock::now() + patience;
  std::unique_lock lock(news.mutex);
  for (;;) {
    const bool over = done();
    lock.unlock();  // the SDK may be called from anywhere, but never needs our lock
    const RecordingState state = session.sessionRecordingState();
    unsigned long long frames = 0;
    lock.lock();
    for (const auto& [id, feed] : news.received) frames += feed->statistics().frames;
    std::fprintf(stderr, "%s  %-24s recording: %-3s %-9s %8.1f s   viewer: %llu frames", isatty(2) ? "\r" : "\n", what, state.on ? "on" : "off",
                 state.updatePending ? "(pending)" : "", static_cast<double>(state.totalRunningDurationMs()) / 1000, frames);
    if (over) return true;
    if (news.ended || std::chrono::steady_clock::now() > limit) return false;
    news.changed.wait_for(lock, isatty(2) ? 200ms : 1000ms);
  }
}

int give_up(const char* why) { return std::fprintf(stderr, "\nfailed: %s\n", why), 1; }

int run(const Options& options) {
  News news;

  // The viewer receives every feed, and hears the mix.
  auto viewer = join(options, options.viewer_token, "viewer", news);
  viewer->onFeedAdded([&news](const auto& session, const amphi::FeedInfo& feed) {
    if (feed.kind != amphi::FeedKind::video) return;
    auto incoming = session->subscribeVideoFeed(feed.id, amphi::VideoOutputComponentNull{});
    news.tell([&] { news.received[feed.id] = incoming; });
  });
  auto mix = viewer->setIncomingAudioFeed(amphi::AudioOutputComponentNull{});

  // The surgeon's side shares two pictures. It has no sound to share: silence in, nothing out.
  auto session = join(options, options.token, "participant", news);
  session->onSessionServicesConnected([&news](const auto&) { news.tell([&] { news.services = true; }); });
  session->onSessionServicesDisconnected([](const auto&, std::error_code error) {
    if (error) std::fprintf(stderr, "\nservices lost (%s), reconnecting\n", error.message().c_str());
  });
  session->onRecordingStateChanged([&news](const auto&, const auto& state) { news.tell([&] { news.recording = state; }); });
  const auto watch = [](const std::shared_ptr<amphi::Feed>& feed) {  // a feed that fails takes nothing else with it
    feed->onStateChanged([label = feed->label()](amphi::FeedState state, std::error_code error) {
      if (state == amphi::FeedState::failed) std::fprintf(stderr, "\nfeed %s failed: %s\n", label.c_str(), error.message().c_str());
    });
  };
  if (!options.video_file.empty())
    watch(session->addOutgoingVideoFeed("file", {amphi::VideoInputComponentFile{options.video_file, true}, {}}));
  amphi::VideoInputComponentTestPattern pattern;
  pattern.frameNumber = true;
  watch(session->addOutgoingVideoFeed("pattern", {pattern, {amphi::VideoCodec::vp8, 800'000, 640, 360, 30}}));
  watch(session->setOutgoingAudioFeed("silence", amphi::AudioInputComponentSilence{}));
  session->setIncomingAudioFeed(amphi::AudioOutputComponentNull{});

  for (const auto& participant : {viewer, session})
    if (auto connecting = participant->connect(); !connecting) return give_up(connecting.error().message().c_str());

  const std::size_t feeds = options.video_file.empty() ? 1 : 2;
  const auto all_received = [&] {
    if (news.received.size() < feeds || mix->statistics().frames == 0) return false;
    for (const auto& [id, feed] : news.received)
      if (feed->statistics().frames == 0) return false;
    return true;
  };
  if (!follow(news, *session, "joining", 20s, [&] { return news.services && all_received(); })) {
    for (const auto& [id, feed] : news.received)
      std::fprintf(stderr, "\n%s: %llu frames", feed->label().c_str(), static_cast<unsigned long long>(feed->statistics().frames));
    return give_up(news.services ? "the viewer does not receive every feed" : "the session services do not connect");
  }

  // The request returns at once; only onRecordingStateChanged tells what became of it.
  if (auto requested = session->requestSessionRecording(true); !requested) return give_up(requested.error().message().c_str());
  if (!follow(news, *session, "waiting for the server", 20s, [&] { return news.recording.on || news.recording.error; }) || !news.recording.on)
    return give_up(news.recording.error ? news.recording.errorMessage.c_str() : "the recording was not confirmed");
  const std::string recording_id = news.recording.recordingId;

  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options.seconds);
  follow(news, *session, "recording", std::chrono::seconds(options.seconds + 5),
         [&] { return !news.recording.on || std::chrono::steady_clock::now() >= end; });
  if (!news.recording.on) return give_up("the recording ended by itself");

  if (auto requested = session->requestSessionRecording(false); !requested) return give_up(requested.error().message().c_str());
  if (!follow(news, *session, "stopping", 20s, [&] { return !news.recording.on && !news.recording.updatePending; }))
    return give_up("the end of the recording was not confirmed");
  if (news.recording.error) return give_up(news.recording.errorMessage.c_str());
  if (!all_received()) return give_up("the viewer lost a feed");

  const long long total = session->sessionRecordingState().totalRunningDurationMs();
  const std::string id = options.url.substr(options.url.rfind("/s/") + 3);
  const std::string facts = "{\"sessionId\":\"" + id.substr(0, id.find_first_of("/?#")) + "\",\"recordingId\":\"" + recording_id +
                            "\",\"totalRunningDurationMs\":" + std::to_string(total) + "}\n";
  std::fprintf(stderr, "\n");
  std::printf("%s", facts.c_str());
  if (!options.json.empty()) {
    std::FILE* file = std::fopen(options.json.c_str(), "w");
    if (file == nullptr || std::fputs(facts.c_str(), file) < 0 || std::fclose(file) != 0) return give_up("cannot write the --json file");
  }
  viewer->disconnect();
  session->disconnect();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i], value = argv[i + 1];
    if (flag == "--url") options.url = value;
    else if (flag == "--token") options.token = value;
    else if (flag == "--viewer-token") options.viewer_token = value;
    else if (flag == "--video-file") options.video_file = value;
    else if (flag == "--seconds") options.seconds = std::atol(value.c_str());
    else if (flag == "--json") options.json = value;
    else return std::fprintf(stderr, "unknown flag %s\n", flag.c_str()), 2;
  }
  if (options.url.empty() || argc % 2 == 0) return std::fprintf(stderr, "needed: --url --token --viewer-token\n"), 2;
  return run(options);
}
