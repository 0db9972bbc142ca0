#include "network_moves.h"

#include <gtest/gtest.h>

#include <string>

namespace amphi::sdk {
namespace {

Address at(const std::string& ip) { return *Address::parse(ip, 0); }

struct Row {
  std::string what;
  std::vector<std::string> bound, present;
  std::vector<std::string> after;   // where each socket is then
};

TEST(NetworkMoves, take_a_socket_whose_address_is_gone_to_a_free_one_of_its_family) {
  const std::vector<Row> rows{
      {"nothing changed", {"127.0.0.1", "10.0.0.2"}, {"127.0.0.1", "10.0.0.2"}, {"127.0.0.1", "10.0.0.2"}},
      {"another address", {"127.0.0.1", "10.0.0.2"}, {"127.0.0.1", "10.0.0.3"}, {"127.0.0.1", "10.0.0.3"}},
      {"one more is no reason to move", {"127.0.0.1", "10.0.0.2"}, {"127.0.0.1", "10.0.0.2", "10.1.0.2"}, {"127.0.0.1", "10.0.0.2"}},
      {"no network at all: it waits", {"127.0.0.1", "10.0.0.2"}, {"127.0.0.1"}, {"127.0.0.1", "10.0.0.2"}},
      {"families do not mix", {"10.0.0.2", "fd00::2"}, {"fd00::3", "fd00::4"}, {"10.0.0.2", "fd00::3"}},
      {"two go, one comes", {"10.0.0.2", "10.1.0.2"}, {"192.0.2.7"}, {"192.0.2.7", "10.1.0.2"}},
      {"two go, two come", {"10.0.0.2", "10.1.0.2"}, {"192.0.2.7", "192.0.2.8"}, {"192.0.2.7", "192.0.2.8"}},
      {"one stays", {"10.0.0.2", "10.1.0.2"}, {"10.1.0.2", "192.0.2.8"}, {"192.0.2.8", "10.1.0.2"}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    std::vector<BoundSocket> sockets;
    std::vector<Address> present, after;
    for (const auto& ip : row.bound) sockets.push_back({at(ip), at(ip)});
    for (const auto& ip : row.present) present.push_back(at(ip));
    for (const NetworkMove& move : network_moves(sockets, present)) sockets[move.socket].at = move.to;
    for (std::size_t i = 0; i < sockets.size(); ++i) EXPECT_EQ(sockets[i].at.ip_text(), row.after[i]);
  }
}

}  // namespace
}  // namespace amphi::sdk
