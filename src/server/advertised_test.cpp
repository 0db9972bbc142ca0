#include "server/advertised.h"

#include <gtest/gtest.h>

namespace amphi::server {
namespace {

std::vector<Advertised> parse_all(const std::vector<std::string>& texts) {
  std::vector<Advertised> all;
  for (const auto& text : texts) all.push_back(parse_advertised(text).value());
  return all;
}

TEST(Advertised, each_local_address_is_told_by_what_stands_for_it) {
  const std::vector<std::string> local{"127.0.0.1", "::1", "10.0.0.1", "172.17.0.1", "fd00::1"};
  struct Row {
    std::vector<std::string> advertised, told;
  };
  const Row rows[] = {
      {{}, {"127.0.0.1:1", "[::1]:2", "10.0.0.1:3", "172.17.0.1:4", "[fd00::1]:5"}},
      {{"203.0.113.7"}, {"127.0.0.1:1", "[::1]:2", "203.0.113.7:3", "203.0.113.7:4", "[fd00::1]:5"}},
      {{"203.0.113.7=10.0.0.1"}, {"127.0.0.1:1", "[::1]:2", "203.0.113.7:3", "172.17.0.1:4", "[fd00::1]:5"}},
      {{"203.0.113.7=10.0.0.1", "10.0.0.1=10.0.0.1", "203.0.113.8=172.17.0.1"}, {"127.0.0.1:1", "[::1]:2", "203.0.113.7:3", "10.0.0.1:3", "203.0.113.8:4", "[fd00::1]:5"}},
      {{"2001:db8::7", "203.0.113.7=127.0.0.1"}, {"203.0.113.7:1", "[::1]:2", "10.0.0.1:3", "172.17.0.1:4", "[2001:db8::7]:5"}},
      {{"203.0.113.7=172.17.0.1", "203.0.113.7=172.17.0.1"}, {"127.0.0.1:1", "[::1]:2", "10.0.0.1:3", "203.0.113.7:4", "[fd00::1]:5"}},
      {{"203.0.113.7=192.0.2.9"}, {"127.0.0.1:1", "[::1]:2", "10.0.0.1:3", "172.17.0.1:4", "[fd00::1]:5"}},
  };
  for (const Row& row : rows) {
    std::vector<Address> sockets;
    for (const auto& ip : local) sockets.push_back(*Address::parse(ip, static_cast<std::uint16_t>(sockets.size() + 1)));
    std::vector<std::string> told;
    for (const Address& candidate : candidates_of(sockets, resolve(parse_all(row.advertised)).value())) told.push_back(candidate.text());
    EXPECT_EQ(told, row.told);
  }
}

TEST(Advertised, sockets_of_one_port_have_one_outer_address) {
  const std::vector<Address> sockets{*Address::parse("10.0.0.1", 7881), *Address::parse("172.17.0.1", 7881)};
  EXPECT_EQ(candidates_of(sockets, resolve(parse_all({"203.0.113.7"})).value()).size(), 1u);
}

TEST(Advertised, a_name_is_resolved_and_one_that_has_no_address_is_an_error) {
  const auto local = resolve(parse_all({"localhost=127.0.0.1"}));
  ASSERT_TRUE(local);
  ASSERT_EQ(local->size(), 1u);
  EXPECT_EQ((*local)[0].address.ip_text(), "127.0.0.1");
  EXPECT_FALSE(resolve(parse_all({"no-such-name.invalid"})));
}

TEST(Advertised, what_can_never_work_is_refused) {
  for (const char* wrong : {"", "=10.0.0.1", "203.0.113.7=", "203.0.113.7=eth0", "203.0.113.7=fd00::1", "2001:db8::1=10.0.0.1", "a b", "203.0.113.7:80", "http://a", "0.0.0.0", "::", "224.0.0.1", "239.255.255.255", "ff02::1",
                            "255.255.255.255", "::ffff:203.0.113.7", "64:ff9b::203.0.113.7", "1.2.3", "999.1.1.1", "1", "0x7f.1", "a.0x7f", "media.example.1", "0.0.0.0=10.0.0.1", "media.123."})
    EXPECT_FALSE(parse_advertised(wrong)) << wrong;
  for (const char* right : {"1a.example", "example.a1", "3com.example", "4f9e8c1b2a3d", "media", "4.example=10.0.0.1", "169.254.1.1", "10.0.0.1", "240.0.0.1", "fe80::1"}) EXPECT_TRUE(parse_advertised(right)) << right;
}

TEST(Advertised, an_option_that_stands_for_no_socket_is_an_error_that_names_it) {
  struct Row {
    std::vector<std::string> advertised, sockets;
    const char* unused;  // "": all are used
  };
  const Row rows[] = {
      {{}, {"10.0.0.1"}, ""},
      {{"203.0.113.7"}, {"10.0.0.1"}, ""},
      {{"203.0.113.7"}, {"127.0.0.1"}, "203.0.113.7"},
      {{"203.0.113.7=127.0.0.1"}, {"127.0.0.1"}, ""},
      {{"203.0.113.7", "203.0.113.8=10.9.9.9"}, {"10.0.0.1"}, "203.0.113.8=10.9.9.9"},
      {{"2001:db8::7"}, {"10.0.0.1", "::1"}, "2001:db8::7"},
      {{"2001:db8::7", "203.0.113.7"}, {"10.0.0.1", "fd00::1"}, ""},
      {{"localhost"}, {"10.0.0.1"}, ""},  // 127.0.0.1, and perhaps ::1, which no socket needs
  };
  for (const Row& row : rows) {
    std::vector<Address> sockets;
    for (const auto& ip : row.sockets) sockets.push_back(*Address::parse(ip, 7881));
    const auto checked = check_advertised(resolve(parse_all(row.advertised)).value(), sockets);
    EXPECT_EQ(checked.has_value(), *row.unused == 0) << row.unused;
    if (!checked) {
      EXPECT_NE(checked.error().message.find(std::string("--advertise ") + row.unused + " stands for none"), std::string::npos) << checked.error().message;
    }
  }
}

}  // namespace
}  // namespace amphi::server
