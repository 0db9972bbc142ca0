// A feed whose H.264 parameter sets are only in the offer reaches its subscribers with the sets before each IDR picture.
#include "sfu/parameter_sets.h"

#include "sfu/test_room.h"

namespace amphi::sfu {
namespace {

const std::string kSprop = "packetization-mode=1;profile-level-id=42c00d;sprop-parameter-sets=Z0LADYyNQKDLzwDwiEag,aM48gA==";

Bytes nal(unsigned header) { return Bytes{static_cast<std::byte>(header), std::byte{0x88}, std::byte{1}}; }
const Bytes kIdr = nal(0x65), kSlice = nal(0x41), kSpsNal = nal(0x67);

struct Step {
  const char* what;
  rtp::Seq seq;
  rtp::WireTimestamp timestamp;
  Bytes payload;
  rtp::Seq at;
  bool insert;
};

TEST(ParameterSets, take_a_number_before_each_idr_picture_and_packets_behind_move_up) {
  ParameterSetInserter inserter(rtp::parse_sprop(kSprop));
  ASSERT_TRUE(inserter.is_needed());
  for (const Step& step : {
           Step{"the first picture", 10, 1, kIdr, 11, true},
           Step{"its second slice", 11, 1, kIdr, 12, false},
           Step{"a slice", 13, 2, kSlice, 14, false},
           Step{"a late packet", 12, 2, kSlice, 13, false},
           Step{"the next picture", 14, 3, kIdr, 16, true},
           Step{"one from before it", 9, 0, kSlice, 9, false},
           Step{"one between both", 13, 2, kSlice, 14, false},
           Step{"a late IDR picture", 12, 2, kIdr, 13, false},
           Step{"sets in a packet", 15, 4, kSpsNal, 17, false},
           Step{"their picture", 16, 4, kIdr, 18, false},
           Step{"a picture without sets of its own", 17, 5, kIdr, 19, false},
       }) {
    SCOPED_TRACE(step.what);
    const auto place = inserter.place(step.seq, step.timestamp, step.payload);
    EXPECT_EQ(place.seq, step.at);
    EXPECT_EQ(place.insert_before, step.insert);
  }
}

TEST(ParameterSets, that_are_only_in_the_offer_reach_every_subscriber_also_over_a_lossy_link) {
  Room room(5);
  auto& publisher = room.join("a");
  auto& viewer = room.join("b", false);
  const auto line = room.publish(publisher, {rtp::CodecName::h264, 90'000, 0, kSprop}, "camera");
  room.run(1s);
  room.network.set_conditions(kServer, viewer.subscribing.address, {.delay = 10ms, .loss = 0.1});
  for (int i = 0; i < 100; ++i) {
    publisher.publishing.send(line, 100 + i, static_cast<rtp::WireTimestamp>(i * 3000), i % 10 == 0 ? kIdr : kSlice, room.world.now());
    publisher.publishing.drain(room.network, room.world.now());
    room.run(20ms);
  }
  room.run(1s);
  std::map<rtp::Seq, Bytes> got;
  for (const auto& packet : viewer.subscribing.received) got[packet.seq] = packet.payload;
  ASSERT_GE(got.size(), 108u) << "100 packets, and sets before 10 of them";
  std::size_t sets = 0, pictures = 0;
  for (const auto& [seq, payload] : got) {
    sets += rtp::has_h264_sps(payload) ? 1u : 0u;
    if (payload != kIdr) continue;
    ++pictures;
    const auto before = got.find(seq - 1);
    if (before != got.end()) { EXPECT_TRUE(rtp::has_h264_sps(before->second)); }
  }
  EXPECT_GE(sets, 9u);
  EXPECT_GE(pictures, 9u);
}

TEST(ParameterSets, that_cannot_be_used_are_counted_and_change_nothing) {
  Room room;
  auto& publisher = room.join("a");
  auto& viewer = room.join("b", false);
  const auto line = room.publish(publisher, {rtp::CodecName::h264, 90'000, 0, "packetization-mode=1;sprop-parameter-sets=Z0I=,aM48gA=="}, "camera");
  room.run(1s);
  publisher.publishing.send(line, 100, 0, kIdr, room.world.now());
  publisher.publishing.drain(room.network, room.world.now());
  room.run(500ms);
  EXPECT_EQ(room.server.session->stats().parameter_sets_ignored, 1u);
  EXPECT_EQ(viewer.subscribing.received.size(), 1u);
}

}  // namespace
}  // namespace amphi::sfu
