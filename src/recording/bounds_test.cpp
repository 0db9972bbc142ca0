// However many feeds come and go and however much is lost, a recording's manifest and its writer's work stay bounded, and nothing that is
// no longer listed is lost from the account.
#include <gtest/gtest.h>

#include <map>

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

TEST(Bounds, the_gaps_of_all_tracks_share_one_budget_and_a_new_track_finds_some_of_it_left) {
  Studio studio;
  lose(studio, 8, 8600);
  const Duration then = 20ms * 2 * 8600 + 500ms;
  studio.run_until(studio.at(then));
  studio.recorder.add_feed(feed("late", opus_codec()), studio.at(then));
  for (int n = 0; n <= 200; n += 2) studio.packet("late", n, static_cast<rtp::WireTimestamp>(n) * 960, true, kOpus, studio.at(then + 20ms * n));
  studio.stop(then + 4040ms);
  const auto tracks = manifest_of(studio)["tracks"];
  ASSERT_EQ(tracks.size(), 9u);
  std::size_t listed = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    const auto& track = tracks[i];
    listed += track["gaps"].size();
    EXPECT_EQ(track["lostPackets"], 8600);
    EXPECT_EQ(track["gaps"].size() + track.value("/unlistedGaps/gaps"_json_pointer, std::size_t{0}), 8601u) << "and a silence";
  }
  EXPECT_LT(listed, 67'000u);
  EXPECT_GT(listed, 60'000u);
  EXPECT_EQ(tracks[8]["gaps"].size(), 100u);
  EXPECT_FALSE(tracks[8].contains("unlistedGaps"));
}

TEST(Bounds, a_gap_is_one_line_of_the_manifest) {
  Studio studio;
  lose(studio, 1, 1000);
  studio.stop(40'020ms);
  EXPECT_EQ(manifest_of(studio)["tracks"][0]["gaps"].size(), 1000u);
  EXPECT_LT(studio.manifest().size(), 1000u * 80);
}

TEST(Bounds, feeds_beyond_the_most_are_not_recorded_and_counted) {
  Studio studio;
  for (int i = 0; i < 2500; ++i) {
    const std::string id = "fd_" + std::to_string(i);
    const Time now = studio.at(10ms * i);
    studio.recorder.add_feed(feed(id, opus_codec()), now);
    studio.packet(id, 1, 0, true, {}, now);
    studio.recorder.remove_feed(FeedId(id), now);
    studio.run_until(now);
  }
  studio.recorder.add_feed(feed("fd_7", opus_codec()), studio.at(26s));
  studio.packet("fd_7", 1, 0, true, kOpus, studio.at(26s));
  studio.stop(27s);
  expect_sound(studio.files);
  const auto manifest = manifest_of(studio);
  EXPECT_EQ(manifest["feedsWithoutMedia"].size(), 1999u);
  EXPECT_EQ(manifest["tracks"].size(), 1u) << "one that was there before still may";
  EXPECT_EQ(manifest["dropped"], (nlohmann::json{{"refused_feed", 500}, {"refused_feed_packet", 500}}));
  EXPECT_EQ(count(journal_of(studio), "\"event\":\"feed\""), 2000u);
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
