// However many feeds come and go and however much is lost, a recording's manifest and its writer's work stay bounded, and nothing that is
// no longer listed is lost from the account.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/folder.h"
#include "recording/repair.h"
#include "recording/test_camera.h"
#include "recording/verify.h"

using namespace nlohmann::literals;

namespace amphi::recording::test {
namespace {

/// Voices of which every other packet is lost.
void lose(Studio& studio, int voices, int losses) {
  for (int v = 0; v < voices; ++v) studio.recorder.add_feed(feed("mic" + std::to_string(v), opus_codec()), studio.at(0ms));
  for (int n = 0; n <= 2 * losses; n += 2)
    for (int v = 0; v < voices; ++v) studio.packet("mic" + std::to_string(v), n, static_cast<rtp::WireTimestamp>(n) * 960, true, kOpus, studio.at(20ms * n));
}

std::string journal_of(const Studio& studio) { return std::string(as_text(studio.file("journal.jsonl")->data)); }
std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}
std::size_t journal_syncs(const Studio& studio) { return studio.file("journal.jsonl")->synced.size(); }

/// A recording's folder, as a repair and `verify` find it.
class Files : public FolderReader {
 public:
  explicit Files(const MemoryFiles& files) {
    for (const auto& [number, file] : files.files) content_[file.name] = file.data;
    for (const auto& [name, text] : files.replaced) content_[name] = to_bytes(as_bytes(text));
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, data] : content_) names.push_back(name);
    return names;
  }
  std::optional<std::uint64_t> size(const std::string& name) const override {
    return content_.contains(name) ? std::optional<std::uint64_t>(content_.at(name).size()) : std::nullopt;
  }
  Result<Bytes> read(const std::string& name, std::uint64_t at, std::uint64_t count) const override {
    if (!content_.contains(name)) return fail(ErrorCode::not_found, name);
    return to_bytes(ByteView(content_.at(name)).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(count)));
  }

 private:
  std::map<std::string, Bytes> content_;
};

void expect_sound(const MemoryFiles& files) {
  for (const Finding& finding : verify(Files(files), {}).findings) ADD_FAILURE() << finding.file << ": " << finding.what;
}

/// Its power is cut, and a repair completes what was synced.
nlohmann::json repaired(const Studio& studio) {
  MemoryFiles files = studio.files;
  for (auto& [number, file] : files.files) file.data.resize(file.synced.empty() ? 0 : file.synced.back()), file.open = false;
  auto journal = parse_journal(as_text(files.at(kJournalFile).data));
  EXPECT_TRUE(journal);
  Repair repair({std::move(*journal)}, Files(files), WallTime{1'700'000'100'000}, {}, Hashes::few);
  while (auto output = repair.poll_output()) {
    const auto* op = std::get_if<FileOp>(&*output);
    if (op == nullptr) continue;
    std::visit([&](const auto& each) { files.apply(each); }, *op);
    if (const auto* hash = std::get_if<HashFile>(op)) repair.handle_hash(hash->file, sha256(files.at(hash->file).data), {});
    if (std::holds_alternative<ReplaceFile>(*op)) repair.handle_replaced({});
  }
  expect_sound(files);
  return nlohmann::json::parse(files.replaced["manifest.json"]);
}

}  // namespace

TEST(Bounds, gaps_beyond_a_tracks_most_are_counted_whether_it_is_stopped_or_cut_off) {
  constexpr int kLosses = 10'060;
  Studio studio;
  lose(studio, 1, kLosses);
  studio.run_until(studio.at(20ms * (2 * kLosses) + 1500ms));  // no gap is open, and a second has passed
  const auto cut = repaired(studio)["tracks"][0];
  studio.stop(20ms * (2 * kLosses) + 1500ms);
  expect_sound(studio.files);
  const auto track = manifest_of(studio)["tracks"][0];
  for (const auto& each : {track, cut}) {
    SCOPED_TRACE(each == cut ? "cut off" : "stopped");
    EXPECT_EQ(each["lostPackets"], kLosses);
    const auto silent = each["gaps"].back()["reason"] == "silent" ? 1u : 0u;
    EXPECT_EQ(each["gaps"].size(), 10'000u + silent);
    EXPECT_EQ(each.value("unlistedGaps", nlohmann::json()), (nlohmann::json{{"gaps", 60}, {"packets", 60}, {"missingMs", 1200}, {"fromMs", 400'020}, {"toMs", 402'400}}));
  }
  EXPECT_EQ(track["dropped"].value("unlisted_gap", 0), 60);
  EXPECT_LE(count(journal_of(studio), "\"event\":\"unlisted\""), 5u) << "told once a second";
}

TEST(Bounds, a_participant_that_loses_much_leaves_gaps_to_list_for_its_further_tracks_and_for_everybody_else) {
  Studio studio;
  lose(studio, 8, 8600);
  const Duration then = 20ms * 2 * 8600 + 500ms;
  studio.run_until(studio.at(then));
  studio.recorder.add_feed(feed("late", opus_codec()), studio.at(then));
  studio.recorder.add_feed(feed("other", opus_codec(), "p2"), studio.at(then));
  constexpr int kOther = 6000;
  for (int n = 0; n <= 2 * kOther; n += 2) {
    if (n <= 200) studio.packet("late", n, static_cast<rtp::WireTimestamp>(n) * 960, true, kOpus, studio.at(then + 20ms * n));
    studio.packet("other", n, static_cast<rtp::WireTimestamp>(n) * 960, true, kOpus, studio.at(then + 20ms * n));
  }
  studio.stop(then + 20ms * 2 * kOther + 40ms);
  expect_sound(studio.files);
  const auto tracks = manifest_of(studio)["tracks"];
  ASSERT_EQ(tracks.size(), 10u);
  std::size_t listed = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    const auto& track = tracks[i];
    listed += track["gaps"].size();
    EXPECT_EQ(track["lostPackets"], 8600);
    EXPECT_EQ(track["gaps"].size() + track.value("/unlistedGaps/gaps"_json_pointer, std::size_t{0}), 8601u) << "and a silence";
  }
  EXPECT_LT(listed, 33'400u) << "a half of what is free";
  EXPECT_GT(listed, 25'000u);
  EXPECT_GE(tracks[8]["gaps"].size(), 100u);
  EXPECT_EQ(tracks[9]["gaps"].size(), static_cast<std::size_t>(kOther)) << "another participant";
  EXPECT_FALSE(tracks[9].contains("unlistedGaps"));
  const auto tells = [&](const auto& report) { return !report.second.limits.empty(); };
  const auto told = std::find_if(studio.reports.begin(), studio.reports.end(), tells);
  ASSERT_NE(told, studio.reports.end());
  EXPECT_EQ(told->second.limits.front().participant, ParticipantId("p1"));
}

TEST(Bounds, a_gap_is_one_line_of_the_manifest) {
  Studio studio;
  lose(studio, 1, 1000);
  studio.stop(40'020ms);
  EXPECT_EQ(manifest_of(studio)["tracks"][0]["gaps"].size(), 1000u);
  EXPECT_LT(studio.manifest().size(), 1000u * 80);
}

TEST(Bounds, feeds_without_media_take_no_place_from_feeds_that_come_later) {
  Studio studio;
  for (int i = 0; i < 5000; ++i) {
    const std::string id = "fd_" + std::to_string(i);
    const Time now = studio.at(1ms * i);
    studio.run_until(now);
    studio.recorder.add_feed(feed(id, opus_codec(), "guest"), now);
    studio.packet(id, 1, 0, true, {}, now);
    if (i % 16 == 15)
      for (int j = i - 15; j <= i; ++j) studio.recorder.remove_feed(FeedId("fd_" + std::to_string(j)), now);
  }
  studio.recorder.add_feed(feed("guests", opus_codec(), "guest"), studio.at(6s));
  studio.packet("guests", 1, 0, true, kOpus, studio.at(6s));
  studio.recorder.add_feed(feed("endoscope", opus_codec(), "surgeon"), studio.at(6s));
  studio.packet("endoscope", 1, 0, true, kOpus, studio.at(6s));
  studio.recorder.add_feed(feed("muted", opus_codec(), "surgeon"), studio.at(6s));
  studio.stop(7s);
  expect_sound(studio.files);
  const auto manifest = manifest_of(studio);
  ASSERT_EQ(manifest["tracks"].size(), 2u);
  EXPECT_EQ(std::set<std::string>({manifest["tracks"][0]["feedId"], manifest["tracks"][1]["feedId"]}), (std::set<std::string>{"endoscope", "guests"}));
  EXPECT_LT(manifest["feedsWithoutMedia"].size(), 250u) << "the share of one identity";
  EXPECT_EQ(manifest["feedsWithoutMedia"].back()["feedId"], "muted") << "another identity";
  EXPECT_EQ(manifest["dropped"]["unlisted_feed"].get<std::size_t>() + manifest["feedsWithoutMedia"].size(), 5002u);
  EXPECT_LT(count(journal_of(studio), "\"event\":\"feed\""), 250u);
}

TEST(Bounds, a_participant_that_opens_tracks_without_end_leaves_places_for_others_and_everybody_is_told) {
  Studio studio;
  for (int i = 0; i < 400; ++i) {
    const std::string id = "fd_" + std::to_string(i);
    studio.recorder.add_feed(feed(id, opus_codec(), "guest"), studio.at(1ms * i));
    for (int n = 0; n < 3; ++n) studio.packet(id, n, static_cast<rtp::WireTimestamp>(n) * 960, true, kOpus, studio.at(1ms * i));
    if (i >= 16) studio.recorder.remove_feed(FeedId("fd_" + std::to_string(i - 16)), studio.at(1ms * i));
  }
  studio.recorder.add_feed(feed("endoscope", opus_codec(), "surgeon"), studio.at(1s));
  for (int n = 0; n < 200; ++n) {
    studio.packet("endoscope", n, static_cast<rtp::WireTimestamp>(n) * 960, true, kOpus, studio.at(1s + 20ms * n));
    studio.packet("fd_399", 3 + n, static_cast<rtp::WireTimestamp>(3 + n) * 960, true, kOpus, studio.at(1s + 20ms * n));
  }
  studio.stop(5s);
  expect_sound(studio.files);
  const auto manifest = manifest_of(studio);
  std::size_t guests = 0, others = 0;
  for (const auto& track : manifest["tracks"]) ++(track["participantId"] == "guest" ? guests : others);
  EXPECT_EQ(others, 1u);
  EXPECT_GT(guests, 200u);
  EXPECT_LT(guests, 250u) << "an eighth of what is free";
  EXPECT_EQ(manifest["dropped"]["refused_feed"].get<std::size_t>(), 400u - guests);
  const auto& last = studio.reports.back().second.feeds;
  const auto status = std::find_if(last.begin(), last.end(), [](const FeedStatus& each) { return each.feed == FeedId("fd_399"); });
  ASSERT_NE(status, last.end());
  EXPECT_EQ(status->reason, FeedReason::limit_exceeded);
}

TEST(Bounds, a_participant_whose_cameras_come_and_go_completes_no_file_that_waits_for_somebody_elses_return) {
  Studio studio;
  const auto once = [&](const std::string& id, const std::string& participant, Duration at) {
    studio.run_until(studio.at(at));
    studio.recorder.add_feed(feed(id, opus_codec(), participant), studio.at(at));
    studio.packet(id, 1, 0, true, kOpus, studio.at(at));
    studio.recorder.remove_feed(FeedId(id), studio.at(at));
  };
  once("surgeons", "surgeon", 0ms);
  for (int i = 0; i < 100; ++i) once("fd_" + std::to_string(i), "guest", 10ms * i);
  once("surgeons", "surgeon", 2s);
  studio.stop(3s);
  std::size_t files = 0;
  const auto manifest = manifest_of(studio);
  for (const auto& track : manifest["tracks"]) files += track["feedId"] == "surgeons" ? 1u : 0u;
  EXPECT_EQ(files, 1u) << "its file goes on";
}

TEST(Bounds, a_feed_without_media_that_comes_again_takes_its_old_place) {
  Studio studio;
  for (int i = 0; i < 5000; ++i) {
    const std::string id = "fd_" + std::to_string(i % 64);  // more than are kept open
    studio.recorder.add_feed(feed(id, opus_codec()), studio.at(10ms * i));
    studio.recorder.remove_feed(FeedId(id), studio.at(10ms * i));
    studio.run_until(studio.at(10ms * i));
  }
  studio.recorder.add_feed(feed("fd_0", vp8_codec()), studio.at(50s));
  Camera{studio, "fd_0"}.send(50s, 51s);
  studio.stop(51s);
  expect_sound(studio.files);
  const auto manifest = manifest_of(studio);
  EXPECT_EQ(manifest["feedsWithoutMedia"].size(), 63u);
  ASSERT_EQ(manifest["tracks"].size(), 1u);
  EXPECT_EQ(manifest["tracks"][0]["codec"], "VP8");
  EXPECT_EQ(manifest["dropped"], nlohmann::json::object());
  EXPECT_EQ(count(journal_of(studio), "\"event\":\"feed\""), 65u);
}

TEST(Bounds, what_comes_and_goes_together_is_synced_together_and_soon) {
  Studio studio;
  for (int i = 0; i < 16; ++i) studio.recorder.add_feed(feed("fd_" + std::to_string(i), opus_codec()), studio.at(100ms));
  const std::size_t before = journal_syncs(studio);
  studio.drain(studio.at(100ms));
  studio.run_until(studio.at(300ms));
  EXPECT_EQ(journal_syncs(studio), before + 1);
  EXPECT_EQ(studio.file("journal.jsonl")->synced.back(), studio.file("journal.jsonl")->data.size());
}

TEST(Bounds, twenty_thousand_feeds_a_minute_cost_few_syncs) {
  Studio studio;
  for (int i = 0; i < 20'000; ++i) {
    const Time now = studio.at(std::chrono::microseconds(1250) * i);
    const std::string id = "fd_" + std::to_string(i);
    studio.run_until(now);
    studio.recorder.add_feed(feed(id, opus_codec()), now);
    studio.drain(now);
    studio.recorder.remove_feed(FeedId(id), now);
    studio.drain(now);
  }
  studio.stop(26s);
  EXPECT_LT(journal_syncs(studio), 200u);
}

}  // namespace amphi::recording::test
