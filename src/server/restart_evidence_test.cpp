// What a server makes of recordings that it finds at its start, when somebody wrote to the disk meanwhile or the signing key is another:
// it never signs what it did not see as if it had, and no signature that fits is lost.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "recording/verify.h"
#include "runtime/clock.h"
#include "runtime/folder.h"
#include "server/recording_repair.h"
#include "server/test_recorded_folder.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using recording::SignatureState;

// Made with `openssl genpkey -algorithm ed25519`, for tests alone.
constexpr std::string_view kKey =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIBERERERERERERERERERERERERERERERERERERERERER\n-----END PRIVATE KEY-----\n";
constexpr std::string_view kOtherKey =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEICIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIi\n-----END PRIVATE KEY-----\n";

std::shared_ptr<const SigningKey> key_of(std::string_view pem) { return std::make_shared<const SigningKey>(std::move(*SigningKey::from_pem(pem))); }

class RestartEvidenceTest : public ::testing::Test {
 protected:
  RestartEvidenceTest() {
    std::string pattern = (fs::temp_directory_path() / "amphi-evidence-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~RestartEvidenceTest() override { fs::remove_all(root_); }

  /// Signed, unless `pem` is empty.
  void record(std::string_view pem = kKey) {
    recording::RecordingInfo info{RecordingId("rec_1"), SessionId("theatre"), "surgeon", WallTime{1'700'000'000'000}};
    folder_ = record_sound(root_, std::move(info), {pem.empty() ? nullptr : key_of(pem), std::nullopt});
    ASSERT_EQ(manifest().at("state"), "complete");
  }

  /// A server's start with this signing key (empty: none), and the hashes that it makes later. False: those failed.
  bool restart(std::string_view pem) {
    const std::string file = root_ + "/signing.pem";
    std::ofstream(file) << pem;
    const Safe safe = std::move(*Safe::open(pem.empty() ? "" : file, ""));
    bool hashed = true;
    for (const std::string& folder : repair_recordings(root_, safe).incomplete)
      hashed = repair_recording(folder, safe, {recording::Hashes::all, {}, {}}).has_value() && hashed;
    return hashed;
  }

  Json manifest() const { return Json::parse(*runtime::read_file(folder_ + "/manifest.json", 1 << 20)); }
  void write_manifest(const Json& json) const { std::ofstream(folder_ + "/manifest.json") << json.dump(2); }
  std::string journal() const { return *runtime::read_file(folder_ + "/journal.jsonl", 1 << 20); }
  void blank_hashes() const {
    Json json = manifest();
    for (Json& track : json["tracks"]) track["sha256"] = "";
    write_manifest(json);
  }

  /// Whoever can write to the disk, and has no key: another who asked, a marker left out, a byte of sound changed, the chain made anew.
  void forge() const {
    std::istringstream lines(journal());
    std::string line, written;
    Sha256Digest head{};
    std::string track;
    bool changed = false;
    while (std::getline(lines, line)) {
      Json json = Json::parse(line);
      if (json["event"] == "marker") continue;
      if (json["event"] == "begin") json["requestedBy"] = "FORGED";
      if (json["event"] == "track") track = folder_ + "/" + json["path"].get<std::string>();
      if (json["event"] == "piece" && !std::exchange(changed, true)) {
        std::string media = *runtime::read_file(track, 1 << 20);
        const auto at = json["at"].get<std::size_t>(), size = json["size"].get<std::size_t>();
        media[at + size - 1] = static_cast<char>(media[at + size - 1] ^ 0x55);
        std::ofstream(track, std::ios::binary) << media;
        json["sha256"] = to_hex(sha256(as_bytes(std::string_view(media).substr(at, size))));
      }
      json["prev"] = to_hex(head);
      line = json.dump();
      head = sha256(as_bytes(line));
      written += line + "\n";
    }
    ASSERT_TRUE(changed);
    std::ofstream(folder_ + "/journal.jsonl", std::ios::binary) << written;
  }

  recording::VerifyReport verified(std::string_view trusted = kKey) const {
    recording::VerifyOptions options;
    if (!trusted.empty()) options.trusted = key_of(trusted)->public_key();
    return recording::verify(runtime::Folder(folder_), options);
  }
  static std::string all(const recording::VerifyReport& report) {
    std::string text = report.state + "\n";
    for (const auto& finding : report.findings) text += finding.file + ": " + finding.what + "\n";
    return text;
  }

  std::string root_, folder_;
};

TEST_F(RestartEvidenceTest, a_forged_journal_without_a_manifest_is_never_signed_as_complete) {
  record();
  ASSERT_TRUE(verified().sound()) << all(verified());
  forge();
  fs::remove(folder_ + "/manifest.json");
  restart(kKey);
  EXPECT_EQ(manifest().at("state"), "repaired") << "the signature says how the server found it";
  EXPECT_TRUE(verified().sound()) << all(verified());
  EXPECT_NE(manifest()["repaired"].dump().find("signature"), std::string::npos) << manifest()["repaired"];
}

TEST_F(RestartEvidenceTest, a_forged_journal_whose_manifest_lacks_its_hashes_is_not_signed_at_all) {
  record();
  forge();
  blank_hashes();
  const std::string before = manifest().dump(), journal_before = journal();
  EXPECT_FALSE(restart(kKey));
  EXPECT_EQ(manifest().dump(), before) << "nothing of it is touched";
  EXPECT_EQ(journal(), journal_before);
  EXPECT_FALSE(verified().sound());
  EXPECT_EQ(verified().signature, SignatureState::invalid);
}

TEST_F(RestartEvidenceTest, a_forged_journal_that_names_no_signer_is_not_signed_with_its_hashes) {
  record("");
  forge();
  Json json = manifest();
  json["evidence"]["head"] = to_hex(recording::parse_journal(journal())->head);
  json["evidence"]["lines"] = recording::parse_journal(journal())->lines;
  write_manifest(json);
  blank_hashes();
  restart(kKey);
  EXPECT_FALSE(manifest()["evidence"].contains("signature"));
  EXPECT_FALSE(verified().sound()) << "it is not signed";
}

TEST_F(RestartEvidenceTest, a_signature_that_fits_outlives_late_hashes_whatever_key_the_server_has_by_then) {
  record();
  const Json evidence = manifest()["evidence"];
  for (const std::string_view key : {kKey, kOtherKey, std::string_view()}) {
    blank_hashes();
    EXPECT_TRUE(restart(key));
    EXPECT_EQ(manifest()["evidence"], evidence);
    EXPECT_NE(manifest()["tracks"][0]["sha256"], "");
    EXPECT_TRUE(verified().sound()) << all(verified());
    EXPECT_EQ(verified().signature, SignatureState::valid);
    EXPECT_EQ(manifest()["state"], "complete");
  }
}

TEST_F(RestartEvidenceTest, a_signature_that_fits_outlives_a_manifest_that_says_it_is_not_finished) {
  record();
  const Json whole = manifest();
  for (const std::string_view key : {kKey, kOtherKey, std::string_view()}) {
    Json json = whole;
    json["state"] = "recording";
    write_manifest(json);
    EXPECT_TRUE(restart(key));
    EXPECT_EQ(manifest(), whole);
  }
}

TEST_F(RestartEvidenceTest, an_end_that_was_not_signed_any_more_is_repaired_and_the_account_stays) {
  record();
  const Json whole = manifest();
  Json json = whole;
  json["state"] = "recording";  // killed between the journal's end and the manifest's
  for (const char* later : {"stoppedAt", "evidence"}) json.erase(later);
  write_manifest(json);
  restart(kOtherKey);
  EXPECT_EQ(manifest()["state"], "repaired");
  for (const char* same : {"stoppedAt", "durationMs", "tracks", "markers", "dropped"}) EXPECT_EQ(manifest()[same], whole[same]) << same;
  EXPECT_TRUE(verified(kOtherKey).sound()) << all(verified(kOtherKey));
  EXPECT_EQ(verified(kOtherKey).signature, SignatureState::valid);
  fs::remove(folder_ + "/manifest.json");
  restart("");
  EXPECT_EQ(manifest()["repaired"]["times"], 2);
  EXPECT_TRUE(verified("").sound()) << all(verified(""));
  EXPECT_EQ(verified("").signature, SignatureState::none);
}

TEST_F(RestartEvidenceTest, without_any_key_an_end_that_was_journaled_is_complete) {
  record("");
  const Json whole = manifest();
  fs::remove(folder_ + "/manifest.json");
  restart("");
  EXPECT_EQ(manifest(), whole);
}

}  // namespace
}  // namespace amphi::server
