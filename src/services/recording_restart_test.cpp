// The server machine by itself, as to a recording that a server's end interrupts: what goes on after the restart, and what does not.
#include "services/recording_control.h"

#include "services/test_server_world.h"

namespace amphi::services {
namespace {

TEST(RecordingRestart, what_a_restart_cut_off_is_recorded_on_in_the_name_of_who_had_asked) {
  World w;
  w.open_quietly(1, "Ann");
  w.server.go_on(RecordingId("rec_old"), "Bob", w.now);
  w.drain();
  ASSERT_EQ(w.starts.size(), 1u);
  EXPECT_EQ(w.starts[0].requested_by, "Bob");
  EXPECT_EQ(w.starts[0].continues, RecordingId("rec_old"));
  EXPECT_TRUE(w.inbox[1].empty()) << "nothing is on before it has begun";
  w.server.recording_started(w.starts[0].id, w.now, w.now);
  w.drain();
  ASSERT_EQ(w.inbox[1].size(), 1u);
  EXPECT_EQ(w.inbox[1][0].at("on"), true);
  EXPECT_EQ(w.inbox[1][0].at("changedBy"), "Bob");
  EXPECT_EQ(w.inbox[1][0].at("totalMs"), 5000);
}

TEST(RecordingRestart, what_the_servers_end_interrupts_goes_on_unless_somebody_asks_for_its_end_who_is_answered_when_that_is_sure) {
  World w;
  w.open_quietly(1, "Ana");
  w.open_quietly(2, "Ben");
  w.request(1, "r1", true), w.started(), w.news(1), w.news(2);
  w.server.interrupt_recording(w.now), w.drain();
  ASSERT_EQ(w.stops.size(), 1u);
  EXPECT_TRUE(w.stops[0].goes_on);
  w.request(1, "s1", false), w.request(2, "s2", false);
  w.finished(1s);
  EXPECT_EQ(w.news(1), (Words{"stopping@5000", "off@6000"})) << "not answered: it would be recorded on";
  ASSERT_EQ(w.forgets.size(), 1u);
  EXPECT_EQ(w.forgets[0].id, w.starts[0].id);
  w.request(2, "r2", true);
  w.forgotten();
  EXPECT_EQ(w.news(1), Words{"s1=ok"});
  EXPECT_EQ(w.news(2), (Words{"stopping@5000", "off@6000", "s2=ok"}));
  EXPECT_EQ(w.forgets.size(), 1u) << "once is enough";
  EXPECT_EQ(w.starts.size(), 2u) << "what was asked meanwhile has waited";
}

TEST(RecordingRestart, an_end_that_could_not_be_made_sure_of_is_an_error_and_may_be_asked_for_again) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "r1", true), w.started();
  w.server.interrupt_recording(w.now), w.drain(), w.finished(1s), w.news(1);
  w.server.request_recording(false, "", w.now), w.drain();
  EXPECT_TRUE(w.forgets.empty()) << "an empty session is no wish";
  w.request(1, "s1", false);
  ASSERT_EQ(w.forgets.size(), 1u) << "also after its end";
  w.forgotten(Error{ErrorCode::storage, "broken"});
  EXPECT_EQ(w.news(1), Words{"s1=storage"});
  w.server.request_recording(false, "desk", w.now), w.drain();
  EXPECT_EQ(w.forgets.size(), 2u);
  w.forgotten();
  w.request(1, "s2", false);
  EXPECT_EQ(w.news(1), Words{"s2=ok"});
  EXPECT_EQ(w.forgets.size(), 2u);
}

TEST(RecordingRestart, what_was_asked_to_end_before_the_servers_end_does_not_go_on) {
  for (const bool empty : {false, true}) {
    World w;
    w.open_quietly(1, "Ana");
    w.request(1, "r1", true);
    if (empty) w.server.request_recording(false, "", w.now);
    else w.request(1, "s1", false);
    w.server.interrupt_recording(w.now), w.drain();
    w.started();
    ASSERT_EQ(w.stops.size(), 1u);
    EXPECT_FALSE(w.stops[0].goes_on);
    w.finished(1s);
    EXPECT_TRUE(w.forgets.empty());
  }
}

TEST(RecordingRestart, a_session_that_is_empty_when_its_recording_begins_at_last_is_not_recorded_for_ever) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "r1", true);
  w.server.connection_closed(1, w.now);
  w.wait(10s);
  w.server.request_recording(false, "", w.now), w.drain();
  w.wait(1h);
  w.started();
  ASSERT_EQ(w.stops.size(), 1u);
  EXPECT_FALSE(w.stops[0].goes_on);
}

TEST(RecordingRestart, what_cannot_be_recorded_on_is_an_error_in_everybodys_state) {
  World w;
  w.open_quietly(1, "Ann");
  w.server.go_on(RecordingId("rec_old"), "Bob", w.now);
  w.drain();
  w.server.recording_refused(w.starts.at(0).id, {ErrorCode::storage, "full"}, w.now);
  w.drain();
  ASSERT_EQ(w.inbox[1].size(), 1u);
  EXPECT_EQ(w.inbox[1][0].at("on"), false);
  EXPECT_EQ(w.inbox[1][0].at("error").at("code"), "storage");
}

}  // namespace
}  // namespace amphi::services
