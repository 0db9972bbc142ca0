// Whoever changes a bit of a recording is found out, and where: every file, the journal, the manifest; with a signature also who
// writes everything anew.
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "test_evidence.h"

namespace amphi::recording::test {

TEST(Evidence, a_recording_that_ends_at_a_fraction_of_a_millisecond_is_sound) {
  for (int i = 0; i < 400; ++i) {
    const Time end = kStart + 1s + i * std::chrono::nanoseconds(277'777);  // every fraction of the media's tick, halves among them
    EmulatedDisk disk;
    Recorder recorder(kInfo, kStart, {});
    const auto drain = [&](Time now) {
      testing::serve(recorder, disk, now, [](const Output&) {});
      return true;
    };
    Studio4(recorder, kStart).run_until(end, drain);
    recorder.stop(end, WallTime{1'700'000'001'000});
    drain(end);
    const VerifyReport report = verify(disk, {});
    ASSERT_TRUE(report.sound()) << i << ": " << all(report);
  }
}

TEST(Evidence, a_recording_of_packets_that_share_a_timestamp_is_sound) {
  EmulatedDisk disk;
  Recorder recorder(kInfo, kStart, {});
  const auto drain = [&](Time now) { testing::serve(recorder, disk, now, [](const Output&) {}); };
  const Sender mic{"mic", opus(), 20ms};
  recorder.add_feed(mic.info(), kStart);
  rtp::Seq seq = 0;
  for (std::uint32_t i = 0; i < 200; ++i) {
    const Time now = kStart + 20ms * i;
    for (Time due = recorder.next_timeout(); due <= now; due = recorder.next_timeout()) recorder.handle_timeout(due);
    if (i == 50) seq += 3;  // lost
    const std::uint32_t timestamp = i < 50 ? 0 : 960 * i;
    recorder.handle_packet(mic.info().id, seq, {false, 96, static_cast<rtp::WireSeq>(seq), timestamp, 1}, mic.payload(i), now);
    ++seq;
    drain(now);
  }
  recorder.stop(kStart + 4s, WallTime{1'700'000'004'000});
  drain(kStart + 4s);
  const VerifyReport report = verify(disk, {});
  EXPECT_TRUE(report.sound()) << all(report);
  ASSERT_EQ(report.tracks.size(), 1u);
  EXPECT_EQ(report.tracks[0].frames, 200u);
}

TEST(Evidence, a_recording_as_it_was_written_is_sound) {
  const EmulatedDisk disk = recorded();
  const VerifyReport report = verify(disk, {});
  EXPECT_TRUE(report.sound()) << all(report);
  EXPECT_EQ(report.state, "complete");
  EXPECT_EQ(report.duration_ms, 4000);
  ASSERT_EQ(report.tracks.size(), 4u);
  for (const VerifiedTrack& track : report.tracks) {
    EXPECT_GT(track.frames, 60u) << track.path;
    EXPECT_TRUE(track.looked_inside);
  }
  const auto manifest = nlohmann::json::parse(as_text(disk.content("manifest.json")));
  EXPECT_EQ(manifest["preRollMs"], 2000);
  EXPECT_EQ(manifest["continues"], "rec_0");
  EXPECT_EQ(manifest["markers"], (nlohmann::json{{{"atMs", 2000}, {"label", "incision"}, {"by", "nurse"}}}));
}

TEST(Evidence, every_changed_bit_is_found_and_the_range_that_is_named_holds_it) {
  const std::uint64_t seed = 4;
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRandom random(seed);
  const EmulatedDisk whole = recorded({signing(kKey), std::nullopt});
  for (const std::string& name : whole.names()) {
    for (int i = 0; i < 150; ++i) {
      EmulatedDisk disk = whole;
      const std::uint64_t byte = random.below(*disk.size(name));
      disk.flip_bit(name, byte, static_cast<unsigned>(random.below(8)));
      const VerifyReport report = verify(disk, {});
      SCOPED_TRACE(name + " byte " + std::to_string(byte) + "\n" + all(report));
      if (name == "manifest.json" && report.sound()) {  // white space, or what is told by nothing else
        const auto was = nlohmann::json::parse(as_text(whole.content(name)));
        const auto is = nlohmann::json::parse(as_text(disk.content(name)), nullptr, false);
        EXPECT_EQ(was, is);
        continue;
      }
      ASSERT_FALSE(report.sound());
      if (name == "manifest.json") continue;
      const auto here = [&](const Finding& f) { return f.file == name || (name == "journal.jsonl" && f.file == "manifest.json"); };
      EXPECT_TRUE(std::any_of(report.findings.begin(), report.findings.end(), here));
      if (name == "journal.jsonl") continue;
      ASSERT_TRUE(report.findings[0].bytes);
      EXPECT_LE(report.findings[0].bytes->first, byte);
      EXPECT_GT(report.findings[0].bytes->second, byte);
    }
  }
}

TEST(Evidence, what_is_added_cut_off_or_taken_away_is_named) {
  const EmulatedDisk whole = recorded();
  for (const std::string& name : whole.names()) {
    if (name == "manifest.json") continue;
    const Bytes data = whole.content(name);
    for (const int change : {-1, 0, 1}) {
      EmulatedDisk disk = whole;
      Bytes other = data;
      if (change < 0) other.resize(other.size() - 20);
      if (change > 0) other.resize(other.size() + 20);
      if (change == 0)
        ASSERT_TRUE(disk.apply(RemoveFile{name}));
      else
        replace(disk, name, as_text(other));
      const VerifyReport report = verify(disk, {});
      ASSERT_FALSE(report.sound()) << name << " " << change;
      EXPECT_EQ(report.findings[0].file, name) << all(report);
    }
  }
}

TEST(Evidence, what_is_added_to_the_manifest_or_the_folder_is_named) {
  const Safekeeping safekeepings[] = {{}, {signing(kKey), std::nullopt}, {nullptr, sealer()}};
  for (const Safekeeping& safekeeping : safekeepings) {
    const EmulatedDisk whole = recorded(safekeeping);
    const auto manifest = nlohmann::ordered_json::parse(as_text(whole.content("manifest.json")));
    const auto finds = [&](const char* what, const std::function<void(nlohmann::ordered_json&)>& change) {
      EmulatedDisk disk = whole;
      auto changed = manifest;
      change(changed);
      replace(disk, "manifest.json", changed.dump());
      const VerifyReport report = verify(disk, {});
      EXPECT_EQ(report.sound(), changed == manifest) << what << "\n" << all(report);
    };
    finds("as it was", [](auto&) {});
    finds("an error", [](auto& m) { m["error"] = {{"code", "storage"}, {"message", "the disk is full"}}; });
    finds("a repair", [](auto& m) { m["repaired"] = {{"at", "2026-01-01T00:00:00.000Z"}, {"times", 1}, {"note", ""}}; });
    finds("encryption", [](auto& m) { m["encrypted"] = !m.value("encrypted", false); });
    finds("what nobody knows", [](auto& m) { m["note"] = "x"; });
    finds("in a track", [](auto& m) { m["tracks"][1]["note"] = "x"; });
    finds("in the evidence", [](auto& m) { m["evidence"]["note"] = "x"; });
    finds("a hash blanked", [](auto& m) { m["tracks"][0]["sha256"] = ""; });
    finds("a hash taken away", [](auto& m) { m["tracks"][0].erase("sha256"); });
    finds("no longer continued", [](auto& m) { m.erase("continues"); });
    EmulatedDisk disk = whole;
    replace(disk, "video-09-fd_x.webm", "somebody else's");
    const VerifyReport report = verify(disk, {});
    ASSERT_EQ(report.findings.size(), 1u) << all(report);
    EXPECT_EQ(report.findings[0].file, "video-09-fd_x.webm");
  }
}

TEST(Evidence, what_a_manifest_says_of_its_repair_is_the_journals) {
  EmulatedDisk disk = recorded({signing(kKey), std::nullopt}, false);
  disk.kill();
  Repair repair(**testing::repair_case(disk), disk, {}, {signing(kKey), std::nullopt});
  testing::serve(repair, disk, kStart + 9s, [](const Output&) {});
  ASSERT_TRUE(verify(disk, {}).sound()) << all(verify(disk, {}));
  auto manifest = nlohmann::ordered_json::parse(as_text(disk.content("manifest.json")));
  manifest["repaired"]["note"] = "Nothing was lost.";
  replace(disk, "manifest.json", manifest.dump());
  const VerifyReport report = verify(disk, {});
  ASSERT_EQ(report.findings.size(), 1u) << all(report);
  EXPECT_NE(report.findings[0].what.find("note"), std::string::npos);
}

TEST(Evidence, of_a_recording_that_runs_or_was_cut_off_is_checked_as_far_as_it_goes) {
  const EmulatedDisk running = recorded({signing(kKey), sealer()}, false);
  EmulatedDisk torn = running;
  replace(torn, "journal.jsonl", std::string(as_text(running.content("journal.jsonl"))) + R"({"prev":"12)");
  for (const EmulatedDisk& disk : {running, torn}) {
    for (const VerifyOptions& options : {VerifyOptions{}, with_key(1)}) {
      const VerifyReport report = verify(disk, options);
      EXPECT_TRUE(report.findings.empty()) << all(report);
      EXPECT_FALSE(report.finished);
      EXPECT_FALSE(report.sound()) << "nobody has said yet how it ends";
      ASSERT_EQ(report.tracks.size(), 4u);
      for (const VerifiedTrack& track : report.tracks) EXPECT_TRUE(!track.finished && (track.frames > 60u || !track.looked_inside)) << track.path;
    }
  }
  const auto journal = parse_journal(as_text(running.content("journal.jsonl")));
  EmulatedDisk changed = running;
  const JournalTrack& track = journal->tracks[1];
  changed.flip_bit(track.record.summary.path, track.pieces[2].extent.at + 30, 1);
  const VerifyReport report = verify(changed, {});
  ASSERT_EQ(report.findings.size(), 1u) << all(report);
  EXPECT_EQ(report.findings[0].bytes->first, track.pieces[2].extent.at);
  // Its end cut off, the recording is not one that runs.
  EmulatedDisk cut = recorded();
  const std::string lines(as_text(cut.content("journal.jsonl")));
  replace(cut, "journal.jsonl", lines.substr(0, lines.rfind('\n', lines.size() - 2) + 1));
  EXPECT_FALSE(verify(cut, {}).findings.empty());
}

TEST(Evidence, a_line_of_the_journal_that_is_left_out_or_moved_breaks_the_chain) {
  const EmulatedDisk whole = recorded();
  const std::string text(as_text(whole.content("journal.jsonl")));
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end + 1 - at));
    at = end + 1;
  }
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    for (const bool swap : {false, true}) {
      auto changed = lines;
      if (swap)
        std::swap(changed[i], changed[i + 1]);
      else
        changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
      std::string joined;
      for (const std::string& line : changed) joined += line;
      EmulatedDisk disk = whole;
      replace(disk, "journal.jsonl", joined);
      EXPECT_FALSE(verify(disk, {}).sound()) << "line " << i;
    }
  }
}

/// The same recording by somebody who could write it all anew, and has moved the beginning of the first gap of `reason` by `ms`.
void move_gap(EmulatedDisk& disk, std::string_view reason, int ms) {
  std::istringstream journal{std::string(as_text(disk.content("journal.jsonl")))};
  std::string written, line;
  Sha256Digest head{};
  bool moved = false;
  while (std::getline(journal, line)) {
    auto json = nlohmann::ordered_json::parse(line);
    json["prev"] = to_hex(head);
    if (!moved && json["event"] == "gap" && json["reason"] == reason) json["fromMs"] = json["fromMs"].get<int>() + ms, moved = true;
    line = json.dump();
    head = sha256(as_bytes(line));
    written += line + "\n";
  }
  EXPECT_TRUE(moved);
  auto manifest = nlohmann::ordered_json::parse(as_text(disk.content("manifest.json")));
  manifest["evidence"]["head"] = to_hex(head);
  for (auto& track : manifest["tracks"])
    for (auto& gap : track["gaps"])
      if (moved && gap["reason"] == reason) gap["fromMs"] = gap["fromMs"].get<int>() + ms, moved = false;
  replace(disk, "journal.jsonl", written);
  replace(disk, "manifest.json", manifest.dump());
}

TEST(Evidence, a_gap_in_which_there_are_frames_is_found) {
  EmulatedDisk same = recorded(), moved = recorded();
  move_gap(same, "absent", 0);
  EXPECT_TRUE(verify(same, {}).sound()) << all(verify(same, {}));
  move_gap(moved, "absent", -60);
  const VerifyReport report = verify(moved, {});
  ASSERT_EQ(report.findings.size(), 1u) << all(report);
  EXPECT_NE(report.findings[0].what.find("lies in a gap"), std::string::npos) << all(report);
}

TEST(Evidence, only_the_key_can_sign) {
  VerifyOptions trusting;
  trusting.trusted = signing(kKey)->public_key();
  const auto by = [&](std::string_view key) { return verify(recorded({signing(key), std::nullopt}), trusting); };
  EXPECT_TRUE(by(kKey).sound()) << all(by(kKey));
  EXPECT_EQ(by(kKey).signature, SignatureState::valid);
  EXPECT_FALSE(by(kOtherKey).sound()) << "all was written anew, by somebody else";
  EXPECT_FALSE(verify(recorded(), trusting).sound()) << "not signed";
  EXPECT_EQ(verify(recorded({signing(kKey), std::nullopt}), {}).signature, SignatureState::valid_by_unknown_key);
}

}  // namespace amphi::recording::test
