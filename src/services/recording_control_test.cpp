// The server machine by itself, as to its recording: what it tells whom, in which order, and what it refuses.
#include "services/recording_control.h"

#include "services/test_server_world.h"

namespace amphi::services {
namespace {

TEST(RecordingControl, says_on_only_when_the_recording_has_started) {
  World w;
  w.open_quietly(1, "Ana");
  w.open_quietly(2, "Ben");
  w.request(1, "r1", true);
  ASSERT_EQ(w.starts.size(), 1u);
  EXPECT_EQ(w.starts[0].requested_by, "Ana");
  w.wait(3s);
  EXPECT_EQ(w.news(1), Words{});
  EXPECT_FALSE(w.server.snapshot(w.now).on);
  w.started();
  EXPECT_TRUE(w.server.snapshot(w.now).on);
  EXPECT_EQ(w.server.snapshot(w.now).changed_by, "Ana");
  EXPECT_EQ(w.news(1), (Words{"recording@5000/r1", "r1=ok"}));
  EXPECT_EQ(w.news(2), (Words{"recording@5000"}));
}

TEST(RecordingControl, stopping_freezes_the_total_and_off_is_said_when_the_files_are_complete) {
  World w;
  w.open_quietly(1, "Ana");
  w.open_quietly(2, "Ben");
  w.request(1, "r1", true);
  w.started();
  w.wait(2500ms);
  EXPECT_EQ(w.beats[2].back().at("totalMs").get<int>() % 1000, 0);
  w.news(1), w.news(2);
  w.request(2, "s1", false);
  EXPECT_EQ(w.stops.size(), 1u);
  EXPECT_EQ(w.news(1), (Words{"stopping@7500"}));
  EXPECT_EQ(w.news(2), (Words{"stopping@7500"}));
  w.wait(700ms);
  EXPECT_EQ(w.server.snapshot(w.now).total_ms, 7500);
  EXPECT_TRUE(w.server.snapshot(w.now).on);
  w.finished(2480ms);
  EXPECT_EQ(w.news(1), (Words{"off@7500"})) << "never less than what was frozen";
  EXPECT_EQ(w.news(2), (Words{"off@7500/s1", "s1=ok"}));
  w.request(1, "r2", true), w.started(), w.wait(1s), w.request(1, "s2", false), w.news(1);
  w.finished(1020ms);
  EXPECT_EQ(w.news(1), (Words{"off@8520/s2", "s2=ok"})) << "the files' duration where it is more";
}

TEST(RecordingControl, a_request_acts_once_and_its_repetition_is_answered_alike) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "r1", true), w.request(1, "r1", true);
  EXPECT_EQ(w.starts.size(), 1u);
  w.server.connection_closed(1, w.now);
  w.open_quietly(2, "Ana");
  w.request(2, "r1", true);
  w.started();
  EXPECT_EQ(w.news(2), (Words{"recording@5000/r1", "r1=ok"})) << "the answer goes to the connection that asked last";
  w.request(2, "s1", false), w.finished(1s), w.news(2);
  w.request(2, "r1", true);
  EXPECT_EQ(w.news(2), (Words{"r1=ok"}));
  EXPECT_EQ(w.starts.size(), 1u) << "it does not act again";
}

TEST(RecordingControl, the_same_request_id_of_another_participant_is_another_request) {
  World w;
  w.open_quietly(1, "Ana");
  w.open_quietly(2, "Ben");
  w.request(1, "r1", true), w.started(), w.news(1), w.news(2);
  w.request(2, "r1", false);
  EXPECT_EQ(w.stops.size(), 1u);
}

TEST(RecordingControl, requests_wait_while_it_starts_or_stops_and_are_answered_in_order) {
  World w;
  w.open_quietly(1, "Ana");
  w.open_quietly(2, "Ben");
  w.request(1, "a", true), w.request(2, "b", true), w.request(1, "c", false), w.request(2, "d", true);
  EXPECT_EQ(w.news(1), Words{});
  w.started();
  EXPECT_EQ(w.news(1), (Words{"recording@5000/a", "a=ok", "stopping@5000"}));
  EXPECT_EQ(w.news(2), (Words{"recording@5000", "b=ok", "stopping@5000"}));
  w.finished(0s);
  EXPECT_EQ(w.news(1), (Words{"off@5000/c", "c=ok"}));
  EXPECT_EQ(w.starts.size(), 2u);
  w.started();
  EXPECT_EQ(w.news(2), (Words{"off@5000", "recording@5000/d", "d=ok"}));
}

TEST(RecordingControl, a_request_that_waited_15_s_is_not_acted_on) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "a", true);
  w.wait(1s);
  w.request(1, "b", false);
  for (int i = 0; i < 4; ++i) w.wait(4s), w.receive(1, R"({"type":"ping"})");
  w.started();
  const Words news = w.news(1);
  EXPECT_EQ(std::count(news.begin(), news.end(), "b=timeout"), 1);
  EXPECT_TRUE(w.stops.empty());
}

TEST(RecordingControl, a_recording_that_cannot_start_is_told_to_who_asked) {
  World w;
  w.open_quietly(1, "Ana");
  w.open_quietly(2, "Ben");
  w.request(1, "a", true);
  w.server.recording_refused(w.starts[0].id, {ErrorCode::storage, "The disk is full."}, w.now);
  w.drain();
  EXPECT_EQ(w.news(1), (Words{"a=storage"}));
  EXPECT_EQ(w.news(2), Words{});
  w.request(1, "b", true);
  w.finished(0s, Error{ErrorCode::storage, "gone"});
  EXPECT_EQ(w.news(1), (Words{"b=storage"})) << "finished before it had started is the same";
}

TEST(RecordingControl, a_recording_that_fails_is_off_with_its_error_until_the_next_start) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "a", true), w.started(), w.wait(2s), w.news(1);
  w.finished(1900ms, Error{ErrorCode::storage, "The disk is full."});
  EXPECT_EQ(w.news(1), (Words{"off@7000!storage"})) << "7000 was told by a beat and stays";
  EXPECT_EQ(w.server.snapshot(w.now).changed_by, "");
  w.request(1, "b", true);
  EXPECT_TRUE(w.server.snapshot(w.now).error.has_value());
  w.started();
  EXPECT_EQ(w.news(1), (Words{"recording@7000/b", "b=ok"}));
}

TEST(RecordingControl, outcomes_of_another_recording_are_ignored) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "a", true);
  w.server.recording_started(RecordingId("rec_x"), w.now, w.now);
  w.server.recording_refused(RecordingId("rec_x"), {}, w.now);
  w.server.recording_finished(RecordingId("rec_x"), 1s, {}, w.now);
  w.drain();
  EXPECT_EQ(w.news(1), Words{});
  w.started();
  w.server.recording_started(w.starts[0].id, w.now, w.now);
  w.server.recording_refused(w.starts[0].id, {}, w.now);
  w.drain();
  EXPECT_EQ(w.news(1), (Words{"recording@5000/a", "a=ok"}));
}

TEST(RecordingControl, asks_for_what_is_so_are_answered_without_a_change) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "a", false);
  EXPECT_EQ(w.news(1), (Words{"a=ok"}));
  EXPECT_EQ(w.server.snapshot(w.now).revision, 1001u);
}

TEST(RecordingControl, without_the_grant_a_request_is_forbidden) {
  World w;
  w.open_quietly(1, "Ana", false);
  w.request(1, "a", true);
  EXPECT_EQ(w.news(1), (Words{"a=forbidden"}));
  EXPECT_TRUE(w.starts.empty());
}

TEST(RecordingControl, the_server_itself_may_ask) {
  World w;
  w.open_quietly(1, "Ana");
  w.server.request_recording(true, "rest", w.now);
  w.drain();
  ASSERT_EQ(w.starts.size(), 1u);
  w.started();
  EXPECT_EQ(w.news(1), (Words{"recording@5000"}));
  EXPECT_EQ(w.server.snapshot(w.now).changed_by, "rest");
}

TEST(RecordingControl, remembers_250_requests_of_one_identity_for_60_s_and_takes_no_more_of_it_until_then) {
  World w;
  for (ConnectionNumber c = 1; c <= 4; ++c) w.open_quietly(c, "Ana");
  for (int i = 0; i < 250; ++i) w.wait(100ms), w.request(1 + static_cast<ConnectionNumber>(i % 4), "r" + std::to_string(i), false);
  w.news(1);
  w.wait(1s);
  w.request(1, "x", true);
  EXPECT_EQ(w.news(1), (Words{"x=limit_exceeded"}));
  EXPECT_TRUE(w.starts.empty());
  w.open_quietly(5, "Ben");
  w.request(5, "y", true);
  EXPECT_EQ(w.starts.size(), 1u) << "others are not kept from it";
  w.started(), w.news(1);
  for (int i = 0; i < 15; ++i) w.wait(4s), w.receive(1, R"({"type":"ping"})");
  w.news(1);
  w.request(1, "x", false);
  EXPECT_EQ(w.stops.size(), 1u);
}

TEST(RecordingControl, the_server_itself_may_always_ask_and_of_what_one_asked_in_vain_the_last_counts) {
  World w;
  w.open_quietly(1, "Ana");
  for (int i = 0; i < 5000; ++i) w.server.request_recording(i % 2 == 0, "desk", w.now), w.drain();
  ASSERT_EQ(w.starts.size(), 1u);
  w.started();
  EXPECT_EQ(w.stops.size(), 1u) << "the last was to stop";
  w.finished(0s);
  EXPECT_EQ(w.starts.size(), 1u);
  EXPECT_EQ(w.news(1), (Words{"recording@5000", "stopping@5000", "off@5000"}));

  w.server.request_recording(true, "desk", w.now), w.drain(), w.started();
  for (int i = 0; i < 5000; ++i) w.server.request_recording(true, "desk", w.now), w.drain();
  w.server.request_recording(false, "", w.now), w.drain();
  EXPECT_EQ(w.stops.size(), 2u) << "an empty session is not recorded for ever";
}

TEST(RecordingControl, what_the_server_itself_asked_for_in_vain_is_known_until_a_recording_begins_and_news_to_nobody) {
  World w;
  w.open_quietly(1, "Ana");
  w.server.request_recording(true, "desk", w.now), w.drain();
  w.server.recording_refused(w.starts.at(0).id, {ErrorCode::storage, "full"}, w.now), w.drain();
  EXPECT_EQ(w.news(1), Words{});
  ASSERT_TRUE(w.server.refusal());
  EXPECT_EQ(w.server.refusal()->message, "full");
  w.request(1, "r1", true), w.started();
  EXPECT_FALSE(w.server.refusal());
}

TEST(RecordingControl, on_waits_for_media_until_it_is_written_and_says_when_it_waits_again) {
  World w;
  w.say_waiting = true;
  w.open_quietly(1, "Ana");
  w.request(1, "r", true);
  w.started();
  EXPECT_EQ(w.news(1), (Words{"recording@5000/r?", "r=ok"}));
  const auto tell = [&](bool writing) {
    w.server.recording_media_changed(w.starts[0].id, writing, w.now);
    w.drain();
    return w.news(1);
  };
  EXPECT_EQ(tell(true), (Words{"recording@5000"}));
  EXPECT_EQ(tell(true), Words{});
  EXPECT_EQ(tell(false), (Words{"recording@5000?"}));
  w.server.recording_media_changed(RecordingId("rec_other"), true, w.now);
  w.server.recording_warnings(RecordingId("rec_other"), {Warning{"storage_low", "", 3}}, w.now);
  w.drain();
  EXPECT_EQ(w.news(1), Words{});
  w.server.recording_warnings(w.starts[0].id, {Warning{"storage_low", "Full in 3 minutes.", 3}}, w.now);
  w.drain();
  EXPECT_EQ(w.inbox[1].at(0).at("warning").at("minutesLeft"), 3);
  EXPECT_EQ(w.news(1), (Words{"recording@5000?~storage_low"}));
  w.request(1, "s", false);
  w.finished(1s);
  EXPECT_EQ(w.news(1).back(), "s=ok");
  EXPECT_FALSE(w.server.snapshot(w.now).warning()) << "it was the recording's";
}

TEST(RecordingControl, the_total_never_goes_back_when_a_start_lies_in_the_future_or_durations_are_short) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "a", true);
  w.server.recording_started(w.starts[0].id, w.now + 50ms, w.now);
  EXPECT_EQ(w.server.snapshot(w.now).total_ms, 5000);
  w.wait(150ms);
  EXPECT_EQ(w.server.snapshot(w.now).total_ms, 5100);
  w.drain();
  w.request(1, "s", false);
  w.finished(-5s);
  EXPECT_EQ(w.server.snapshot(w.now).total_ms, 5100);
}

TEST(RecordingControl, a_warning_is_told_from_the_start_to_the_end) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "r1", true);
  w.server.recording_warnings(w.starts[0].id, {Warning{"storage_slow", ""}}, w.now);
  w.drain();
  EXPECT_EQ(w.news(1), Words{}) << "not on yet";
  EXPECT_FALSE(w.server.snapshot(w.now).warning());
  w.started();
  EXPECT_EQ(w.news(1), (Words{"recording@5000/r1~storage_slow", "r1=ok"}));
  w.server.recording_warnings(w.starts[0].id, {}, w.now);
  w.drain();
  EXPECT_EQ(w.news(1), Words{"recording@5000"});
  w.request(1, "r2", false);
  EXPECT_EQ(w.news(1), Words{"stopping@5000"});
  w.server.recording_warnings(w.starts[0].id, {Warning{"storage_slow", ""}}, w.now);
  w.drain();
  EXPECT_EQ(w.news(1), Words{"stopping@5000~storage_slow"}) << "on, and its files cannot be completed";
  w.finished(0s);
  EXPECT_EQ(w.news(1), (Words{"off@5000/r2", "r2=ok"}));
  w.request(1, "r3", true);
  w.started();
  EXPECT_EQ(w.news(1), (Words{"recording@5000/r3", "r3=ok"})) << "another recording";
}

FeedState lost(const std::string& id, const std::string& reason = "no_keyframe") {
  return {id, "par_Eva", "endoscope", "video", false, reason, "endoscope: not recorded", 1200};
}
FeedState recorded(const std::string& id) { return {id, "par_Eva", "voice", "audio", true}; }

TEST(RecordingControl, a_feed_that_is_not_recorded_is_in_everybodys_state_with_its_reason_and_a_warning) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "r1", true);
  w.started();
  w.news(1);
  w.server.recording_feeds(w.starts[0].id, {recorded("fd_1"), lost("fd_2"), lost("fd_3", "silent"), lost("fd_4", "limit_exceeded")}, {}, w.now);
  w.drain();
  ASSERT_EQ(w.inbox[1].size(), 1u);
  const Json state = w.inbox[1][0];
  ASSERT_EQ(state["feeds"].size(), 4u);
  EXPECT_EQ(state["feeds"][0], (Json{{"feedId", "fd_2"}, {"participantId", "par_Eva"}, {"label", "endoscope"}, {"kind", "video"}, {"recorded", false},
                                     {"reason", "no_keyframe"}, {"message", "endoscope: not recorded"}, {"sinceMs", 1200}}));
  EXPECT_EQ(state["feeds"][1]["feedId"], "fd_4");
  EXPECT_EQ(state["feeds"][2]["recorded"], true);
  ASSERT_EQ(state["warnings"].size(), 2u) << "a silent feed loses nothing";
  EXPECT_EQ(state["warnings"][0], (Json{{"code", "feed_not_recorded"}, {"message", "endoscope: not recorded"}, {"feedId", "fd_2"}, {"participantId", "par_Eva"}}));
  EXPECT_EQ(state["warnings"][1]["code"], "limit_exceeded");
  EXPECT_EQ(state["warning"], state["warnings"][0]);
  w.news(1);
  w.server.recording_feeds(w.starts[0].id, {recorded("fd_1"), lost("fd_2"), lost("fd_3", "silent"), lost("fd_4", "limit_exceeded")}, {}, w.now);
  w.drain();
  EXPECT_EQ(w.news(1), Words{}) << "nothing has changed";
  w.server.recording_warnings(w.starts[0].id, {Warning{"storage_low", "", 3}}, w.now);
  w.drain();
  EXPECT_EQ(w.news(1), Words{"recording@5000~storage_low"}) << "the most urgent first";
  w.server.recording_feeds(w.starts[0].id, {recorded("fd_1")}, {}, w.now);
  w.request(1, "r2", false);
  w.finished(1s);
  w.news(1);
  const RecordingSnapshot off = w.server.snapshot(w.now);
  EXPECT_TRUE(off.feeds.empty() && off.warnings.empty()) << "they were the recording's";
}

TEST(RecordingControl, a_feed_that_is_recorded_with_a_fault_is_warned_of_behind_limits_and_feeds_that_are_not_recorded) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "r1", true);
  w.started();
  w.news(1);
  const Warning order{"picture_order", "camera: B-frames without display times arrive too slowly to be put in order; frames are shown unevenly", std::nullopt, "fd_1", "par_Eva"};
  const Warning limit{"limit_exceeded", "Eva: too many feeds", std::nullopt, {}, "par_Eva"};
  w.server.recording_feeds(w.starts[0].id, {recorded("fd_1"), lost("fd_2")}, {order, limit}, w.now);
  const auto warnings = w.server.snapshot(w.now).warnings;
  ASSERT_EQ(warnings.size(), 3u);
  EXPECT_EQ(warnings[0], limit);
  EXPECT_EQ(warnings[1].code, "feed_not_recorded");
  EXPECT_EQ(warnings[2], order);
  w.server.recording_feeds(w.starts[0].id, {recorded("fd_1")}, {}, w.now);
  EXPECT_TRUE(w.server.snapshot(w.now).warnings.empty());
}

TEST(RecordingControl, a_feed_that_loses_most_of_its_media_is_warned_of_once_by_the_code_of_its_reason) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "r1", true);
  w.started();
  w.server.recording_feeds(w.starts[0].id, {lost("fd_1", "media_lost")}, {}, w.now);
  const auto warnings = w.server.snapshot(w.now).warnings;
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0], (Warning{"media_lost", "endoscope: not recorded", std::nullopt, "fd_1", "par_Eva"}));
}

TEST(RecordingControl, a_state_of_1600_feeds_fits_into_a_message_and_counts_what_it_does_not_list) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "r1", true);
  w.started();
  w.news(1);
  std::vector<FeedState> feeds;
  for (int i = 0; i < 1600; ++i) {
    const std::string id = "fd_" + std::to_string(i);
    feeds.push_back(i % 2 == 0 ? recorded(id) : lost(id));
    feeds.back().label = feeds.back().message = std::string(1000, '\x01');  // takes most room in JSON
  }
  w.server.recording_feeds(w.starts[0].id, feeds, {}, w.now);
  std::string text;
  while (auto output = w.server.poll_output())
    if (auto* send = std::get_if<SendText>(&*output)) text = send->text;
  EXPECT_LE(text.size(), 16u * 1024);
  const Json state = Json::parse(text);
  EXPECT_GE(state["feeds"].size(), 1u);
  EXPECT_EQ(state["feeds"].size() + state["feedsNotListed"].get<std::size_t>(), 1600u);
  EXPECT_EQ(state["warnings"].size() + state["warningsNotListed"].get<std::size_t>(), 800u);
  for (auto& feed : feeds) feed.label = "camera", feed.message = feed.recorded ? "" : "camera: not recorded, no keyframe for 12 s";
  w.server.recording_feeds(w.starts[0].id, feeds, {}, w.now);
  w.drain();
  EXPECT_GE(w.inbox[1].back()["feeds"].size(), 40u);
}

TEST(RecordingControl, the_many_feeds_of_one_participant_push_no_feed_of_another_out_of_the_state) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "r1", true);
  w.started();
  std::vector<FeedState> feeds;
  for (int i = 0; i < 64; ++i) feeds.push_back(lost("fd_" + std::to_string(i)));
  for (auto& feed : feeds) feed.participant_id = "par_guest", feed.label = std::string(200, 'x');
  feeds.push_back(lost("fd_surgeons"));
  w.server.recording_feeds(w.starts[0].id, feeds, {}, w.now);
  const RecordingSnapshot state = w.server.snapshot(w.now);
  ASSERT_GE(state.feeds.size(), 2u);
  EXPECT_GT(state.feeds_not_listed, 0u);
  EXPECT_EQ(state.feeds[1].feed_id, "fd_surgeons");
  EXPECT_EQ(state.warnings[1].feed_id, "fd_surgeons");
}

TEST(RecordingControl, a_participant_that_reaches_a_limit_again_and_again_is_told_once_and_for_10_s) {
  World w;
  w.open_quietly(1, "Ana");
  const ReachedLimit limit{"guest", "too many feeds", "par_guest"};
  w.server.limit_reached(limit, w.now);
  w.drain();
  EXPECT_EQ(w.news(1), Words{}) << "nothing is being recorded";
  w.request(1, "r1", true);
  w.started();
  w.news(1);
  for (int i = 0; i < 90; ++i) w.server.limit_reached(limit, w.now), w.wait(100ms);
  EXPECT_EQ(w.news(1), Words{"recording@5000~limit_exceeded"});
  w.wait(11s);
  EXPECT_TRUE(w.server.snapshot(w.now).warnings.empty());
}

TEST(RecordingControl, an_identity_that_reaches_limits_under_ever_new_participants_hides_no_limit_of_others) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "r1", true);
  w.started();
  w.news(1);
  const auto told = [&](const std::string& message) {
    const auto warnings = w.server.snapshot(w.now).warnings;
    return std::count_if(warnings.begin(), warnings.end(), [&](const Warning& warning) { return warning.message == message; });
  };
  for (int i = 0; i < 100; ++i) w.server.limit_reached({"guest", "too many feeds", "par_" + std::to_string(i)}, w.now);
  w.drain();
  EXPECT_EQ(w.news(1), Words{"recording@5000~limit_exceeded"}) << "one warning, however many participants";
  for (int i = 0; i < 100; ++i) w.server.limit_reached({"guest", "limit " + std::to_string(i), "par_guest"}, w.now);
  EXPECT_EQ(w.server.snapshot(w.now).warnings.size(), 4u);
  EXPECT_EQ(w.server.drops()[ServerDrop::limit_not_told], 97u);
  // Many identities fill all places; the one with the most of them makes room.
  for (int i = 0; i < 12; ++i) w.server.limit_reached({"id" + std::to_string(i), "too many offers", {}}, w.now);
  w.server.limit_reached({"surgeon", "too many feeds", "par_surgeon"}, w.now);
  EXPECT_EQ(told("surgeon: too many feeds"), 1);
  for (int i = 0; i < 12; ++i) EXPECT_EQ(told("id" + std::to_string(i) + ": too many offers"), 1);
  EXPECT_EQ(w.server.snapshot(w.now).warnings.size(), 16u);
  EXPECT_EQ(w.server.snapshot(w.now).warnings[1].message, "id0: too many offers") << "identities take turns";
}

TEST(RecordingControl, each_limit_of_the_services_protocol_is_a_warning_that_names_who_reached_it) {
  struct Row {
    std::string what;
    std::function<void(World&)> reach;
  };
  const Row rows[] = {
      {"Too many messages; at most 20 a second.", [](World& w) { for (int i = 0; i < 60; ++i) w.server.handle_message(2, encode(Ping{}), w.now); }},
      {"Too many messages; at most 20 a second.", [](World& w) { for (int i = 0; i < 60; ++i) w.server.handle_message(2, encode(RecordingRequest{"f" + std::to_string(i), true}), w.now); }},
      {"Too many messages; at most 20 a second.", [](World& w) { for (int i = 0; i < 300; ++i) w.server.handle_message(2, "x", w.now); }},
      {"A message is at most 16 KiB.", [](World& w) { w.server.handle_message(2, std::string(16 * 1024 + 1, ' '), w.now); }},
      {"This participant has opened more services connections.", [](World& w) { for (ConnectionNumber n = 3; n < 7; ++n) w.open_quietly(n, "guest"); }},
      {"Too many requests in the last minute.", [](World& w) { for (int i = 0; i < 251; ++i) w.server.handle_message(2, encode(RecordingRequest{"q" + std::to_string(i), true}), w.now), w.wait(60ms); }},
      {"Too many markers; at most 20 a second.", [](World& w) { for (int i = 0; i < 201; ++i) (void)w.server.add_marker("m", "guest", w.now); }},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    World w;
    w.open_quietly(1, "Ana");
    w.open_quietly(2, "guest");
    w.request(1, "r1", true);
    w.started();
    row.reach(w);
    const auto warnings = w.server.snapshot(w.now).warnings;
    ASSERT_FALSE(warnings.empty());
    EXPECT_EQ(warnings[0].code, "limit_exceeded");
    EXPECT_EQ(warnings[0].message, "guest: " + row.what);
  }
}

}  // namespace
}  // namespace amphi::services
