// A native participant for the browser tests: shares a test pattern and a tone, receives everything, and does what it is told
// line by line. It says what it sees as lines of JSON, so that the test can wait for them.
//
//   amphi-browser-test-peer --url URL --token TOKEN [--codec vp8|h264]
//   in:  "record on", "record off", "picture off", "picture on", "leave" (as does the end of the input)
//   out: {"event":"connected"} {"event":"services"} {"event":"recording",...} {"event":"video",...} {"event":"audio",...} ...
// Threads: callbacks come on the session's; main reads the commands and reports twice a second. `Peer` is guarded by its mutex.
#include <amphi/amphi.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace {

using Json = nlohmann::json;

struct Picture {
  amphi::FeedInfo info;
  std::shared_ptr<amphi::IncomingVideoFeed> feed;
  std::uint64_t frames = 0;
  int width = 0, height = 0;
};

class Peer {
 public:
  void say(const Json& line) {
    std::lock_guard lock(mutex_);
    std::cout << line.dump() << std::endl;
  }

  void watch(const std::shared_ptr<amphi::MediaServerSession>& session, const amphi::FeedInfo& info) {
    say({{"event", "feed"}, {"kind", info.kind == amphi::FeedKind::video ? "video" : "audio"}, {"label", info.label},
         {"identity", info.participantIdentity}, {"codec", info.codec}});
    if (info.kind != amphi::FeedKind::video) return;
    {
      std::lock_guard lock(mutex_);
      pictures_[info.id].info = info;
    }
    auto feed = session->subscribeVideoFeed(info.id, amphi::VideoOutputComponentApplication{[this, id = info.id](const amphi::VideoFrame& frame) {
      std::lock_guard lock(mutex_);
      Picture& picture = pictures_[id];
      ++picture.frames;
      picture.width = frame.width;
      picture.height = frame.height;
    }});
    std::lock_guard lock(mutex_);
    pictures_[info.id].feed = std::move(feed);
  }

  void hear(const amphi::AudioFrame& frame) {
    std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < frame.samplesPerChannel * amphi::AudioFrame::kChannels; ++i) {
      loudest_ = std::max(loudest_, std::abs(static_cast<int>(frame.samples[i])));
    }
  }

  void report() {
    std::lock_guard lock(mutex_);
    for (const auto& [id, picture] : pictures_) {
      std::cout << Json{{"event", "video"}, {"label", picture.info.label}, {"identity", picture.info.participantIdentity},
                        {"codec", picture.info.codec}, {"frames", picture.frames}, {"width", picture.width}, {"height", picture.height}}
                       .dump() << '\n';
    }
    std::cout << Json{{"event", "audio"}, {"loudest", loudest_}}.dump() << std::endl;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Picture> pictures_;
  int loudest_ = 0;
};

Json describe(const amphi::MediaServerSession::SessionRecordingState& state) {
  return {{"event", "recording"}, {"on", state.on}, {"updatePending", state.updatePending}, {"changedBy", state.changedBy},
          {"revision", state.revision}, {"totalMs", state.totalRunningDurationMs()}, {"error", state.error ? state.error.message() : ""}};
}

void follow(Peer& peer, amphi::MediaServerSession& session) {
  session.onConnected([&](const auto&) { peer.say({{"event", "connected"}}); });
  session.onDisconnected([&](const auto&, std::error_code error) { peer.say({{"event", "disconnected"}, {"error", error ? error.message() : ""}}); });
  session.onSessionServicesConnected([&](const auto&) { peer.say({{"event", "services"}}); });
  session.onRecordingStateChanged([&](const auto&, const auto& state) { peer.say(describe(state)); });
  session.onFeedAdded([&](const auto& of, const amphi::FeedInfo& info) { peer.watch(of, info); });
}

/// What is shared: a test pattern.
struct Pattern {
  amphi::MediaServerSession& session;
  amphi::VideoEncodingComponent encoding;
  std::shared_ptr<amphi::OutgoingVideoFeed> feed;
  void share() { feed = session.addOutgoingVideoFeed("Pattern", {amphi::VideoInputComponentTestPattern{}, encoding}); }
};

void obey(Peer& peer, amphi::MediaServerSession& session, Pattern& pattern, const std::string& command) {
  if (command == "picture off") return pattern.feed->stop();
  if (command == "picture on") return pattern.share();
  if (command != "record on" && command != "record off") return peer.say({{"event", "unknown"}, {"command", command}});
  const auto requested = session.requestSessionRecording(command == "record on");
  peer.say({{"event", "requested"}, {"error", requested ? "" : requested.error().message()}});
}

/// Reads commands until "leave" or the end of the input, and reports in between.
void serve(Peer& peer, amphi::MediaServerSession& session, Pattern& pattern) {
  std::string line;
  for (;;) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (poll(&input, 1, 500) == 0) {
      peer.report();
      continue;
    }
    char letter = 0;
    if (read(STDIN_FILENO, &letter, 1) <= 0) return;
    if (letter != '\n') {
      line += letter;
      continue;
    }
    if (line == "leave") return;
    obey(peer, session, pattern, line);
    line.clear();
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> options{{"--codec", "vp8"}};
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  Peer peer;
  auto session = amphi::MediaServerSession::create({options["--url"], options["--token"], "amphi-browser-test-peer", ""});
  follow(peer, *session);
  amphi::VideoEncodingComponent encoding{options["--codec"] == "h264" ? amphi::VideoCodec::h264 : amphi::VideoCodec::vp8, 800'000, 640, 360, 30};
  Pattern pattern{*session, encoding, {}};
  pattern.share();
  auto sound = session->setOutgoingAudioFeed("Tone", amphi::AudioInputComponentTone{});
  auto mix = session->setIncomingAudioFeed(amphi::AudioOutputComponentApplication{[&](const amphi::AudioFrame& frame) { peer.hear(frame); }});
  if (const auto connecting = session->connect(); !connecting) {
    peer.say({{"event", "disconnected"}, {"error", connecting.error().message()}});
    return 1;
  }
  serve(peer, *session, pattern);
  session->disconnect();
}
