// STUN: the vectors of RFC 5769, round trips, and hostile input.
#include "stun/message.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace amphi::stun {

namespace {

Bytes from_hex(std::string_view text) {
  Bytes out;
  int high = -1;
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) continue;
    if (high < 0) {
      high = digit;
    } else {
      out.push_back(static_cast<std::byte>(high * 16 + digit));
      high = -1;
    }
  }
  return out;
}

constexpr std::string_view kPassword = "VOkJxbRl1RmTxUk/WvJxBt";  // RFC 5769 2

const Bytes kRequest = from_hex(
    "00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74 00240004 6e0001ff"
    "80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020 00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249"
    "c1b571a2 80280004 e57a3bcf");
const Bytes kResponseV4 = from_hex(
    "0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200008 0001a147 e112a643"
    "00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96");
const Bytes kResponseV6 = from_hex(
    "01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200014 0002a147 0113a9fa"
    "a5d3f179 bc25f4b5 bed2b9d9 00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c");

Message full_request() {
  Message message;
  message.transaction[0] = std::byte{0x17};
  message.transaction[11] = std::byte{0x99};
  message.username = "server:client";
  message.priority = 0x6e0001ff;
  message.use_candidate = true;
  message.ice_controlling = 0x0123456789abcdef;
  return message;
}

/// A message from its attributes, without integrity or fingerprint: header and length are filled in.
Bytes raw(std::string_view type, std::string_view attributes) {
  const Bytes body = from_hex(attributes);
  Bytes out = from_hex(std::string(type) + "00002112a442000000000000000000000000");
  out[2] = static_cast<std::byte>(body.size() >> 8);
  out[3] = static_cast<std::byte>(body.size());
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

}  // namespace

TEST(Stun, reads_the_sample_request_of_rfc_5769) {
  const auto message = parse(kRequest);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->message_class, Class::request);
  EXPECT_EQ(message->username, "evtj:h6vY");
  EXPECT_EQ(message->priority, 0x6e0001ffU);
  EXPECT_EQ(message->ice_controlled, 0x932ff9b151263b36U);
  EXPECT_FALSE(message->ice_controlling);
  EXPECT_FALSE(message->use_candidate);
  EXPECT_TRUE(message->has_integrity);
  EXPECT_TRUE(message->has_fingerprint);
  EXPECT_TRUE(verify(kRequest, kPassword));
  EXPECT_FALSE(verify(kRequest, "VOkJxbRl1RmTxUk/WvJxBu"));
  EXPECT_EQ(local_ufrag_of(kRequest), "evtj");
}

TEST(Stun, reads_the_sample_responses_of_rfc_5769) {
  const struct {
    const Bytes& data;
    std::string ip;
  } rows[] = {{kResponseV4, "192.0.2.1"}, {kResponseV6, "2001:db8:1234:5678:11:2233:4455:6677"}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.ip);
    const auto message = parse(row.data);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->message_class, Class::success);
    EXPECT_EQ(message->mapped, Address::parse(row.ip, 32853));
    EXPECT_TRUE(verify(row.data, kPassword));
    EXPECT_EQ(local_ufrag_of(row.data), std::nullopt) << "a response belongs to a request of ours";
  }
}

TEST(Stun, what_it_writes_it_reads) {
  Message success;
  success.message_class = Class::success;
  success.mapped = Address::parse("2001:db8::7", 4242);
  Message conflict;
  conflict.message_class = Class::error;
  conflict.error_code = 487;
  Message indication;
  indication.message_class = Class::indication;
  Message controlled = full_request();
  controlled.ice_controlling.reset();
  controlled.ice_controlled = UINT64_MAX;
  for (const Message& in : {full_request(), controlled, success, conflict, indication}) {
    for (const std::string_view password : {"", "a-password-of-24-letters"}) {
      const Bytes data = write(in, password);
      ASSERT_EQ(data.size() % 4, 0U);
      const auto out = parse(data);
      ASSERT_TRUE(out);
      EXPECT_EQ(out->message_class, in.message_class);
      EXPECT_EQ(out->transaction, in.transaction);
      EXPECT_EQ(out->username, in.username);
      EXPECT_EQ(out->mapped, in.mapped);
      EXPECT_EQ(out->priority, in.priority);
      EXPECT_EQ(out->use_candidate, in.use_candidate);
      EXPECT_EQ(out->ice_controlling, in.ice_controlling);
      EXPECT_EQ(out->ice_controlled, in.ice_controlled);
      EXPECT_EQ(out->error_code, in.error_code);
      EXPECT_TRUE(out->has_fingerprint);
      EXPECT_EQ(out->has_integrity, !password.empty());
      EXPECT_EQ(verify(data, "a-password-of-24-letters"), !password.empty());
    }
  }
}

TEST(Stun, refuses_to_write_a_user_name_that_is_too_long) {
  Message message;
  message.username = std::string(513, 'u');
  EXPECT_TRUE(parse(write(message, "pw")));
  message.username += 'u';
  EXPECT_TRUE(write(message, "pw").empty());
}

TEST(Stun, tells_stun_from_what_shares_its_port) {
  const struct {
    const char* what;
    Bytes data;
    bool stun;
  } rows[] = {
      {"a request", kRequest, true},
      {"nothing", {}, false},
      {"one byte", from_hex("00"), false},
      {"a header but for one byte", to_bytes(ByteView(kRequest).first(19)), false},
      {"DTLS", from_hex("16fefd0000000000000000003601000023000000000000"), false},
      {"RTP", from_hex("806f0001000000010000000100000000000000000000"), false},
      {"another cookie", from_hex("000100002112a443000000000000000000000000"), false},
  };
  for (const auto& row : rows) EXPECT_EQ(is_stun(row.data), row.stun) << row.what;
}

TEST(Stun, drops_what_is_malformed) {
  const struct {
    const char* what;
    std::string_view type, attributes;
    bool good;
  } rows[] = {
      {"no attribute", "0001", "", true},
      {"not a Binding", "0003", "", false},
      {"an unknown attribute that must be understood", "0001", "7fff0000", false},
      {"an unknown attribute that may be skipped", "0001", "c0570004000103e8", true},
      {"an attribute longer than the message", "0001", "0006000861620000", false},
      {"half an attribute header", "0001", "0006", false},
      {"a priority of three bytes", "0001", "0024000301020300", false},
      {"a tie-breaker of four bytes", "0001", "802a000401020304", false},
      {"USE-CANDIDATE with a value", "0001", "0025000401020304", false},
      {"an address of no family", "0101", "002000080003a147e112a643", false},
      {"a v6 address of four bytes", "0101", "002000080002a147e112a643", false},
      {"an error of class 9", "0111", "0009000400000101", false},
      {"an error code cut short", "0111", "0009000200000000", false},
      {"a short MESSAGE-INTEGRITY", "0001", "0008000400000000", false},
      {"a wrong FINGERPRINT", "0001", "8028000400000000", false},
  };
  for (const auto& row : rows) EXPECT_EQ(parse(raw(row.type, row.attributes)).has_value(), row.good) << row.what;
}

TEST(Stun, ignores_what_the_integrity_does_not_cover) {
  Message message;
  message.username = "a:b";
  Bytes data = write(message, "pw");
  // USE-CANDIDATE after MESSAGE-INTEGRITY, in place of FINGERPRINT.
  data.resize(data.size() - 8);
  const Bytes extra = from_hex("0025000080220000");
  data.insert(data.end(), extra.begin(), extra.end());
  const auto out = parse(data);
  ASSERT_TRUE(out);
  EXPECT_TRUE(verify(data, "pw"));
  EXPECT_FALSE(out->use_candidate);
}

TEST(Stun, finds_the_local_ufrag_without_verifying) {
  const struct {
    std::string username;
    std::optional<std::string_view> ufrag;
  } rows[] = {{"abcd:efgh", "abcd"},  {"abcd:", "abcd"},  {":efgh", ""},
              {"abcd", std::nullopt}, {"", std::nullopt}, {"a:b:c", "a"}};
  for (const auto& row : rows) {
    Message message;
    message.username = row.username;
    EXPECT_EQ(local_ufrag_of(write(message, "pw")), row.ufrag) << row.username;
  }
}

TEST(Stun, every_truncation_is_dropped) {
  for (const Bytes& whole : {kRequest, kResponseV4, kResponseV6, write(full_request(), kPassword)}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_FALSE(parse(cut)) << size;
      EXPECT_FALSE(verify(cut, kPassword)) << size;
      EXPECT_FALSE(local_ufrag_of(cut)) << size;
    }
  }
}

TEST(Stun, no_flipped_bit_passes_both_checks) {
  for (const Bytes& whole : {kRequest, kResponseV4, kResponseV6, write(full_request(), kPassword)}) {
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
      Bytes flipped = whole;
      flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
      const auto message = parse(flipped);
      EXPECT_FALSE(message && message->has_fingerprint && message->has_integrity && verify(flipped, kPassword)) << bit;
      local_ufrag_of(flipped);
    }
  }
}

TEST(Stun, survives_random_attributes) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    SeededRandom random(seed);
    Bytes data = raw("0001", "");
    Bytes body(4 * random.below(40));
    random.fill(body);
    for (std::size_t i = 0; i + 3 < body.size(); i += 8) {  // plausible types and lengths reach deeper
      body[i] = std::byte{0};
      body[i + 1] = static_cast<std::byte>(random.below(0x2c));
      body[i + 2] = std::byte{0};
      body[i + 3] &= std::byte{0x1f};
    }
    data.insert(data.end(), body.begin(), body.end());
    data[3] = static_cast<std::byte>(body.size());
    const auto message = parse(data);
    EXPECT_LE(message.value_or(Message{}).username.size(), 513U) << "seed " << seed;
    EXPECT_FALSE(verify(data, "pw")) << "seed " << seed;
    local_ufrag_of(data);
  }
}

}  // namespace amphi::stun
