// An encrypted recording says as much as any other to whoever checks it, and shows its media only to the key.
#include <nlohmann/json.hpp>

#include "recording/track_reader.h"
#include "test_evidence.h"

namespace amphi::recording::test {

TEST(Encryption, shows_media_to_the_key_alone_and_can_be_verified_without_it) {
  const EmulatedDisk plain = recorded();
  const EmulatedDisk sealed = recorded({nullptr, sealer()});
  for (const std::string& name : plain.names()) {
    if (name == "manifest.json" || name == "journal.jsonl") continue;
    const Bytes clear = plain.content(name), hidden = sealed.content(name);
    ASSERT_EQ(clear.size(), hidden.size()) << "the same places";
    std::size_t same = 0;
    for (std::size_t i = 0; i < clear.size(); ++i) same += clear[i] == hidden[i];
    EXPECT_LT(same, clear.size() / 64) << name;
  }
  const VerifyReport blind = verify(sealed, {});
  EXPECT_TRUE(blind.sound()) << all(blind);
  EXPECT_FALSE(blind.tracks[0].looked_inside);
  const VerifyReport seeing = verify(sealed, with_key(1));
  EXPECT_TRUE(seeing.sound()) << all(seeing);
  EXPECT_GT(seeing.tracks[0].frames, 60u);
  EXPECT_FALSE(verify(sealed, with_key(2)).sound()) << "another key";
}

TEST(Encryption, has_a_key_that_is_bound_to_the_recording_and_its_session) {
  const Sealer made = sealer();
  const auto opens = [&](const WrappedKey& key, const char* session, const char* id) {
    return Sealer::unwrap(configured(1), key, SessionId(session), RecordingId(id), test_random()).has_value();
  };
  EXPECT_TRUE(opens(made.wrapped(), "room", "rec_1"));
  EXPECT_FALSE(opens(made.wrapped(), "other", "rec_1"));
  EXPECT_FALSE(opens(made.wrapped(), "room", "rec_2"));
  EXPECT_FALSE(opens(made.wrapped(), "room\nrec_1", ""));
  WrappedKey old = made.wrapped();
  old.version = 1;
  EXPECT_FALSE(opens(old, "room", "rec_1"));
  // A journal of before says no version.
  const EmulatedDisk disk = recorded({nullptr, made});
  std::string line(as_text(disk.content("journal.jsonl")).substr(0, as_text(disk.content("journal.jsonl")).find('\n')));
  auto json = nlohmann::ordered_json::parse(line);
  json["encryption"].erase("version");
  EXPECT_EQ(parse_journal(json.dump() + "\n")->key->version, 1u);
  EXPECT_EQ(parse_journal(line + "\n")->key->version, 2u);
}

TEST(Encryption, is_undone_for_any_range_of_a_file) {
  const std::uint64_t seed = 12;
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRandom random(seed);
  const EmulatedDisk plain = recorded();
  const Sealer used = sealer();
  EmulatedDisk sealed = recorded({nullptr, used});
  const auto journal = parse_journal(as_text(sealed.content("journal.jsonl")));
  ASSERT_TRUE(journal);
  for (const JournalTrack& track : journal->tracks) {
    const Bytes clear = plain.content(track.record.summary.path);
    const TrackReader reader(sealed, track, used);
    ASSERT_EQ(reader.size(), clear.size());
    for (int i = 0; i < 100; ++i) {
      const std::uint64_t at = random.below(clear.size() + 1), count = random.below(clear.size() - at + 1);
      const auto range = reader.read(at, count);
      ASSERT_TRUE(range) << at << " " << count;
      ASSERT_TRUE(std::equal(range->begin(), range->end(), clear.begin() + static_cast<std::ptrdiff_t>(at)));
    }
    EXPECT_FALSE(reader.read(clear.size(), 1));
    EXPECT_FALSE(reader.read(1, clear.size()));
    sealed.flip_bit(track.record.summary.path, clear.size() / 2, 0);
    EXPECT_FALSE(reader.read(0, clear.size())) << "changed bytes are not shown";
  }
}

TEST(Encryption, survives_a_cut_at_any_operation) {
  std::size_t operations = 0;
  for (std::size_t most = 3; most == 3 || operations == most - 3; most += 3) {
    EmulatedDisk disk;
    SeededRandom random(most);
    Recorder recorder(kInfo, kStart, {signing(kKey), sealer(random)});
    const auto drain = [&](Time now) {
      testing::serve(recorder, disk, now, [](const Output&) {}, most);
      return disk.operations() < most;
    };
    Studio4 studio(recorder, kStart);
    drain(kStart);
    studio.run_until(kStart + 2s, drain);
    if (disk.operations() < most) {
      recorder.stop(kStart + 2s, {});
      drain(kStart + 2s);
    }
    operations = disk.operations();
    disk.cut_power(random);
    const auto found = testing::repair_case(disk);
    ASSERT_TRUE(found);
    if (!*found) continue;
    Repair blind(**found, disk, {}, {});
    EXPECT_TRUE(blind.failure()) << "nothing is finished without the key";
    const bool ended = (*found)->journal.end.has_value();
    Repair repair(**found, disk, {}, {signing(kKey), Sealer::unwrap(configured(1), *(*found)->journal.key, kInfo.session, kInfo.id, random)});
    testing::serve(repair, disk, kStart + 9s, [](const Output&) {});
    VerifyOptions options = with_key(1);
    options.trusted = signing(kKey)->public_key();
    const VerifyReport report = verify(disk, options);
    ASSERT_TRUE(report.sound()) << "after " << most << " operations: " << all(report);
    EXPECT_EQ(report.signature, SignatureState::valid);
    EXPECT_EQ(report.state, "repaired") << (ended ? "it had ended, and nobody had signed that" : "it was cut off");
  }
  EXPECT_GT(operations, 80u);
}

}  // namespace amphi::recording::test
