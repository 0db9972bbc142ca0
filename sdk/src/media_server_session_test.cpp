// The public session without any server: what must hold offline, from any thread, and inside any callback.
#include "amphi/media_server_session.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

namespace amphi {
namespace {

using namespace std::chrono_literals;

/// A socket on loopback that accepts connections in the kernel and never answers.
class SilentServer {
 public:
  SilentServer() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(fd_, reinterpret_cast<sockaddr*>(&address), size);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    listen(fd_, 16);
  }
  ~SilentServer() { close_now(); }
  void close_now() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/s/test"; }

 private:
  int fd_;
  int port_ = 0;
};

/// Answers every connection with the same bytes and closes it.
class WrongServer {
 public:
  explicit WrongServer(std::string answer) : answer_(std::move(answer)), fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(fd_, reinterpret_cast<sockaddr*>(&address), size);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    listen(fd_, 16);
    thread_ = std::thread([this] {
      for (int one = accept(fd_, nullptr, nullptr); one >= 0; one = accept(fd_, nullptr, nullptr)) {
        char request[4096];
        if (read(one, request, sizeof request) > 0 && write(one, answer_.data(), answer_.size()) > 0) ++answered;
        close(one);
      }
    });
  }
  ~WrongServer() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/s/test"; }
  std::atomic<int> answered = 0;

 private:
  const std::string answer_;
  int fd_;
  int port_ = 0;
  std::thread thread_;
};

/// Counts the terminal events of a session, and waits for one.
struct Watch {
  std::mutex mutex;
  std::condition_variable wake;
  int ended = 0;
  std::error_code error;

  void on(const std::shared_ptr<MediaServerSession>& session) {
    session->onDisconnected([this](const auto&, std::error_code e) { end(e); });
  }
  void end(std::error_code e) {
    std::lock_guard lock(mutex);
    ++ended;
    error = e;
    wake.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex);
    return wake.wait_for(lock, 20s, [&] { return ended > 0; });
  }
};

std::string refusing_url() {
  SilentServer gone;
  const std::string url = gone.url();
  gone.close_now();
  return url;
}

TEST(Session, a_configuration_that_cannot_work_is_refused_by_connect) {
  for (const char* url : {"", "ftp://x/s/y", "http://x"}) {
    auto session = MediaServerSession::create({url, "", "test", ""});
    const auto connected = session->connect();
    ASSERT_FALSE(connected) << url;
    EXPECT_EQ(connected.error(), Errc::invalidArgument);
    EXPECT_EQ(session->requestSessionRecording(true).error(), Errc::invalidState);
    session->disconnect();
  }
  auto session = MediaServerSession::create({"https://127.0.0.1:1/s/x", "", "test", "/no/such/file.pem"});
  EXPECT_EQ(session->connect().error(), Errc::invalidArgument);
}

TEST(Session, a_server_that_refuses_is_told_once_and_tried_again_until_the_application_disconnects) {
  Watch watch;
  std::mutex mutex;
  std::condition_variable told;
  std::vector<std::error_code> reasons;
  auto session = MediaServerSession::create({refusing_url(), "", "test", ""});
  watch.on(session);
  session->onReconnecting([&](const auto& s, std::error_code error) {
    EXPECT_FALSE(s->isConnected());
    std::lock_guard lock(mutex);
    reasons.push_back(error);
    told.notify_all();
  });
  session->onReconnected([](const auto&) { FAIL() << "never joined"; });
  const auto feed = session->addOutgoingVideoFeed("pattern", {VideoInputComponentTestPattern{}, {}});
  ASSERT_TRUE(session->connect());
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(told.wait_for(lock, 20s, [&] { return !reasons.empty(); }));
    EXPECT_EQ(reasons.front(), Errc::disconnected);
    EXPECT_FALSE(told.wait_for(lock, 1s, [&] { return reasons.size() > 1; })) << "the same reason is told once";
  }
  EXPECT_EQ(watch.ended, 0);
  EXPECT_EQ(feed->state(), FeedState::starting);
  session->disconnect();
  ASSERT_TRUE(watch.wait());
  EXPECT_FALSE(watch.error);
  session.reset();
  EXPECT_EQ(watch.ended, 1);
}

TEST(Session, an_answer_that_is_no_session_is_tried_again) {
  for (const char* answer : {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "\x16\x03\x01 is not HTTP at all\r\n\r\n"}) {
    WrongServer server(answer);
    Watch watch;
    auto session = MediaServerSession::create({server.url(), "", "test", ""});
    watch.on(session);
    ASSERT_TRUE(session->connect());
    for (int i = 0; i < 20'000 && server.answered < 3; ++i) std::this_thread::sleep_for(1ms);
    EXPECT_GE(server.answered, 3) << answer;
    EXPECT_EQ(watch.ended, 0) << answer;
    session->disconnect();
    ASSERT_TRUE(watch.wait());
    EXPECT_FALSE(watch.error);
  }
}

TEST(Session, without_reconnect_a_server_that_refuses_is_one_terminal_event_with_an_error) {
  Watch watch;
  auto session = MediaServerSession::create({refusing_url(), "", "test", "", false});
  watch.on(session);
  ASSERT_TRUE(session->connect());
  EXPECT_EQ(session->connect().error(), Errc::invalidState);
  ASSERT_TRUE(watch.wait());
  EXPECT_EQ(watch.error, Errc::disconnected);
  session->disconnect();
  session.reset();
  EXPECT_EQ(watch.ended, 1);
}

TEST(Session, disconnecting_while_connecting_is_graceful_and_told_once) {
  SilentServer server;
  Watch watch;
  auto session = MediaServerSession::create({server.url(), "", "test", ""});
  watch.on(session);
  ASSERT_TRUE(session->connect());
  session->disconnect();
  session->disconnect();
  ASSERT_TRUE(watch.wait());
  EXPECT_FALSE(watch.error);
  EXPECT_EQ(session->requestSessionRecording(true).error(), Errc::invalidState);
  session.reset();
  EXPECT_EQ(watch.ended, 1);
}

TEST(Session, connecting_and_disconnecting_at_the_same_time_is_told_once) {
  SilentServer server;
  for (int round = 0; round < 200; ++round) {
    Watch watch;
    auto session = MediaServerSession::create({server.url(), "", "test", ""});
    watch.on(session);
    std::atomic<int> ready = 0;
    const auto both = [&] {
      ++ready;
      while (ready < 2) {}
      const bool first = session->connect().has_value();  // whoever comes second disconnects what the first has only just begun
      session->disconnect();
      return first;
    };
    auto other = std::async(std::launch::async, both);
    const bool here = both();
    EXPECT_NE(here, other.get());
    ASSERT_TRUE(watch.wait()) << round;
    session.reset();
    ASSERT_EQ(watch.ended, 1) << round;
  }
}

TEST(Session, destruction_is_quick_in_every_order_and_from_any_thread) {
  SilentServer server;
  const std::string unreachable = refusing_url();
  // GStreamer looks through its plug-ins once per process (and once per machine, for seconds).
  MediaServerSession::create({unreachable, "", "test", ""})->setIncomingAudioFeed(AudioOutputComponentNull{});
  for (int order = 0; order < 12; ++order) {
    auto session = MediaServerSession::create({order % 2 == 0 ? server.url() : unreachable, "", "test", ""});
    auto video = session->addOutgoingVideoFeed("pattern", {VideoInputComponentTestPattern{}, {}});
    auto audio = session->setOutgoingAudioFeed("silence", AudioInputComponentSilence{});
    auto mix = session->setIncomingAudioFeed(AudioOutputComponentNull{});
    if (order >= 2) {
      ASSERT_TRUE(session->connect());
    }
    if (order >= 4 && order < 6) session->disconnect();
    if (order >= 6 && order < 8) video->stop();
    if (order >= 8 && order < 10) std::thread([s = session] { s->disconnect(); }).join();
    const auto before = std::chrono::steady_clock::now();
    if (order >= 10) {
      std::thread([s = std::move(session)]() mutable { s.reset(); }).join();
    } else {
      session.reset();
    }
    EXPECT_LT(std::chrono::steady_clock::now() - before, 8s) << order << ": it waited for the server, which is given up after 10 s";
    // Feeds outlive their session, and do nothing.
    EXPECT_NE(video->state(), FeedState::running);
    video->stop();
    audio->stop();
    mix->onStateChanged([](FeedState, std::error_code) {});
    EXPECT_EQ(video->statistics().frames, 0u);
  }
}

TEST(Session, the_last_reference_may_be_dropped_inside_a_callback) {
  Watch watch;
  auto session = MediaServerSession::create({refusing_url(), "", "test", "", false});
  std::weak_ptr<MediaServerSession> weak = session;
  session->onDisconnected([&, held = session](const auto& s, std::error_code error) mutable {
    EXPECT_EQ(s->requestSessionRecording(true).error(), Errc::invalidState);
    s->disconnect();
    s->addOutgoingVideoFeed("late", {VideoInputComponentTestPattern{}, {}});
    held.reset();
    watch.end(error);
  });
  ASSERT_TRUE(session->connect());
  session.reset();
  ASSERT_TRUE(watch.wait());
  for (int i = 0; i < 2000 && !weak.expired(); ++i) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(weak.expired());
  EXPECT_EQ(watch.ended, 1);
}

TEST(Session, callbacks_may_be_set_inside_callbacks) {
  Watch watch;
  auto session = MediaServerSession::create({refusing_url(), "", "test", "", false});
  auto feed = session->addOutgoingVideoFeed("pattern", {VideoInputComponentTestPattern{}, {}});
  std::atomic<int> states = 0;
  feed->onStateChanged([&](FeedState state, std::error_code error) {
    ++states;
    EXPECT_EQ(state, FeedState::stopped);
    EXPECT_FALSE(error);
    session->onDisconnected([&](const auto&, std::error_code e) { watch.end(e); });
  });
  session->onDisconnected([](const auto&, std::error_code) { FAIL() << "replaced before it was due"; });
  ASSERT_TRUE(session->connect());
  ASSERT_TRUE(watch.wait());
  EXPECT_EQ(states, 1);
}

TEST(Session, a_feed_that_cannot_work_fails_by_itself) {
  auto session = MediaServerSession::create({"http://127.0.0.1:1/s/x", "", "test", ""});
  VideoEncodingComponent odd;
  odd.width = 641;
  EXPECT_EQ(session->addOutgoingVideoFeed("odd", {VideoInputComponentTestPattern{}, odd})->error(), Errc::invalidArgument);
  EXPECT_EQ(session->subscribeVideoFeed("fd_nobody", VideoOutputComponentNull{})->error(), Errc::notFound);
  EXPECT_EQ(session->setOutgoingAudioFeed("loud", AudioInputComponentSilence{}, {1})->error(), Errc::invalidArgument);
  EXPECT_EQ(session->addOutgoingVideoFeed("fine", {VideoInputComponentTestPattern{}, {}})->state(), FeedState::starting);
}

TEST(Session, a_second_outgoing_audio_feed_replaces_the_first) {
  auto session = MediaServerSession::create({"http://127.0.0.1:1/s/x", "", "test", ""});
  auto first = session->setOutgoingAudioFeed("one", AudioInputComponentSilence{});
  auto second = session->setOutgoingAudioFeed("two", AudioInputComponentTone{});
  EXPECT_EQ(first->state(), FeedState::stopped);
  EXPECT_EQ(second->state(), FeedState::starting);
}

TEST(Session, a_recording_state_never_asked_of_a_server_is_off_and_zero) {
  auto session = MediaServerSession::create({"http://127.0.0.1:1/s/x", "", "test", ""});
  const auto state = session->sessionRecordingState();
  EXPECT_FALSE(state.on);
  EXPECT_FALSE(state.updatePending);
  EXPECT_FALSE(state.error);
  EXPECT_EQ(state.totalRunningDurationMs(), 0);
  EXPECT_FALSE(session->areSessionServicesConnected());
  EXPECT_FALSE(session->isConnected());
}

TEST(Session, nothing_is_asked_of_services_before_the_session_has_joined) {
  SilentServer server;
  auto session = MediaServerSession::create({server.url(), "", "test", ""});
  for (const bool connecting : {false, true}) {
    if (connecting) {
      ASSERT_TRUE(session->connect());
    }
    EXPECT_EQ(session->requestSessionRecording(true).error(), Errc::disconnected);
    EXPECT_EQ(session->addRecordingMarker("now").error(), Errc::disconnected);
    EXPECT_EQ(session->addRecordingMarker("").error(), Errc::invalidArgument);
  }
}

TEST(Session, pictures_pushed_without_a_feed_are_refused_and_so_are_malformed_ones) {
  VideoInputComponentApplication input;
  std::vector<std::uint8_t> pixels(64 * 64 * 4);
  VideoFrame frame;
  EXPECT_EQ(input.pushFrame(frame).error(), Errc::invalidArgument);
  frame.format = PixelFormat::rgba;
  frame.width = frame.height = 64;
  frame.planes[0] = pixels.data();
  frame.strides[0] = 64;
  EXPECT_EQ(input.pushFrame(frame).error(), Errc::invalidArgument);
  frame.strides[0] = 256;
  EXPECT_EQ(input.pushFrame(frame).error(), Errc::invalidState);
}

}  // namespace
}  // namespace amphi
