// For tests of a recording as evidence: one of four feeds on a disk in memory, its keys, and what verify finds.
#pragma once

#include <memory>
#include <string>

#include "recording/verify.h"
#include "recording_rig.h"

namespace amphi::recording::test {

using testing::EmulatedDisk;

inline constexpr Time kStart = Time(50s);
inline const RecordingInfo kInfo{RecordingId("rec_1"), SessionId("room"), "surgeon", WallTime{1'700'000'000'000}, 2s, RecordingId("rec_0")};

// Made with `openssl genpkey -algorithm ed25519`, for this test alone.
inline constexpr std::string_view kKey =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIBERERERERERERERERERERERERERERERERERERERERER\n-----END PRIVATE KEY-----\n";
inline constexpr std::string_view kOtherKey =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEICIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIi\n-----END PRIVATE KEY-----\n";

inline std::shared_ptr<const SigningKey> signing(std::string_view pem) { return std::make_shared<const SigningKey>(std::move(*SigningKey::from_pem(pem))); }

inline SeededRandom& test_random() {
  static SeededRandom random(9);
  return random;
}
inline AeadKey configured(unsigned fill) {
  AeadKey key;
  key.fill(static_cast<std::byte>(fill));
  return key;
}

inline Sealer sealer(Random& random = test_random()) { return Sealer::make(configured(1), kInfo.session, kInfo.id, random); }

/// Four feeds, a marker, a feed that leaves and comes again, and a gap.
inline EmulatedDisk recorded(Safekeeping safekeeping = {}, bool stopped = true) {
  EmulatedDisk disk;
  Recorder recorder(kInfo, kStart, std::move(safekeeping));
  const auto drain = [&](Time now) {
    testing::serve(recorder, disk, now, [](const Output&) {});
    return true;
  };
  Studio4 studio(recorder, kStart);
  studio.run_until(kStart + 2s, drain);
  recorder.add_marker("incision", "nurse", kStart + 2s);
  recorder.handle_overflow(FeedId("near"), 3, kStart + 2s);
  recorder.remove_feed(FeedId("mic"), kStart + 2500ms);
  studio.run_until(kStart + 3s, drain);
  recorder.add_feed(four_senders()[3].info(), kStart + 3s);
  studio.run_until(kStart + 4s, drain);
  if (!stopped) return disk;
  recorder.stop(kStart + 4s, WallTime{1'700'000'004'000});
  drain(kStart + 4s);
  return disk;
}

inline VerifyOptions with_key(unsigned fill) {
  VerifyOptions options;
  options.unwrap = [fill](const WrappedKey& key, const RecordingInfo& info) { return Sealer::unwrap(configured(fill), key, info.session, info.id, test_random()); };
  return options;
}

inline std::string all(const VerifyReport& report) {
  std::string text;
  for (const Finding& finding : report.findings)
    text += finding.file + (finding.bytes ? " " + std::to_string(finding.bytes->first) + "-" + std::to_string(finding.bytes->second) : "") + ": " + finding.what + "\n";
  return text;
}

inline void replace(EmulatedDisk& disk, const std::string& name, std::string_view text) {
  ASSERT_TRUE(disk.apply(ReplaceFile{name, to_bytes(as_bytes(text))}));
}

}  // namespace amphi::recording::test
