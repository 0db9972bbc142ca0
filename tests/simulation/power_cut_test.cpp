// The power goes, or the process is killed, at every single operation that a recording asks of its disk, and again while it is being
// repaired: what was recorded up to a second before is there, whole, playable, and the manifest tells the truth about it.
#include <cstdio>
#include <cstdlib>

#include "recording/verify.h"
#include "recording_rig.h"

namespace amphi::recording::test {
namespace {

using testing::EmulatedDisk;

constexpr Time kStart = Time(1000s);
constexpr Duration kLength = 6s;
const RecordingInfo kInfo{RecordingId("rec_1"), SessionId("room"), "surgeon", WallTime{1'700'000'000'000}, 0ns, RecordingId()};

const auto ignore = [](const Output&) {};

/// A recording of four feeds that is given `most` operations of the disk, and then no more.
struct Cut {
  EmulatedDisk disk;
  Time at = kStart;  // when it happened
  bool started = false, finished = false;

  explicit Cut(std::size_t most, Safekeeping safekeeping = {}) {
    Recorder recorder(kInfo, kStart, std::move(safekeeping));
    const auto drain = [&](Time now) {
      at = now;
      testing::serve(recorder, disk, now, [&](const Output& output) {
        started = started || std::holds_alternative<Started>(output);
        finished = finished || std::holds_alternative<Finished>(output);
      }, most);
      return disk.operations() < most;
    };
    Studio4 studio(recorder, kStart);
    if (!drain(kStart)) return;
    studio.run_until(kStart + kLength, drain);
    if (disk.operations() >= most) return;
    recorder.stop(kStart + kLength, WallTime{kInfo.started_at.unix_ms + to_ms(kLength)});
    drain(kStart + kLength);
  }
};

/// What a server does at its start; at most `most` operations of it.
void repair(EmulatedDisk& disk, std::size_t most = static_cast<std::size_t>(-1), Safekeeping safekeeping = {}) {
  auto found = testing::repair_case(disk);
  if (!found || !*found) return;
  Repair machine(std::move(**found), disk, WallTime{1'700'000'100'000}, std::move(safekeeping));
  const std::size_t before = disk.operations();
  testing::serve(machine, disk, Time(2000s), [](const Output& output) {
    const auto* end = std::get_if<Finished>(&output);
    EXPECT_FALSE(end != nullptr && end->error);
  }, most > static_cast<std::size_t>(-1) - before ? most : before + most);
}

/// A camera and a microphone for 20 s, a picture each 100 ms, until the process is killed; repaired. Numbers of pictures.
struct Ending {
  const char* name;
  int lost, last, key, away, back;  // never sent; the last that is; a keyframe besides the first; from where to where the feed is gone
  std::string reason;
  int packets, until_ms;

  nlohmann::json gaps() const {
    EmulatedDisk disk;
    Recorder recorder(kInfo, kStart);
    const Sender camera{"cam", vp8(), 100ms}, microphone{"mic", opus(), 20ms};
    Time now = kStart;
    const auto send = [&](const Sender& sender, int number, bool keyframe) {
      const auto timestamp = static_cast<rtp::WireTimestamp>(number * to_ms(sender.interval) * sender.codec.clock_rate / 1000);
      recorder.handle_packet(FeedId(sender.id), number, {true, 96, static_cast<rtp::WireSeq>(number), timestamp, 1}, sender.payload(static_cast<std::uint32_t>(number), keyframe), now);
    };
    recorder.add_feed(camera.info(), now);
    recorder.add_feed(microphone.info(), now);
    for (int tick = 0; tick < 1000; ++tick, now += 20ms) {
      for (Time timer = recorder.next_timeout(); timer <= now; timer = recorder.next_timeout()) {
        recorder.handle_timeout(timer);
        testing::serve(recorder, disk, timer, ignore);
      }
      const int picture = tick / 5;
      if (tick == away * 5) recorder.remove_feed(FeedId(camera.id), now);
      if (tick == back * 5) recorder.add_feed(camera.info(), now);
      if (tick % 5 == 0 && picture != lost && picture <= last && (picture < away || picture >= back)) send(camera, picture, picture == 0 || picture == key);
      send(microphone, tick, false);
      testing::serve(recorder, disk, now, ignore);
    }
    disk.kill();
    repair(disk);
    EXPECT_TRUE(verify(disk, {}).sound());
    const auto manifest = nlohmann::json::parse(as_text(disk.content("manifest.json")));
    for (const auto& track : manifest.at("tracks"))
      if (track.at("feedId") == camera.id) return track.at("gaps");
    return {};
  }
};

void expect_true(const EmulatedDisk& disk, const Cut& cut) {
  const Bytes text = disk.content("manifest.json");
  const auto parsed = parse_manifest(as_text(text));
  if (!parsed) {
    EXPECT_FALSE(cut.started) << "a recording that was on has a manifest";
    return;
  }
  EXPECT_TRUE(parsed->state == "repaired" || parsed->state == "complete") << parsed->state;
  EXPECT_TRUE(!cut.finished || parsed->state == "complete");
  const Studio4 times = [] { Recorder none(kInfo, kStart); return Studio4(none, kStart); }();
  const std::int64_t cut_ms = to_ms(cut.at - kStart);
  EXPECT_GE(parsed->duration_ms, cut_ms - 1000);
  EXPECT_LE(parsed->duration_ms, cut_ms + 40);
  std::set<std::string> recorded;
  for (const TrackSummary& track : parsed->tracks) {
    SCOPED_TRACE(track.path);
    recorded.insert(track.feed.value);
    const Bytes data = disk.content(track.path);
    const FileFacts facts = facts_of(track.path, data);
    EXPECT_EQ(facts.frames.size(), track.frames);
    for (std::size_t i = 0; i < facts.frames.size(); ++i) ASSERT_EQ(facts.frames[i], i) << "every frame, each once";
    EXPECT_GE(times.sent_at(track.feed.value, static_cast<std::uint32_t>(facts.frames.size())), cut.at - 1s) << "at most the last second is missing";
    EXPECT_EQ(facts.duration_ms, track.duration_ms);
    EXPECT_NEAR(static_cast<double>(facts.duration_ms + track.offset_ms), static_cast<double>(parsed->duration_ms), 45);
    EXPECT_GE(facts.cues, 1u);
    EXPECT_EQ(track.sha256, to_hex(sha256(data)));
  }
  EXPECT_TRUE(cut.at < kStart + 1s || recorded.size() == 4u);
  const VerifyReport report = verify(disk, {});
  for (const Finding& finding : report.findings) ADD_FAILURE() << finding.file << ": " << finding.what;
}

std::size_t all_operations() {
  static const std::size_t count = Cut(static_cast<std::size_t>(-1)).disk.operations();
  return count;
}

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

std::uint64_t first_seed() { return from_environment("AMPHI_SEED", 1); }
/// Of the first test, at each operation.
std::uint64_t seeds() { return from_environment("AMPHI_SEEDS", 3); }

}  // namespace

TEST(PowerCut, at_any_operation_costs_at_most_the_last_second) {
  int cuts = 0;
  for (std::size_t most = 0; most <= all_operations(); ++most) {
    const Cut cut(most);
    for (std::uint64_t seed = first_seed(); seed < first_seed() + seeds(); ++seed, ++cuts) {
      SCOPED_TRACE("cut after " + std::to_string(most) + " operations, AMPHI_SEED=" + std::to_string(seed));
      SeededRandom random(seed * 7919 + most);
      EmulatedDisk disk = cut.disk;
      disk.cut_power(random);
      repair(disk);
      expect_true(disk, cut);
      if (::testing::Test::HasFailure()) return;
    }
  }
  std::printf("%d power cuts at %zu operations\n", cuts, all_operations());
}

TEST(PowerCut, that_comes_again_while_it_is_repaired_costs_no_more) {
  SeededRandom random(first_seed());
  for (std::size_t most = 5; most <= all_operations(); most += 7) {
    const Cut cut(most);
    for (std::size_t step = 0; step < 40; ++step) {
      SCOPED_TRACE("cut after " + std::to_string(most) + " operations, and the repair after " + std::to_string(step) +
                   ", AMPHI_SEED=" + std::to_string(first_seed()));
      EmulatedDisk disk = cut.disk;
      disk.cut_power(random);
      for (int again = 0; again < 3; ++again) {
        repair(disk, step + static_cast<std::size_t>(again));
        disk.cut_power(random);
      }
      repair(disk);
      expect_true(disk, cut);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

TEST(Kill, at_any_operation_costs_at_most_the_last_second) {
  for (std::size_t most = 0; most <= all_operations(); ++most) {
    SCOPED_TRACE("killed after " + std::to_string(most) + " operations");
    Cut cut(most);
    cut.disk.kill();
    repair(cut.disk);
    expect_true(cut.disk, cut);
    SeededRandom random(first_seed() * 7919 + most);
    cut.disk.cut_power(random);  // what a repair has said to be complete stays so
    expect_true(cut.disk, cut);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(Repair, ends_a_track_where_its_feed_went_and_another_that_came_again_with_the_recording) {
  EmulatedDisk disk;
  Recorder recorder(kInfo, kStart);
  const auto drain = [&](Time now) {
    testing::serve(recorder, disk, now, ignore);
    return true;
  };
  Studio4 studio(recorder, kStart);
  studio.run_until(kStart + 1500ms, drain);
  recorder.remove_feed(FeedId("mic"), kStart + 1500ms);
  recorder.remove_feed(FeedId("near"), kStart + 1500ms);
  studio.run_until(kStart + 3s, drain);
  recorder.add_feed(four_senders()[2].info(), kStart + 3s);
  studio.run_until(kStart + 6s, drain);
  disk.kill();
  repair(disk);
  const auto parsed = parse_manifest(as_text(disk.content("manifest.json")));
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->tracks.size(), 4u) << "a feed that came again went on in its file";
  for (const TrackSummary& track : parsed->tracks) {
    const double expected = track.feed.value == "mic" ? 1500 : static_cast<double>(parsed->duration_ms);
    EXPECT_NEAR(static_cast<double>(track.duration_ms), expected, 45) << track.path;
  }
  const VerifyReport report = verify(disk, {});
  for (const Finding& finding : report.findings) ADD_FAILURE() << finding.file << ": " << finding.what;
}

TEST(Repair, knows_by_any_line_how_long_the_recording_lived) {
  EmulatedDisk disk;
  Recorder recorder(kInfo, kStart);
  const auto drain = [&](Time now) { testing::serve(recorder, disk, now, ignore); };
  drain(kStart);
  recorder.handle_timeout(kStart + 1s);
  recorder.add_marker("incision", "surgeon", kStart + 1900ms);  // so that nothing need be said for a second
  drain(kStart + 1900ms);
  recorder.handle_timeout(kStart + 2800ms);
  drain(kStart + 2800ms);
  disk.kill();
  repair(disk);
  EXPECT_EQ(parse_manifest(as_text(disk.content("manifest.json")))->duration_ms, 1900);
}

TEST(Repair, leaves_alone_what_is_complete) {
  Cut cut(static_cast<std::size_t>(-1));
  ASSERT_TRUE(cut.finished);
  cut.disk.kill();
  const std::size_t before = cut.disk.operations();
  repair(cut.disk);
  EXPECT_EQ(cut.disk.operations(), before);
  expect_true(cut.disk, cut);
}

TEST(Repair, drops_pieces_that_the_disk_had_promised_and_lost) {
  Cut cut(all_operations() - 40);
  cut.disk.kill();
  const auto journal = parse_journal(as_text(cut.disk.content("journal.jsonl")));
  ASSERT_TRUE(journal);
  const JournalTrack* open = nullptr;
  for (const JournalTrack& track : journal->tracks)
    if (!track.end && track.pieces.size() > 2) open = &track;
  ASSERT_NE(open, nullptr);
  const Piece& last = open->pieces.back();
  cut.disk.flip_bit(open->record.summary.path, last.extent.at + last.extent.size / 2, 3);
  repair(cut.disk);
  const auto manifest = nlohmann::json::parse(as_text(cut.disk.content("manifest.json")));
  EXPECT_EQ(manifest["state"], "repaired");
  EXPECT_NE(manifest["repaired"]["note"].get<std::string>().find(open->record.summary.path), std::string::npos);
  const FileFacts facts = facts_of(open->record.summary.path, cut.disk.content(open->record.summary.path));
  EXPECT_EQ(facts.frames.size() + last.frames, open->record.summary.frames);
}

TEST(PowerCut, what_was_missing_at_the_end_is_called_what_it_was) {
  constexpr int kNever = 1000;
  const Ending endings[] = {
      {"a packet is lost, and no keyframe comes though packets do", 50, kNever, kNever, kNever, kNever, "loss", 1, 20'000},
      {"a keyframe comes, too late to be durable", 50, kNever, 198, kNever, kNever, "loss", 1, 19'800},
      {"nothing is received any more", kNever, 49, kNever, kNever, kNever, "silent", 0, 20'000},
      {"the feed comes again, and no keyframe", kNever, kNever, kNever, 50, 150, "absent", 0, 20'000},
  };
  for (const Ending& ending : endings) {
    SCOPED_TRACE(ending.name);
    const auto gaps = ending.gaps();
    ASSERT_EQ(gaps.size(), 1u) << gaps;
    EXPECT_EQ(gaps[0]["reason"], ending.reason);
    EXPECT_EQ(gaps[0]["packets"], ending.packets);
    EXPECT_NEAR(gaps[0]["fromMs"].get<int>(), 4900, 1) << "the last picture";
    EXPECT_NEAR(gaps[0]["toMs"].get<int>(), ending.until_ms, ending.until_ms == 20'000 ? 1000 : 2);
  }
}

}  // namespace amphi::recording::test
