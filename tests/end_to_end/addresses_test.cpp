// IPv6, and a server with several addresses: each participant joins by another one, some from another machine (a network namespace at
// the other end of a veth pair), and all see each other.
#include <gtest/gtest.h>

#include "other_machine.h"
#include "participant.h"
#include "recorded_files.h"
#include "server_process.h"

namespace amphi::end_to_end {
namespace {

/// Nothing but IPv6 arrives anywhere in the test's namespace, for as long as it lives.
class OnlyIpv6 {
 public:
  OnlyIpv6() { shell("nft 'table ip amphi_only_v6 { chain input { type filter hook input priority 0; drop; }; }'"); }
  ~OnlyIpv6() { run_command({"nft", "delete", "table", "ip", "amphi_only_v6"}); }
};

void expect_all_see_each_other(const std::vector<std::unique_ptr<Participant>>& all, const ServerProcess& server) {
  for (const auto& participant : all) EXPECT_TRUE(participant->sees(all.size() - 1)) << participant->identity << "\n" << server.log();
}

TEST(Addresses, a_session_over_ipv6_alone_is_joined_fed_and_recorded) {
  const OnlyIpv6 only;
  ServerProcess server({"--listen", "::1"});
  ASSERT_EQ(server.url().rfind("http://[::1]:", 0), 0u) << server.url();
  std::vector<std::unique_ptr<Participant>> all;
  for (const char* who : {"surgeon", "student"}) {
    all.push_back(std::make_unique<Participant>(server, "[::1]", who));
    ASSERT_TRUE(all.back()->join()) << server.log();
  }
  expect_all_see_each_other(all, server);
  SessionProbe& surgeon = all.front()->probe;
  ASSERT_TRUE(surgeon->requestSessionRecording(true));
  ASSERT_TRUE(surgeon.wait_recording(true));
  ASSERT_TRUE(surgeon.wait([&] { return surgeon->sessionRecordingState().totalRunningDurationMs() > 1500; }));
  ASSERT_TRUE(surgeon->requestSessionRecording(false));
  ASSERT_TRUE(surgeon.wait_recording(false));
  const auto manifest = read_manifest(server.recordings() / "theatre" / surgeon->sessionRecordingState().recordingId);
  EXPECT_EQ(manifest.at("state"), "complete");
  ASSERT_EQ(manifest.at("tracks").size(), 2u);
  for (const auto& track : manifest.at("tracks")) EXPECT_GT(track.at("frames"), 5) << track;
}

TEST(Addresses, who_joins_by_ipv4_and_who_joins_by_ipv6_see_each_other) {
  ServerProcess server({"--listen", "127.0.0.1", "--listen", "::1"});
  std::vector<std::unique_ptr<Participant>> all;
  for (const auto& [host, who] : {std::pair{"127.0.0.1", "four"}, {"[::1]", "six"}, {"localhost", "named"}}) {
    all.push_back(std::make_unique<Participant>(server, host, who));
    ASSERT_TRUE(all.back()->join()) << who << "\n" << server.log();
  }
  expect_all_see_each_other(all, server);
}

/// Flags of a server that all addresses of OtherMachine lead to.
class SeveralAddresses : public ::testing::TestWithParam<std::vector<std::string>> {};

TEST_P(SeveralAddresses, serve_who_is_on_this_machine_and_who_is_on_another) {
  OtherMachine other;
  ServerProcess server(GetParam(), {}, false);
  std::vector<std::unique_ptr<Participant>> all;
  for (const auto& [host, who] : {std::pair{"127.0.0.1", "here four"}, {"[::1]", "here six"}, {"10.88.0.1", "here by the cable's address"}}) {
    all.push_back(std::make_unique<Participant>(server, host, who));
    ASSERT_TRUE(all.back()->join()) << who << "\n" << server.log();
  }
  for (const auto& [host, who] : {std::pair{"10.88.0.1", "there four"}, {"10.88.0.3", "there by the second"}, {"[fd88::1]", "there six"}}) {
    other.run([&, at = std::string(host), name = std::string(who)] {
      all.push_back(std::make_unique<Participant>(server, at, name));
      EXPECT_TRUE(all.back()->join()) << name << "\n" << server.log();
    });
  }
  expect_all_see_each_other(all, server);
}

INSTANTIATE_TEST_SUITE_P(
    Addresses, SeveralAddresses,
    ::testing::Values(std::vector<std::string>{"--listen", "127.0.0.1", "::1", "10.88.0.1", "10.88.0.3", "fd88::1"}, std::vector<std::string>{"--listen", "::"}),
    [](const auto& row) { return row.index == 0 ? "named_one_by_one" : "whatever_there_is"; });

TEST(Addresses, one_that_cannot_be_used_yet_keeps_nobody_out) {
  // Without a carrier at the other end the address stays tentative (RFC 4862, 5.4): nothing can be bound to it.
  shell("ip link add idle0 type veth peer name idle1; ip addr add fd99::1/64 dev idle0; ip addr add 10.99.0.1/24 dev idle0; ip link set idle0 up");
  ServerProcess server({"--listen", "0.0.0.0"}, {}, false);
  std::vector<std::unique_ptr<Participant>> all;
  for (const auto& [host, who] : {std::pair{"10.99.0.1", "a"}, {"10.99.0.1", "b"}}) {
    all.push_back(std::make_unique<Participant>(server, host, who));
    ASSERT_TRUE(all.back()->join()) << who << "\n" << server.log();
  }
  expect_all_see_each_other(all, server);
  shell("ip link del idle0");
}

}  // namespace
}  // namespace amphi::end_to_end
