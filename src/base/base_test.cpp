// Base: bounded reading and writing, addresses, randomness, error names.
#include <gtest/gtest.h>

#include <array>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/net.h"
#include "base/random.h"
#include "base/result.h"

namespace amphi {

TEST(ByteReader, a_read_past_the_end_fails_for_good_and_gives_zero) {
  const std::array data{std::byte{1}, std::byte{2}, std::byte{3}};
  ByteReader reader(data);
  EXPECT_EQ(reader.u16(), 0x0102);
  EXPECT_EQ(reader.u16(), 0);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.u8(), 0) << "even though one byte is left";
}

TEST(ByteWriter, never_writes_past_the_end) {
  std::array<std::byte, 3> out{};
  ByteWriter writer(out);
  writer.u16(0xabcd);
  writer.u16(0xffff);
  EXPECT_FALSE(writer.ok());
  EXPECT_EQ(out[2], std::byte{0});
}

TEST(Address, text_and_parse_agree) {
  EXPECT_EQ(Address::v4(192, 0, 2, 1, 5000).text(), "192.0.2.1:5000");
  EXPECT_EQ(Address::parse("192.0.2.1", 5000), Address::v4(192, 0, 2, 1, 5000));
  EXPECT_EQ(Address::parse("2001:db8::1", 7)->text(), "[2001:db8::1]:7");
  EXPECT_FALSE(Address::parse("example.org", 7));
  EXPECT_FALSE(Address::parse("", 7));
}

TEST(Address, knows_its_machines_own) {
  for (const char* own : {"127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"}) EXPECT_TRUE(Address::parse(own, 1)->is_loopback()) << own;
  for (const char* other : {"10.0.0.127", "0.0.0.0", "::", "::ffff:10.0.0.1", "::127.0.0.1", "7f00::1", "1::1"})
    EXPECT_FALSE(Address::parse(other, 1)->is_loopback()) << other;
  EXPECT_FALSE(Address().is_loopback());
}

TEST(SeededRandom, the_same_seed_gives_the_same_numbers) {
  SeededRandom a(7), b(7), c(8);
  EXPECT_EQ(a.token(32), b.token(32));
  EXPECT_NE(a.u64(), c.u64());
}

TEST(ErrorCode, every_code_survives_the_wire) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::internal); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    EXPECT_EQ(error_code_from_wire(wire_name(code)), code);
  }
}

TEST(Digest, known_answers) {
  // RFC 2202 case 2, and FIPS 180-2 appendix B.1.
  EXPECT_EQ(to_hex(hmac_sha1(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace amphi
