// Address groups, trusted proxies, and the client that a proxy names: by header, or by the PROXY protocol.
#include "server/client_address.h"

#include <gtest/gtest.h>

#include "server/proxy_protocol.h"

namespace amphi::server {
namespace {

Address at(const std::string& ip) { return Address::parse(ip, 0).value(); }

TrustedProxies trusting(const std::vector<std::string>& ranges) {
  std::vector<AddressRange> parsed;
  for (const auto& range : ranges) parsed.push_back(AddressRange::parse(range).value());
  return TrustedProxies(std::move(parsed));
}

TEST(ClientAddress, a_group_is_an_ipv4_address_or_an_ipv6_64) {
  EXPECT_EQ(address_group(at("192.0.2.1")), "192.0.2.1");
  EXPECT_EQ(address_group(at("::ffff:192.0.2.1")), "192.0.2.1") << "IPv4 in IPv6";
  EXPECT_EQ(address_group(at("64:ff9b::192.0.2.1")), "192.0.2.1") << "NAT64";
  EXPECT_EQ(address_group(at("2001:db8:1:2:3:4:5:6")), address_group(at("2001:db8:1:2::1")));
  EXPECT_NE(address_group(at("2001:db8:1:2::1")), address_group(at("2001:db8:1:3::1")));
}

TEST(ClientAddress, a_range_holds_its_addresses_and_no_others) {
  struct Row {
    const char *range, *in, *out;
  };
  for (const Row& row : {Row{"10.0.0.0/8", "10.255.1.1", "11.0.0.0"}, Row{"192.0.2.128/25", "192.0.2.129", "192.0.2.127"}, Row{"192.0.2.7", "192.0.2.7", "192.0.2.6"},
                         Row{"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"}, Row{"10.0.0.0/8", "::ffff:10.1.1.1", "::10.1.1.1"},
                         Row{"::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1"}, Row{"0.0.0.0/0", "203.0.113.1", "2001:db8::1"}}) {
    const auto range = AddressRange::parse(row.range);
    ASSERT_TRUE(range) << row.range;
    EXPECT_TRUE(range->contains(at(row.in))) << row.range << " " << row.in;
    EXPECT_FALSE(range->contains(at(row.out))) << row.range << " " << row.out;
  }
  for (const char* wrong : {"", "proxy", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "::/129", "10.0.0/8"})
    EXPECT_FALSE(AddressRange::parse(wrong)) << wrong;
}

TEST(ClientAddress, the_client_is_the_right_most_address_that_is_no_trusted_proxy) {
  const TrustedProxies trusted = trusting({"10.0.0.0/8", "2001:db8:ff::/48"});
  struct Row {
    const char *x_forwarded_for, *forwarded, *peer, *client;
  };
  const Row rows[] = {
      {"", "", "10.0.0.1", "10.0.0.1"},
      {"198.51.100.7", "", "10.0.0.1", "198.51.100.7"},
      {"198.51.100.7", "", "203.0.113.9", "203.0.113.9"},  // not from a trusted proxy
      {"1.1.1.1, 198.51.100.7", "", "10.0.0.1", "198.51.100.7"},  // the client's own lie is left of it
      {"10.0.0.9, 198.51.100.7", "", "10.0.0.1", "198.51.100.7"},
      {"198.51.100.7,10.1.1.1 , 10.0.0.2", "", "10.0.0.1", "198.51.100.7"},
      {"198.51.100.7:4711", "", "10.0.0.1", "198.51.100.7"},
      {"2001:db8::7", "", "10.0.0.1", "2001:db8::7"},
      {"[2001:db8::7]:443", "", "10.0.0.1", "2001:db8::7"},
      {"::ffff:198.51.100.7", "", "10.0.0.1", "198.51.100.7"},
      {"198.51.100.7, unknown, 10.0.0.2", "", "10.0.0.1", "none"},
      {"nonsense", "", "10.0.0.1", "none"},
      {"198.51.100.7, ", "", "10.0.0.1", "none"},
      {"\"1.1.1.1, 198.51.100.7", "", "10.0.0.1", "198.51.100.7"},  // a quote means nothing here
      {"\"1.1.1.1, 198.51.100.7, \"", "", "10.0.0.1", "none"},
      {"\"\\, 198.51.100.7", "", "10.0.0.1", "198.51.100.7"},
      {"1.1.1.1\", \"2.2.2.2, 198.51.100.7", "", "10.0.0.1", "198.51.100.7"},
      {"", "for=198.51.100.7", "10.0.0.1", "198.51.100.7"},
      {"", "for=1.1.1.1, proto=https;For=\"[2001:db8::7]:80\";by=x", "10.0.0.1", "2001:db8::7"},
      {"", "for=\"_hidden, for=1.1.1.1\"", "10.0.0.1", "none"},
      {"", "proto=https", "10.0.0.1", "none"},
      {"", "for=_hidden", "10.0.0.1", "none"},
      {"", "for=1.1.1.1;by=\"x, for=198.51.100.7", "10.0.0.1", "198.51.100.7"},  // the client's open quote
      {"", "for=1.1.1.1;by=\"x\\, for=198.51.100.7", "10.0.0.1", "198.51.100.7"},
      {"", "\"\\, for=198.51.100.7", "10.0.0.1", "198.51.100.7"},
      {"", "by=\", for=\"[2001:db8::7]:80\"", "10.0.0.1", "2001:db8::7"},
      {"", "by=\", for=\"[2001:db8::7]:80\", for=10.0.0.2;by=\"_a\"", "10.0.0.1", "2001:db8::7"},
      {"", "for=1.1.1.1;by=\"a, b\", for=198.51.100.7", "10.0.0.1", "198.51.100.7"},
      {"198.51.100.7", "for=1.1.1.1", "10.0.0.1", "none"},  // one of them is the client's own
      {"1.1.1.1", "for=198.51.100.7", "10.0.0.1", "none"},
      {"198.51.100.7, 10.0.0.2", "for=198.51.100.7", "10.0.0.1", "198.51.100.7"},
      {"198.51.100.7", "for=1.1.1.1", "203.0.113.9", "203.0.113.9"},
      {"198.51.100.7", "", "::ffff:10.0.0.1", "198.51.100.7"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(forwarded_client({row.x_forwarded_for, row.forwarded}, at(row.peer), trusted).ip_text(), row.client)
        << row.x_forwarded_for << " | " << row.forwarded << " | " << row.peer;
}

std::string binary(char command, char family, const std::string& rest) {
  std::string header("\r\n\r\n\0\r\nQUIT\n", 12);
  header += {command, family, static_cast<char>(rest.size() >> 8), static_cast<char>(rest.size() & 255)};
  return header + rest;
}

TEST(ProxyProtocol, both_versions_name_the_client_and_every_beginning_is_incomplete) {
  const std::string v4("\xc6\x33\x64\x07\x0a\x00\x00\x01\x12\x67\x01\xbb", 12);
  const std::string v6 = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x07" + std::string(16, '\0') + std::string("\x12\x67\x01\xbb", 4);
  struct Row {
    std::string header;
    const char* client;  // "": none
  };
  for (const Row& row : {Row{"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n", "198.51.100.7:4711"}, Row{"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n", "[2001:db8::7]:4711"},
                         Row{"PROXY UNKNOWN\r\n", ""}, Row{"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""}, Row{binary(0x21, 0x11, v4), "198.51.100.7:4711"},
                         Row{binary(0x21, 0x11, v4 + "extension"), "198.51.100.7:4711"}, Row{binary(0x21, 0x21, v6), "[2001:db8::7]:4711"},
                         Row{binary(0x20, 0, ""), ""}, Row{binary(0x21, 0x31, std::string(216, 'x')), ""}}) {
    for (std::size_t size = 0; size < row.header.size(); ++size)
      ASSERT_EQ(read_proxy_header(as_bytes(row.header.substr(0, size))).kind, ProxyHeader::Kind::incomplete) << size;
    const auto read = read_proxy_header(as_bytes(row.header + "GET / HTTP/1.1\r\n"));
    ASSERT_EQ(read.kind, ProxyHeader::Kind::complete) << row.client;
    EXPECT_EQ(read.size, row.header.size());
    EXPECT_EQ(read.client ? read.client->text() : "", row.client);
  }
}

TEST(ProxyProtocol, what_is_no_header_is_left_alone_and_a_broken_one_is_malformed) {
  for (const std::string& other : {std::string("GET / HTTP/1.1\r\n"), std::string("POST / HTTP/1.1\r\n"), std::string("PRI * HTTP/2.0"), std::string("\x16\x03\x01\x02"), std::string("\r\nGET /")})
    EXPECT_EQ(read_proxy_header(as_bytes(other)).kind, ProxyHeader::Kind::none) << other;
  for (const std::string& broken : {std::string("PROXY TCP4 a b 1 2\r\n"), std::string("PROXY TCP4 198.51.100.7 10.0.0.1 99999 443\r\n"), std::string("PROXY TCP4 2001:db8::7 ::1 1 2\r\n"),
                                    std::string("PROXY UDP4 198.51.100.7 10.0.0.1 1 2\r\n"), std::string("PROXY \r\n"), "PROXY TCP4 " + std::string(200, '1'),
                                    binary(0x11, 0x11, std::string(12, 'x')), binary(0x22, 0x11, std::string(12, 'x')), binary(0x21, 0x11, "short"), binary(0x21, 0x11, std::string(4000, 'x'))})
    EXPECT_EQ(read_proxy_header(as_bytes(broken)).kind, ProxyHeader::Kind::malformed) << broken;
}

}  // namespace
}  // namespace amphi::server
