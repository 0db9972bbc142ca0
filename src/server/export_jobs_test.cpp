// What is told of an export while it is made and cancelled, against what it does: its program is a script.
#include "server/export_jobs.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <filesystem>
#include <fstream>

namespace amphi::server {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class ExportJobsTest : public ::testing::Test {
 protected:
  ExportJobsTest() { fs::create_directories(folder_); }
  ~ExportJobsTest() override { fs::remove_all(folder_); }

  /// `text` in the shell, with $D the test's folder.
  ExportJobs& with_program(const std::string& text) {
    std::ofstream(folder_ / "program") << "#!/bin/sh\nD=" << folder_.string() << "\n" << text << "\n";
    fs::permissions(folder_ / "program", fs::perms::owner_all);
    return jobs_.emplace(control_, random_, (folder_ / "program").string(), "", 512);
  }
  static ExportRequest request() { return {"theatre", "rec_1", "/nowhere", false, 0, {}, "Ana"}; }
  bool wait(const std::function<bool()>& done) {
    for (int i = 0; i < 1000 && !done(); ++i) control_.run_for(10ms);
    return done();
  }
  bool has(const std::string& name) const { return fs::exists(folder_ / name); }

  const fs::path folder_ = fs::temp_directory_path() / ("amphi-jobs-" + std::to_string(getpid()));
  boost::asio::io_context control_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{control_.get_executor()};
  SeededRandom random_{1};
  std::optional<ExportJobs> jobs_;
};

constexpr const char* kUntilTold = "trap 'told=1' TERM; : > $D/begun; while [ -z \"$told\" ]; do sleep 0.01; done\n";

TEST_F(ExportJobsTest, a_cancelled_one_is_cancelling_until_its_process_has_ended) {
  ExportJobs& jobs = with_program(std::string(kUntilTold) + ": > $D/heard; while [ ! -e $D/may_end ]; do sleep 0.01; done; : > $D/ended; exit 130");
  const std::string id = jobs.add(request(), 0)->id, next = jobs.add(request(), 0)->id;
  ASSERT_TRUE(wait([&] { return has("begun") && jobs.find(id)->state == "running"; }));
  EXPECT_TRUE(jobs.cancel(id));
  EXPECT_TRUE(jobs.cancel(next));
  EXPECT_EQ(jobs.find(next)->state, "cancelled") << "it has not begun";
  ASSERT_TRUE(wait([&] { return has("heard"); }));
  EXPECT_EQ(jobs.find(id)->state, "cancelling");
  EXPECT_TRUE(jobs.cancel(id)) << "once more";
  std::ofstream(folder_ / "may_end") << "";
  ASSERT_TRUE(wait([&] { return jobs.find(id)->state == "cancelled"; }));
  EXPECT_TRUE(has("ended"));
  EXPECT_FALSE(jobs.cancel(id)) << "it is over";
}

TEST_F(ExportJobsTest, one_that_is_deaf_ends_all_the_same) {
  ExportJobs& jobs = with_program("trap '' TERM; : > $D/begun; while :; do sleep 0.01; done");
  const std::string id = jobs.add(request(), 0)->id;
  ASSERT_TRUE(wait([&] { return has("begun"); }));
  EXPECT_TRUE(jobs.cancel(id));
  EXPECT_TRUE(wait([&] { return jobs.find(id)->state == "cancelled"; }));
}

TEST_F(ExportJobsTest, nothing_is_left_of_a_cancelled_one_that_was_made_all_the_same) {
  ExportJobs& jobs = with_program(std::string(kUntilTold) + ": > $D/made; echo \"{\\\"output\\\": \\\"$D/made\\\", \\\"wasThere\\\": false}\"");
  const std::string id = jobs.add(request(), 0)->id;
  ASSERT_TRUE(wait([&] { return has("begun"); }));
  EXPECT_TRUE(jobs.cancel(id));
  ASSERT_TRUE(wait([&] { return jobs.find(id)->state == "cancelled"; }));
  EXPECT_FALSE(has("made"));
}

TEST_F(ExportJobsTest, what_another_one_had_made_stays_when_the_same_is_cancelled) {
  ExportJobs& jobs = with_program(std::string(kUntilTold) + "echo \"{\\\"output\\\": \\\"$D/made\\\", \\\"wasThere\\\": true}\"");
  std::ofstream(folder_ / "made") << "before";
  const std::string id = jobs.add(request(), 0)->id;
  ASSERT_TRUE(wait([&] { return has("begun"); }));
  EXPECT_TRUE(jobs.cancel(id));
  ASSERT_TRUE(wait([&] { return jobs.find(id)->state == "cancelled"; }));
  EXPECT_TRUE(has("made"));
}

TEST_F(ExportJobsTest, one_that_is_made_cannot_be_cancelled_and_says_where_it_lies) {
  ExportJobs& jobs = with_program("echo '{\"progress\": 0.5}'; echo '{\"output\": \"/there\", \"fromMs\": 5, \"durationMs\": 7}'");
  const std::string id = jobs.add(request(), 0)->id;
  ASSERT_TRUE(wait([&] { return jobs.find(id)->state == "done"; }));
  EXPECT_FALSE(jobs.cancel(id));
  EXPECT_EQ(jobs.find(id)->output, "/there");
  EXPECT_EQ(jobs.find(id)->duration_ms, 7);
  jobs.forget("theatre", "rec_2");
  EXPECT_NE(jobs.find(id), nullptr);
  jobs.forget("theatre", "rec_1");
  EXPECT_EQ(jobs.find(id), nullptr);
}

TEST_F(ExportJobsTest, one_that_fails_says_why_and_shows_nothing_of_the_server) {
  ExportJobs& jobs = with_program("echo '{\"error\": \"storage\"}'; echo \"$D/secret: no space. Run with --help\" >&2; exit 1");
  const std::string id = jobs.add(request(), 0)->id;
  ASSERT_TRUE(wait([&] { return jobs.find(id)->state == "failed"; }));
  EXPECT_EQ(jobs.find(id)->error, (Error{ErrorCode::storage, "The recordings' disk has no room for it, or fails."}));
  with_program("echo \"$D/secret\" >&2; exit 1");
  const std::string other = jobs_->add(request(), 0)->id;
  ASSERT_TRUE(wait([&] { return jobs_->find(other)->state == "failed"; }));
  EXPECT_EQ(jobs_->find(other)->error, (Error{ErrorCode::internal, "It failed. The server's log says why."}));
}

TEST_F(ExportJobsTest, a_session_has_so_many_and_no_more_and_each_leaves_the_reserve) {
  ExportJobs& jobs = with_program("echo \"$@\" >> $D/told; while [ ! -e $D/may_end ]; do sleep 0.01; done; echo '{\"output\": \"/there\"}'");
  EXPECT_EQ(jobs.add(request(), 32).error().code, ErrorCode::limit_exceeded);
  const std::string id = jobs.add(request(), 30)->id, next = jobs.add(request(), 30)->id;
  const auto refused = jobs.add(request(), 30);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("DELETE"), std::string::npos) << "what to do: " << refused.error().message;
  ExportRequest elsewhere = request();
  elsewhere.session = "ward";
  EXPECT_TRUE(jobs.add(elsewhere, 30));
  std::ofstream(folder_ / "may_end") << "";
  ASSERT_TRUE(wait([&] { return jobs.find(next)->state == "done"; }));
  std::string told;
  std::getline(std::ifstream(folder_ / "told"), told);
  EXPECT_NE(told.find("--recording-reserve-mb 512"), std::string::npos) << told;
  jobs.forget_file("/there");
  EXPECT_EQ(jobs.find(id), nullptr);
  EXPECT_EQ(jobs.find(next), nullptr) << "it was the same file";
}

TEST_F(ExportJobsTest, an_identity_that_asks_for_exports_without_end_leaves_places_for_others) {
  ExportJobs& jobs = with_program("while [ ! -e $D/may_end ]; do sleep 0.01; done; echo '{\"output\": \"/there\"}'");
  ExportRequest other = request();
  other.by = "Ben";
  std::size_t taken = 0;
  Result<ExportStatus> refused = jobs.add(request(), 0);
  for (; refused; refused = jobs.add(request(), 0)) ++taken;
  EXPECT_EQ(taken, 16u) << "as many as are free for others";
  EXPECT_EQ(refused.error().code, ErrorCode::limit_exceeded);
  for (std::size_t i = 0; i < ExportJobs::kAlways; ++i) EXPECT_TRUE(jobs.add(other, 0)) << i;
  // In the server: one identity of many sessions, each of which is another's.
  std::size_t elsewhere = 0;
  ExportRequest session = request();
  for (int i = 0; i < 100; ++i) {
    session.session = "session-" + std::to_string(i / 20);
    elsewhere += jobs.add(session, 0).has_value();
  }
  EXPECT_LT(elsewhere, 80u);
  other.session = "ward";
  EXPECT_TRUE(jobs.add(other, 0)) << "and one more finds a place";
  std::ofstream(folder_ / "may_end") << "";
}

TEST_F(ExportJobsTest, the_identities_take_turns) {
  ExportJobs& jobs = with_program("echo \"$2\" >> $D/turns; echo '{\"output\": \"/there\"}'");
  std::vector<std::string> ids;
  ExportRequest other = request();
  other.by = "Ben";
  other.folder = "/bens";
  for (int i = 0; i < 5; ++i) ids.push_back(jobs.add(request(), 0)->id);
  const std::string late = jobs.add(other, 0)->id;
  ASSERT_TRUE(wait([&] { return jobs.find(late)->state == "done" && jobs.find(ids.back())->state == "done"; }));
  std::ifstream file(folder_ / "turns");
  std::vector<std::string> turns;
  for (std::string line; std::getline(file, line);) turns.push_back(line);
  ASSERT_EQ(turns.size(), 6u);
  EXPECT_EQ(turns[1], "/bens") << "right behind the one that ran already";
}

}  // namespace
}  // namespace amphi::server
