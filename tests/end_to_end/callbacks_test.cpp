// A session whose last reference is let go inside one of its own callbacks, of every kind, while media flows: it goes, and nothing else does.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

using Session = std::shared_ptr<MediaServerSession>;

/// The test's own reference to a session, and what its callbacks do with it.
struct Held {
  Session session;
  std::weak_ptr<MediaServerSession> weak;
  std::shared_ptr<std::atomic<bool>> fired = std::make_shared<std::atomic<bool>>(false);
  std::function<void()> drop;
  std::shared_ptr<IncomingVideoFeed> incoming;
  std::function<void()> on_frame;               // of the video that is received
  std::function<void(FeedState)> on_state;      // of its feed
  std::shared_ptr<IncomingAudioFeed> mix;
};

struct Kind {
  const char* name;
  std::function<void(Held&)> arm;
};

const Kind kKinds[] = {
    {"connected", [](Held& h) { h.session->onConnected([drop = h.drop](const auto&) { drop(); }); }},
    {"services_connected", [](Held& h) { h.session->onSessionServicesConnected([drop = h.drop](const auto&) { drop(); }); }},
    {"recording_state", [](Held& h) { h.session->onRecordingStateChanged([drop = h.drop](const auto&, const auto&) { drop(); }); }},
    {"recording_state_with_calls", [](Held& h) {
       h.session->onRecordingStateChanged([drop = h.drop](const auto& session, const auto&) {
         (void)session->requestSessionRecording(true);
         session->disconnect();
         session->disconnect();
         drop();
       });
     }},
    {"participant_joined", [](Held& h) { h.session->onParticipantJoined([drop = h.drop](const auto&, const auto&) { drop(); }); }},
    {"feed_added", [](Held& h) { h.session->onFeedAdded([drop = h.drop](const auto&, const auto&) { drop(); }); }},
    {"video_frame", [](Held& h) { h.on_frame = h.drop; }},
    {"feed_state", [](Held& h) { h.on_state = [drop = h.drop](FeedState) { drop(); }; }},
    {"audio_frame", [](Held& h) {
       h.mix = h.session->setIncomingAudioFeed(AudioOutputComponentApplication{[drop = h.drop, n = 0](const AudioFrame&) mutable { if (++n > 60) drop(); }});
     }},
};

class LastReference : public ::testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Callbacks, LastReference, ::testing::ValuesIn(kKinds), [](const auto& row) { return std::string(row.param.name); });

TEST_P(LastReference, may_be_let_go_inside_a_callback_while_media_flows) {
  ServerProcess server;
  SessionProbe other(server.session_url("theatre"), server.token("theatre", "other"));
  ASSERT_TRUE(other.connect()) << server.log();
  const auto video = other->addOutgoingVideoFeed("camera", {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 200'000, 320, 180, 20}});
  const auto audio = other->setOutgoingAudioFeed("voice", AudioInputComponentTone{});
  ASSERT_TRUE(other.wait([&] { return video->statistics().frames > 5 && audio->statistics().frames > 5; }, 15s)) << server.log();

  // Held in a box that the callback empties; the handlers hold no session.
  auto box = std::make_shared<Held>();
  MediaServerSession::Configuration configuration;
  configuration.url = server.session_url("theatre");
  configuration.accessToken = server.token("theatre", "leaving");
  box->session = MediaServerSession::create(configuration);
  box->weak = box->session;
  box->drop = [weak = std::weak_ptr(box), fired = box->fired] {
    const auto held = weak.lock();
    if (held && !fired->exchange(true)) held->session.reset();
  };
  const auto ended = std::make_shared<std::atomic<int>>(0);
  box->session->onDisconnected([ended](const auto&, std::error_code) { ++*ended; });
  GetParam().arm(*box);
  if (box->on_frame || box->on_state) {
    box->session->onFeedAdded([weak = std::weak_ptr(box)](const Session& s, const FeedInfo& feed) {
      const auto held = weak.lock();
      if (!held || feed.kind != FeedKind::video) return;
      held->incoming = s->subscribeVideoFeed(feed.id, VideoOutputComponentApplication{[frame = held->on_frame](const VideoFrame&) { if (frame) frame(); }});
      held->incoming->onStateChanged([state = held->on_state](FeedState now, std::error_code) { if (state) state(now); });
    });
  }
  {
    const auto connecting = box->session;
    ASSERT_TRUE(connecting->connect());
  }
  EXPECT_TRUE(other.wait([&] { return box->fired->load(); }, 15s)) << server.log();
  EXPECT_TRUE(other.wait([&] { return box->weak.expired(); })) << "it is still there";
  EXPECT_LE(ended->load(), 1);
  EXPECT_TRUE(other.wait([&] { return other->participants().empty(); })) << "and it has left";
  const std::uint64_t frames = video->statistics().frames;
  EXPECT_TRUE(other.wait([&] { return video->statistics().frames > frames + 5; })) << "everybody else goes on";
}

TEST(Participants, who_comes_and_who_leaves_is_told_once_and_by_name) {
  ServerProcess server;
  std::mutex mutex;
  std::vector<std::string> told;
  SessionProbe watcher(server.session_url("theatre"), server.token("theatre", "watcher"));
  const auto note = [&](const char* what) {
    return [&mutex, &told, what](const Session&, const MediaServerSession::Participant& who) {
      const std::lock_guard lock(mutex);
      told.push_back(what + who.identity);
    };
  };
  watcher->onParticipantJoined(note("+"));
  watcher->onParticipantLeft(note("-"));
  ASSERT_TRUE(watcher.connect()) << server.log();
  const auto so_far = [&] {
    const std::lock_guard lock(mutex);
    return told;
  };
  for (const char* who : {"surgeon", "student"}) {
    SessionProbe guest(server.session_url("theatre"), server.token("theatre", who));
    ASSERT_TRUE(guest.connect()) << server.log();
    ASSERT_TRUE(watcher.wait([&] { return watcher->participants().size() == 1; }));
    guest->disconnect();
    ASSERT_TRUE(watcher.wait([&] { return watcher->participants().empty(); }));
  }
  EXPECT_TRUE(watcher.wait([&] { return so_far().size() >= 4; }));
  watcher.wait([] { return false; }, 200ms);
  EXPECT_EQ(so_far(), (std::vector<std::string>{"+surgeon", "-surgeon", "+student", "-student"}));
}

TEST(LastReference, let_go_outside_of_all_callbacks_is_followed_by_none) {
  ServerProcess server;
  SessionProbe other(server.session_url("theatre"), server.token("theatre", "other"));
  ASSERT_TRUE(other.connect()) << server.log();
  const auto video = other->addOutgoingVideoFeed("camera", {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 200'000, 320, 180, 20}});
  const auto audio = other->setOutgoingAudioFeed("voice", AudioInputComponentTone{});
  for (int round = 0; round < 5; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    struct Counts {
      std::atomic<int> frames = 0, states = 0, running = 0, connected = 0, feeds = 0, all = 0, without_session = 0;
      std::weak_ptr<MediaServerSession> session;
      void come(std::atomic<int>& which) {
        ++which;
        ++all;
        if (session.expired()) ++without_session;  // who is called holds it
      }
    };
    const auto counts = std::make_shared<Counts>();
    SessionProbe probe(server.session_url("theatre"), server.token("theatre", "leaving"));
    const auto incoming = std::make_shared<std::shared_ptr<IncomingVideoFeed>>();
    counts->session = probe.session;
    probe->onConnected([counts](const auto&) { counts->come(counts->connected); });
    probe->onFeedAdded([counts, incoming](const Session& session, const FeedInfo& feed) {
      counts->come(counts->feeds);
      if (feed.kind != FeedKind::video || !session) return;
      *incoming = session->subscribeVideoFeed(feed.id, VideoOutputComponentApplication{[counts](const VideoFrame&) { counts->come(counts->frames); }});
      (*incoming)->onStateChanged([counts](FeedState state, std::error_code) { counts->come(state == FeedState::running ? counts->running : counts->states); });
    });
    const auto mix = probe->setIncomingAudioFeed(AudioOutputComponentApplication{[counts](const AudioFrame&) { counts->come(counts->frames); }});
    ASSERT_TRUE(probe->connect());
    ASSERT_TRUE(other.wait([&] { return counts->frames > 60 && counts->running > 0; }, 15s)) << server.log();
    probe.session.reset();
    const int then = counts->all;
    other.wait([] { return false; }, 300ms);
    EXPECT_EQ(counts->all, then) << "none comes after the destruction";
    EXPECT_EQ(counts->without_session, 0);
    EXPECT_EQ(counts->connected, 1);
    EXPECT_EQ(counts->feeds, 2);
    EXPECT_EQ(counts->running, 1);
  }
}

}  // namespace
}  // namespace amphi::end_to_end
