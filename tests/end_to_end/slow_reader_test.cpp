// One who joins, goes on speaking, and never reads: the server keeps a bounded queue for it, cuts it off when that is full, counts
// it by name, and nobody else notices.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "raw_client.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

using Clock = std::chrono::steady_clock;

/// How often something that happens `a_second` times is due by now.
class Pace {
 public:
  explicit Pace(double a_second) : a_second_(a_second) {}
  bool due() {
    const double by_now = std::chrono::duration<double>(Clock::now() - began_).count() * a_second_;
    return static_cast<double>(done_) < by_now && ++done_ > 0;
  }

 private:
  double a_second_;
  std::uint64_t done_ = 0;
  Clock::time_point began_ = Clock::now();
};

std::uint64_t dropped(const ServerProcess& server, const std::string& reason) {
  const std::string text = http(server.port(), "GET", "/metrics").body;
  const std::string line = "amphi_drops_total{where=\"control\",reason=\"" + reason + "\"} ";
  const auto at = text.find(line);
  if (at == std::string::npos) throw std::runtime_error("no " + reason + " in /metrics:\n" + text);
  return std::stoull(text.substr(at + line.size()));
}

/// A publisher with a few feeds, and one who sees one of them and counts what is said.
struct Company {
  explicit Company(const ServerProcess& on)
      : server(on), publisher(server.session_url("theatre"), server.token("theatre", "surgeon")),
        viewer(server.session_url("theatre"), server.token("theatre", "viewer")) {}
  void start() {
    ASSERT_TRUE(publisher.connect());
    ASSERT_TRUE(viewer.connect());
    for (int i = 0; i < 8; ++i) add_feed();
    ASSERT_TRUE(viewer.wait([&] { return viewer.happened().feeds.size() == 8; })) << server.log();
    incoming = viewer->subscribeVideoFeed(viewer.happened().feeds.front().id, VideoOutputComponentNull{});
    ASSERT_TRUE(viewer.wait([&] { return incoming->statistics().frames > 10; })) << server.log();
  }
  void add_feed() {
    feeds.push_back(publisher->addOutgoingVideoFeed("camera " + std::to_string(feeds.size()), {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 60'000, 160, 120, 10}}));
  }
  void expect_undisturbed() {
    EXPECT_EQ(publisher.happened().disconnected, 0);
    EXPECT_EQ(viewer.happened().disconnected, 0);
    EXPECT_EQ(publisher.happened().services_disconnected, 0);
    EXPECT_EQ(viewer.happened().services_disconnected, 0);
  }
  bool is_here(const std::string& identity) {
    const auto all = viewer->participants();
    return std::any_of(all.begin(), all.end(), [&](const auto& p) { return p.identity == identity; });
  }

  const ServerProcess& server;
  SessionProbe publisher, viewer;
  std::vector<std::shared_ptr<OutgoingVideoFeed>> feeds;
  std::shared_ptr<IncomingVideoFeed> incoming;
};

TEST(SlowReader, of_signalling_is_cut_off_and_nobody_else_notices) {
  ServerProcess server;
  Company company(server);
  company.start();
  ASSERT_FALSE(::testing::Test::HasFatalFailure());
  RawClient slow(server.port(), "/v1/sessions/theatre/signalling", RawClient::Window::small);
  slow.send({{"type", "join"}, {"version", 1}, {"token", server.token("theatre", "slow")}});
  ASSERT_TRUE(company.viewer.wait([&] { return company.is_here("slow"); }));
  ASSERT_EQ(dropped(server, "ws_slow_reader"), 0u);

  // Each of these is answered by an offer of eight feeds. The server takes a hundred messages a second.
  const auto frames_before = company.incoming->statistics().frames;
  const auto feeds_before = company.viewer.happened().feeds.size();
  std::uint64_t said = 0;
  Pace pace(90);
  const bool cut = company.viewer.wait([&] {
    for (; pace.due(); ++said) slow.send({{"type", "restartSubscribe"}});
    return dropped(server, "ws_slow_reader") > 0;
  }, 45s);
  ASSERT_TRUE(cut) << "after " << said << " messages\n" << server.log();
  EXPECT_EQ(dropped(server, "ws_slow_reader"), 1u);
  EXPECT_EQ(dropped(server, "ws_silent"), 0u) << "it was not silence that ended it";
  EXPECT_EQ(dropped(server, "ws_rate_limited"), 0u);
  EXPECT_TRUE(slow.dead());

  // The others: pictures came all the while, and what is said is heard at once, while the slow one is awaited for 30 s.
  EXPECT_GT(company.incoming->statistics().frames, frames_before + 10);
  company.add_feed();
  EXPECT_TRUE(company.viewer.wait([&] { return company.viewer.happened().feeds.size() == feeds_before + 1; }));
  EXPECT_TRUE(company.is_here("slow"));
  ASSERT_TRUE(company.publisher->requestSessionRecording(true));
  EXPECT_TRUE(company.viewer.wait_recording(true));
  const auto frames = company.incoming->statistics().frames;
  EXPECT_TRUE(company.viewer.wait([&] { return company.incoming->statistics().frames > frames + 20; }));
  company.expect_undisturbed();
}

TEST(SlowReader, of_the_services_is_cut_off_and_everybody_else_hears_every_marker) {
  ServerProcess server;
  std::mutex mutex;
  std::set<std::string> heard;
  Company company(server);
  company.viewer->onRecordingMarkerAdded([&](const auto&, const auto& marker) {
    const std::lock_guard lock(mutex);
    heard.insert(marker.label);
  });
  company.start();
  ASSERT_FALSE(::testing::Test::HasFatalFailure());
  const std::string token = server.token("theatre", "slow");
  RawClient member(server.port(), "/v1/sessions/theatre/signalling");
  member.send({{"type", "join"}, {"version", 1}, {"token", token}});
  const auto joined = member.receive_type("joined");
  ASSERT_TRUE(joined);
  RawClient slow(server.port(), "/v1/sessions/theatre/services", RawClient::Window::small);
  slow.send({{"type", "hello"}, {"version", 1}, {"token", token}, {"participantId", joined->at("participantId")}});
  ASSERT_TRUE(company.publisher->requestSessionRecording(true));
  ASSERT_TRUE(company.publisher.wait_recording(true));

  // Markers with long labels: they are told to everybody. Each participant says no more than it may in a second (20).
  std::set<std::string> added;
  const auto add = [&](SessionProbe& by, const std::string& who) {
    std::string label = who + " " + std::to_string(added.size()) + " ";
    const std::size_t letters = 200 - label.size();
    for (std::size_t i = 0; i < letters; ++i) label += "\xF0\x9F\x8E\xAC";  // four bytes for one character
    if (by->addRecordingMarker(label)) added.insert(label);
  };
  Pace markers(15), pings(1);
  const bool cut = company.viewer.wait([&] {
    for (; pings.due(); slow.send({{"type", "ping"}})) member.send({{"type", "ping"}});
    for (; markers.due(); add(company.publisher, "surgeon")) add(company.viewer, "viewer");
    return dropped(server, "ws_slow_reader") > 0;
  }, 45s);
  ASSERT_TRUE(cut) << "after " << added.size() << " markers\n" << server.log();
  EXPECT_EQ(dropped(server, "ws_slow_reader"), 1u);
  EXPECT_EQ(dropped(server, "ws_silent"), 0u);
  EXPECT_TRUE(slow.dead());
  EXPECT_TRUE(company.viewer.wait([&] {
    const std::lock_guard lock(mutex);
    return heard == added;
  })) << heard.size() << " of " << added.size();
  member.send({{"type", "ping"}});
  EXPECT_TRUE(company.is_here("slow")) << "services are not the session: it stays";
  const auto frames = company.incoming->statistics().frames;
  EXPECT_TRUE(company.viewer.wait([&] { return company.incoming->statistics().frames > frames + 20; }));
  company.expect_undisturbed();
}

}  // namespace
}  // namespace amphi::end_to_end
