// A server behind a 1:1 NAT: its clients reach it at an address that none of its interfaces has. The test's namespace is both the server's
// machine and its NAT gateway; the clients are on another machine, which has no route to the server's own address.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <csignal>
#include <fstream>

#include "other_machine.h"
#include "participant.h"
#include "recorded_files.h"
#include "server_process.h"

namespace amphi::end_to_end {
namespace {

/// 203.0.113.7 and 2001:db8:7::7 lead to the server's 172.30.0.1 and fd30::1, and nothing else leads there from the other machine.
class Nat {
 public:
  explicit Nat(OtherMachine& other) {
    shell("ip link add private0 type veth peer name private1; ip link set private1 up; ip addr add 172.30.0.1/24 dev private0; ip addr add fd30::1/64 dev private0 nodad; ip link set private0 up;"
          "nft 'table inet amphi_nat {"
          "  chain before { type nat hook prerouting priority dstnat; ip daddr 203.0.113.7 dnat ip to 172.30.0.1; ip6 daddr 2001:db8:7::7 dnat ip6 to fd30::1; };"
          "  chain in { type filter hook input priority filter; iifname \"here0\" ct status dnat accept; ip daddr 172.30.0.1 iifname \"here0\" drop; ip6 daddr fd30::1 iifname \"here0\" drop; };"
          "}'");
    other.run([] { shell("ip route add 203.0.113.0/24 via 10.88.0.1; ip route add 2001:db8:7::/64 via fd88::1"); });
  }
  ~Nat() {
    run_command({"nft", "delete", "table", "inet", "amphi_nat"});
    run_command({"ip", "link", "del", "private0"});
  }
};

/// One file in the place of another, for this process and its children.
class TemporaryMount {
 public:
  TemporaryMount(const std::string& file, std::string place) : place_(std::move(place)) {
    EXPECT_EQ(unshare(CLONE_NEWNS), 0);
    EXPECT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    EXPECT_EQ(mount(file.c_str(), place_.c_str(), nullptr, MS_BIND, nullptr), 0);
  }
  ~TemporaryMount() { umount2(place_.c_str(), MNT_DETACH); }

 private:
  const std::string place_;
};

class Advertise : public ::testing::Test {
 protected:
  std::unique_ptr<Participant> join_from_outside(const ServerProcess& server, const std::string& host, const std::string& who) {
    std::unique_ptr<Participant> participant;
    other_.run([&] {
      participant = std::make_unique<Participant>(server, host, who);
      EXPECT_TRUE(participant->join()) << server.log();
    });
    return participant;
  }
  OtherMachine other_;
  Nat nat_{other_};
};

TEST_F(Advertise, behind_a_one_to_one_nat_media_flow_both_ways_once_the_outer_address_is_told) {
  ServerProcess server({"--listen", "172.30.0.1", "--media-address", "172.30.0.1", "--media-port", "7881", "--workers", "1", "--advertise", "203.0.113.7"}, {}, false);
  const auto surgeon = join_from_outside(server, "203.0.113.7", "surgeon"), student = join_from_outside(server, "203.0.113.7", "student");
  EXPECT_TRUE(surgeon->sees(1)) << server.log();
  EXPECT_TRUE(student->sees(1)) << server.log();
  EXPECT_NE(server.log().find("203.0.113.7:7881"), std::string::npos) << server.log();
}

TEST_F(Advertise, without_it_no_media_flow) {
  ServerProcess server({"--listen", "172.30.0.1", "--media-address", "172.30.0.1"}, {}, false);
  const auto surgeon = join_from_outside(server, "203.0.113.7", "surgeon"), student = join_from_outside(server, "203.0.113.7", "student");
  ASSERT_TRUE(student->probe.wait([&] { return student->probe.happened().feeds.size() == 1; }));
  student->incoming = {student->probe->subscribeVideoFeed(student->probe.happened().feeds[0].id, VideoOutputComponentNull{})};
  EXPECT_FALSE(student->sees_more(0, 3s)) << "the test's network would prove nothing";
}

TEST_F(Advertise, a_name_is_resolved_again_at_sighup_for_present_participants_too) {
  const TemporaryFolder folder;
  const std::string hosts = (folder.path() / "hosts").string();
  const auto name = [&](const std::string& address) { std::ofstream(hosts) << "127.0.0.1 localhost\n" << address << " media.example\n"; };
  name("198.51.100.9");
  // A mount namespace of the server's own: its /etc/hosts is the test's.
  const TemporaryMount mount(hosts, "/etc/hosts");
  ServerProcess server({"--listen", "172.30.0.1", "--media-address", "172.30.0.1", "--workers", "1", "--advertise", "media.example"}, {}, false);
  const auto surgeon = join_from_outside(server, "203.0.113.7", "surgeon"), student = join_from_outside(server, "203.0.113.7", "student");
  ASSERT_TRUE(student->probe.wait([&] { return student->probe.happened().unreachable == 1; }, 16s)) << server.log();
  name("203.0.113.7");
  ASSERT_EQ(kill(server.pid(), SIGHUP), 0);
  EXPECT_TRUE(student->probe.wait([&] { return server.log().find("media advertised as 203.0.113.7") != std::string::npos; })) << server.log();
  EXPECT_TRUE(student->probe.wait([&] { return student->probe.happened().reachable == 1 && surgeon->probe.happened().reachable == 1; }, 40s)) << server.log();
  EXPECT_TRUE(student->sees(1)) << server.log();
}

TEST_F(Advertise, each_local_address_has_its_own_outer_one_and_the_inner_one_can_be_told_too) {
  ServerProcess server({"--listen", "172.30.0.1", "--listen", "fd30::1", "--media-address", "172.30.0.1", "--media-address", "fd30::1", "--media-port", "0", "--workers", "2",
                        "--advertise", "203.0.113.7=172.30.0.1", "--advertise", "2001:db8:7::7=fd30::1", "--advertise", "172.30.0.1=172.30.0.1"}, {}, false);
  std::vector<std::unique_ptr<Participant>> all;
  all.push_back(join_from_outside(server, "203.0.113.7", "four"));
  all.push_back(join_from_outside(server, "[2001:db8:7::7]", "six"));
  all.push_back(std::make_unique<Participant>(server, "172.30.0.1", "inside"));
  ASSERT_TRUE(all.back()->join());
  for (const auto& participant : all) EXPECT_TRUE(participant->sees(2)) << participant->identity << server.log();
}

}  // namespace
}  // namespace amphi::end_to_end
