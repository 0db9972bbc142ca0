// The retention against clocks that are wrong: nothing is deleted that only a wrong clock makes old.
#include "server/retention.h"

#include <gtest/gtest.h>

namespace amphi::server {
namespace {

constexpr std::int64_t kDay = 24 * 3600 * 1000;
constexpr std::int64_t kToday = 1'796'000'000'000;  // in 2026

RetentionEvidence ended(const std::string& id, std::int64_t at) { return {"theatre", id, at - 60'000, at, at - 60'000, at, at - 60'000}; }

/// An archive whose server starts again and again: each start is another process.
class Archive {
 public:
  explicit Archive(unsigned days = 30) : days_(days) { start(); }
  void start() { retention_.emplace(days_, "run-" + std::to_string(++runs_), now_); }
  void sleep(Duration time) { now_ += time; }

  /// One look, with what it deletes gone afterwards.
  RetentionPlan look(std::int64_t wall) {
    RetentionView view;
    view.finished = recordings.size();
    for (const auto& recording : recordings) {
      if (recording.newest_ms() > view.newest_ms) view.newest_ms = recording.newest_ms(), view.newest = recording.id;
      if (recording.stopped_ms < retention_->limit_ms({wall})) view.old.push_back(recording);
    }
    auto plan = retention_->plan(state, view, {wall}, now_);
    state = plan.next;
    for (const auto& gone : plan.deleted) std::erase_if(recordings, [&](const auto& r) { return r.id == gone.id; });
    return plan;
  }
  std::vector<RetentionEvidence> recordings;
  RetentionState state;

 private:
  const unsigned days_;
  int runs_ = 0;
  Time now_ = Time{} + 1h;
  std::optional<Retention> retention_;
};

TEST(Retention, marks_in_one_run_and_deletes_in_a_later_one) {
  Archive archive;
  archive.recordings = {ended("old", kToday - 31 * kDay), ended("new", kToday - kDay)};
  auto plan = archive.look(kToday);
  EXPECT_EQ(plan.paused, "");
  ASSERT_EQ(plan.marked.size(), 1u);
  EXPECT_EQ(plan.marked[0].id, "old");
  EXPECT_TRUE(plan.deleted.empty());
  archive.sleep(Retention::kLaterRun - 1s);
  EXPECT_TRUE(archive.look(kToday).deleted.empty()) << "the same run";
  archive.start();
  plan = archive.look(kToday + 1);
  ASSERT_EQ(plan.deleted.size(), 1u);
  EXPECT_EQ(plan.deleted[0].id, "old");
  EXPECT_EQ(archive.recordings.size(), 1u);
}

TEST(Retention, deletes_in_the_same_process_after_a_day_of_monotonic_time) {
  Archive archive;
  archive.recordings = {ended("old", kToday - 31 * kDay), ended("new", kToday - kDay)};
  archive.look(kToday);
  EXPECT_TRUE(archive.look(kToday + 5 * kDay).deleted.empty()) << "the wall clock alone is no day";
  archive.sleep(Retention::kLaterRun);
  EXPECT_EQ(archive.look(kToday + 5 * kDay).deleted.size(), 1u);
}

TEST(Retention, deletes_a_tenth_in_a_run_the_oldest_first_and_one_at_least) {
  Archive archive;
  for (int i = 0; i < 40; ++i) archive.recordings.push_back(ended("old" + std::to_string(i), kToday - (50 + i) * kDay));
  archive.recordings.push_back(ended("new", kToday));
  archive.look(kToday);
  archive.start();
  const auto plan = archive.look(kToday);
  ASSERT_EQ(plan.deleted.size(), 4u);
  EXPECT_EQ(plan.deleted[0].id, "old39");
  archive.sleep(1h);
  EXPECT_TRUE(archive.look(kToday).deleted.empty()) << "the day has had its share";
  archive.sleep(Retention::kShareEvery);
  EXPECT_EQ(archive.look(kToday).deleted.size(), 3u);
  for (int i = 0; i < 100; ++i) archive.sleep(Retention::kShareEvery), archive.look(kToday);
  ASSERT_EQ(archive.recordings.size(), 1u);
  EXPECT_EQ(archive.recordings[0].id, "new");
}

TEST(Retention, deletes_one_share_a_day_of_uptime_however_often_the_server_starts) {
  Archive archive;
  for (int i = 0; i < 20; ++i) archive.recordings.push_back(ended("r" + std::to_string(i), kToday));
  const std::int64_t ahead = kToday + 80 * kDay;  // a wrong clock that nothing contradicts
  archive.look(ahead);
  for (int i = 0; i < 20; ++i) archive.start(), archive.look(ahead), archive.sleep(1h), archive.look(ahead);
  EXPECT_EQ(archive.recordings.size(), 18u) << "two at the first start of a later run, and 20 h of uptime since";
  for (int i = 0; i < 4; ++i) archive.sleep(1h), archive.look(ahead);
  EXPECT_EQ(archive.recordings.size(), 17u) << "a day of uptime, over all starts";
}

struct WrongClock {
  const char* what;
  std::int64_t wall;
};
constexpr WrongClock kWrongClocks[] = {
    {"1970", 0}, {"1971", 365 * kDay}, {"a year behind", kToday - 365 * kDay}, {"an hour behind", kToday - 3'600'000},
    {"ten years ahead", kToday + 3650 * kDay}, {"a hundred days ahead", kToday + 100 * kDay}, {"2106", 4'300'000'000'000},
};

TEST(Retention, deletes_and_marks_nothing_under_a_clock_that_disagrees_however_often_the_server_starts) {
  for (const auto& clock : kWrongClocks) {
    for (const bool known_before : {false, true}) {
      SCOPED_TRACE(clock.what);
      Archive archive;
      archive.recordings = {ended("old", kToday - 31 * kDay), ended("newer", kToday - 10 * kDay), ended("new", kToday)};
      if (known_before) archive.look(kToday);
      for (int i = 0; i < 20; ++i) {
        archive.start();
        const auto plan = archive.look(clock.wall);
        // The clock's step back is noticed once; the recordings' own times stay.
        EXPECT_NE(plan.paused, "") << i;
        EXPECT_TRUE(plan.deleted.empty());
        EXPECT_TRUE(plan.marked.empty());
      }
      EXPECT_EQ(archive.recordings.size(), 3u);
    }
  }
}

TEST(Retention, unmarks_what_only_a_clock_ahead_has_made_old) {
  Archive archive;
  archive.recordings = {ended("newer", kToday - 10 * kDay), ended("new", kToday)};
  ASSERT_EQ(archive.look(kToday + 60 * kDay).marked.size(), 2u) << "not implausible by itself";
  archive.start();
  auto plan = archive.look(kToday);
  EXPECT_NE(plan.paused, "");
  EXPECT_EQ(plan.unmarked.size(), 2u);
  archive.start();
  plan = archive.look(kToday);
  EXPECT_EQ(plan.paused, "") << "one run is lost, not the retention";
  EXPECT_TRUE(plan.marked.empty());
  EXPECT_EQ(archive.recordings.size(), 2u);
}

TEST(Retention, unmarks_a_recording_whose_files_turn_out_to_be_newer) {
  Archive archive;
  archive.recordings = {ended("old", kToday - 31 * kDay), ended("new", kToday)};
  archive.look(kToday);
  archive.recordings[0].newest_file_ms = kToday - kDay;
  archive.start();
  const auto plan = archive.look(kToday);
  EXPECT_EQ(plan.unmarked.size(), 1u);
  EXPECT_TRUE(plan.deleted.empty());
}

TEST(Retention, keeps_a_recording_of_the_future_and_waits_for_the_clock) {
  Archive archive;
  archive.recordings = {ended("old", kToday - 31 * kDay), ended("ahead", kToday + 3650 * kDay)};
  for (int i = 0; i < 5; ++i, archive.start()) EXPECT_NE(archive.look(kToday).paused.find("ahead"), std::string::npos) << "the message names it";
  EXPECT_EQ(archive.recordings.size(), 2u);
}

TEST(Retention, keeps_a_recording_made_under_the_clock_of_ten_years_ahead_together_with_all_others) {
  Archive archive;
  archive.recordings = {ended("new", kToday)};
  archive.look(kToday);
  archive.start();
  archive.recordings.push_back(ended("ahead", kToday + 3650 * kDay));
  for (int i = 0; i < 20; ++i, archive.start()) EXPECT_NE(archive.look(kToday + 3650 * kDay + 1).paused, "");
  EXPECT_EQ(archive.recordings.size(), 2u);
}

TEST(Retention, believes_a_clock_far_ahead_after_a_week_so_that_an_old_archive_is_deleted_in_the_end) {
  Archive archive;
  archive.recordings = {ended("old", kToday - 400 * kDay)};
  EXPECT_NE(archive.look(kToday).paused, "");
  archive.sleep(Retention::kCorroborated);
  EXPECT_EQ(archive.look(kToday).marked.size(), 1u);
  archive.start();
  EXPECT_EQ(archive.look(kToday + 1).deleted.size(), 1u);
}

TEST(Retention, a_new_installation_is_not_paused) {
  Archive archive;
  EXPECT_EQ(archive.look(kToday).paused, "");
  archive.start();
  archive.recordings.push_back(ended("new", kToday));
  EXPECT_EQ(archive.look(kToday + 1).paused, "");
}

TEST(Retention, the_first_reading_of_a_clock_without_recordings_is_no_witness) {
  Archive archive;
  archive.look(kToday + 3650 * kDay);
  archive.recordings = {ended("old", kToday - 31 * kDay), ended("new", kToday)};
  for (int i = 0; i < 5; ++i) {
    archive.start();
    EXPECT_TRUE(archive.look(kToday + 3650 * kDay + 1).deleted.empty());
  }
  EXPECT_EQ(archive.recordings.size(), 2u);
}

struct Doubt {
  const char* what;
  RetentionEvidence recording;
};
const Doubt kDoubts[] = {
    {"made in 1971", ended("r", 365 * kDay)},
    {"made in 2001", ended("r", 978'307'200'000)},
    {"its manifest alone says 1971", {"s", "r", 365 * kDay, 365 * kDay, kToday - 40 * kDay, kToday - 40 * kDay, kToday - 40 * kDay}},
    {"its journal says 1971", {"s", "r", kToday - 40 * kDay, kToday - 40 * kDay, 365 * kDay, kToday - 40 * kDay, kToday - 40 * kDay}},
    {"the journal has another day", {"s", "r", kToday - 40 * kDay, kToday - 40 * kDay, kToday - 50 * kDay, kToday - 40 * kDay, kToday - 40 * kDay}},
    {"a file of 1970", {"s", "r", kToday - 40 * kDay, kToday - 40 * kDay, kToday - 40 * kDay, kToday - 40 * kDay, 0}},
    {"files older than its beginning", {"s", "r", kToday - 40 * kDay, kToday - 40 * kDay, kToday - 40 * kDay, kToday - 60 * kDay, kToday - 60 * kDay}},
    {"stopped before it started", {"s", "r", kToday - 40 * kDay, kToday - 45 * kDay, kToday - 40 * kDay, kToday - 40 * kDay, kToday - 40 * kDay}},
};

TEST(Retention, keeps_a_recording_whose_own_times_do_not_agree_and_says_so_once) {
  for (const auto& row : kDoubts) {
    SCOPED_TRACE(row.what);
    Archive archive;
    archive.recordings = {row.recording, ended("new", kToday)};
    EXPECT_EQ(archive.look(kToday).doubted.size(), 1u);
    EXPECT_TRUE(archive.look(kToday).doubted.empty()) << "told once";
    for (int i = 0; i < 5; ++i) archive.start(), archive.look(kToday);
    EXPECT_EQ(archive.recordings.size(), 2u);
  }
}

TEST(Retention, remembers_its_marks_and_takes_damaged_text_for_none) {
  const RetentionState state{kToday, {{"s", "r", "run-1", kToday, {}}}};
  EXPECT_EQ(retention_state(text_of({kToday, {}, 5})).since_share_ms, 5);
  const auto again = retention_state(text_of(state));
  EXPECT_EQ(again.clock_ms, kToday);
  ASSERT_EQ(again.marks.size(), 1u);
  EXPECT_EQ(again.marks[0].id, "r");
  for (const char* text : {"", "{", "[]", "{}", R"({"clockMs":"1","marks":[]})", R"({"clockMs":1,"marks":[{}]})", R"({"clockMs":1,"marks":[1]})", R"({"clockMs":1,"marks":{}})"})
    EXPECT_TRUE(retention_state(text).marks.empty()) << text;
}

}  // namespace
}  // namespace amphi::server
