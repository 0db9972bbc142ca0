// RFC 6184 8.1: parameter sets in the format parameters of a description.
#include "rtp/h264_sprop.h"

#include <gtest/gtest.h>

#include <string>

#include "rtp/h264.h"

namespace amphi::rtp {
namespace {

const std::string kSps = "Z0LADYyNQKDLzwDwiEag", kPps = "aM48gA==";  // OpenH264, 320 x 180

TEST(Sprop, sets_that_a_description_gives_are_read) {
  struct Row { const char* what; std::string fmtp; std::size_t sps, pps; bool refused; };
  for (const Row& row : {
           Row{"none", "packetization-mode=1;profile-level-id=42e01f", 0, 0, false},
           Row{"one of each", "packetization-mode=1; sprop-parameter-sets=" + kSps + "," + kPps + ";profile-level-id=42c00d", 1, 1, false},
           Row{"at the end, in another case", "Sprop-Parameter-Sets=" + kSps + "," + kPps, 1, 1, false},
           Row{"several PPS", "sprop-parameter-sets=" + kSps + "," + kPps + "," + kPps, 1, 2, false},
           Row{"without padding", "sprop-parameter-sets=" + kSps + "," + kPps.substr(0, kPps.find('=')), 1, 1, false},
           Row{"empty", "sprop-parameter-sets=", 0, 0, false},
           Row{"no PPS", "sprop-parameter-sets=" + kSps, 0, 0, true},
           Row{"no SPS", "sprop-parameter-sets=" + kPps, 0, 0, true},
           Row{"no base64", "sprop-parameter-sets=" + kSps + ",a!b=", 0, 0, true},
           Row{"an empty set", "sprop-parameter-sets=" + kSps + ",," + kPps, 0, 0, true},
           Row{"an IDR picture", "sprop-parameter-sets=" + kSps + "," + kPps + ",ZYiE", 0, 0, true},
           Row{"an SPS that describes no picture", "sprop-parameter-sets=Z0I=," + kPps, 0, 0, true},
           Row{"a set with the forbidden bit", "sprop-parameter-sets=" + kSps + ",6M48gA==", 0, 0, true},
           Row{"a set that is too large", "sprop-parameter-sets=" + kSps + "," + std::string(2000, 'a'), 0, 0, true},
       }) {
    SCOPED_TRACE(row.what);
    const auto sets = parse_sprop(row.fmtp);
    EXPECT_EQ(sets.sps.size(), row.sps);
    EXPECT_EQ(sets.pps.size(), row.pps);
    EXPECT_EQ(sets.refused, row.refused);
  }
  std::string many = "sprop-parameter-sets=" + kSps;
  for (int i = 0; i < 100; ++i) many += "," + kPps;
  EXPECT_TRUE(parse_sprop(many).refused);
}

TEST(Sprop, an_aggregate_holds_all_sets_and_fits_or_there_is_none) {
  const auto sets = parse_sprop("sprop-parameter-sets=" + kSps + "," + kPps);
  std::vector<Bytes> nals;
  H264Depacketizer depacketizer;
  ASSERT_TRUE(depacketizer.add(aggregate(sets, 100), nals));
  EXPECT_EQ(nals, (std::vector<Bytes>{sets.sps[0], sets.pps[0]}));
  EXPECT_TRUE(aggregate(sets, 20).empty());
  EXPECT_TRUE(aggregate({}, 100).empty());
}

TEST(Sprop, a_payload_with_an_sps_is_known) {
  const auto payload = [](std::initializer_list<unsigned> bytes) {
    Bytes out;
    for (const unsigned byte : bytes) out.push_back(static_cast<std::byte>(byte));
    return out;
  };
  EXPECT_TRUE(has_h264_sps(payload({0x67, 1})));
  EXPECT_TRUE(has_h264_sps(payload({0x78, 0, 2, 0x68, 1, 0, 2, 0x67, 1})));
  EXPECT_TRUE(has_h264_sps(payload({0x7c, 0x87, 1})));
  EXPECT_FALSE(has_h264_sps(payload({0x65, 1})));
  EXPECT_FALSE(has_h264_sps(payload({0x7c, 0x07, 1}))) << "not its beginning";
  EXPECT_FALSE(has_h264_sps(payload({})));
}

}  // namespace
}  // namespace amphi::rtp
