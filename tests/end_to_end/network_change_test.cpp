// A participant's machine gets another address in the middle of a session: it stays the same participant, and media flows again both ways.
#include <gtest/gtest.h>

#include "other_machine.h"
#include "participant.h"
#include "server_process.h"

namespace amphi::end_to_end {
namespace {

class NetworkChange : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(student.join()) << server.log();
    other.run([&] {
      surgeon = std::make_unique<Participant>(server, "10.88.0.1", "surgeon");
      ASSERT_TRUE(surgeon->join()) << server.log();
    });
    ASSERT_TRUE(surgeon && surgeon->sees(1) && student.sees(1)) << server.log();
    id = surgeon->probe->participantId();
  }
  void expect_media_again() {
    EXPECT_TRUE(student.sees_more(30, 40s)) << "of the surgeon\n" << server.log();
    EXPECT_TRUE(surgeon->sees_more(30, 40s)) << "of the student\n" << server.log();
    EXPECT_TRUE(surgeon->probe.wait([&] { return surgeon->probe->areSessionServicesConnected(); }, 30s));
    for (const SessionProbe* probe : {&surgeon->probe, &student.probe}) EXPECT_EQ(probe->happened().disconnected, 0);
    EXPECT_EQ(surgeon->probe->participantId(), id);
  }

  OtherMachine other;
  ServerProcess server{{"--listen", "127.0.0.1", "10.88.0.1"}, {}, false};
  Participant student{server, "10.88.0.1", "student"};
  std::unique_ptr<Participant> surgeon;
  std::string id;
};

TEST_F(NetworkChange, to_another_address_is_followed_and_media_flows_again_both_ways) {
  other.leave_network();
  other.join_network("10.88.0.9/24");
  expect_media_again();
}

TEST_F(NetworkChange, with_no_network_at_all_in_between_is_told_as_a_stall_and_made_good) {
  const auto voice = student.probe->setOutgoingAudioFeed("voice", AudioInputComponentTone{});
  const auto mix = surgeon->probe->setIncomingAudioFeed(AudioOutputComponentNull{});
  ASSERT_TRUE(surgeon->probe.wait([&] { return mix->statistics().packets > 20; })) << server.log();
  other.leave_network();
  const auto stalled = [&] { return mix->statistics().stalled && surgeon->outgoing->statistics().stalled && surgeon->incoming[0]->statistics().stalled; };
  ASSERT_TRUE(surgeon->probe.wait(stalled, 15s)) << "nothing gets through, and the feeds do not say so";
  EXPECT_EQ(surgeon->outgoing->state(), FeedState::running) << "it has not ended";
  EXPECT_FALSE(student.outgoing->statistics().stalled) << "whose path is sound";
  other.join_network("10.88.0.17/24");
  expect_media_again();
  EXPECT_TRUE(surgeon->probe.wait([&] { return !mix->statistics().stalled && !surgeon->outgoing->statistics().stalled && !surgeon->incoming[0]->statistics().stalled; }));
}

}  // namespace
}  // namespace amphi::end_to_end
