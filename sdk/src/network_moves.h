// Which sockets follow a change of network, and where to: one whose address is gone takes a free one of its family, in the order in which the
// interfaces are listed; where there is none it waits for the next look. A peer goes on knowing the socket by its first address, so for ICE
// the pair is the same one, reached by another way: the server learns the new address from the checks (RFC 8445 7.3.1.3).
// No I/O. Thread: its owner's.
#pragma once

#include <algorithm>
#include <vector>

#include "base/net.h"

namespace amphi::sdk {

struct BoundSocket {
  Address name;   // by which its peer knows it
  Address at;     // without a port
};

struct NetworkMove {
  std::size_t socket = 0;
  Address to;
};

/// `sockets`: of one peer. `present`: the interfaces' addresses, without ports.
inline std::vector<NetworkMove> network_moves(const std::vector<BoundSocket>& sockets, const std::vector<Address>& present) {
  const auto is_present = [&](const Address& at) { return std::find(present.begin(), present.end(), at) != present.end(); };
  std::vector<Address> free;
  for (const Address& address : present)
    if (std::none_of(sockets.begin(), sockets.end(), [&](const BoundSocket& s) { return s.at == address; })) free.push_back(address);
  std::vector<NetworkMove> moves;
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    if (is_present(sockets[i].at)) continue;
    const auto to = std::find_if(free.begin(), free.end(), [&](const Address& a) { return a.family == sockets[i].at.family; });
    if (to == free.end()) continue;
    moves.push_back({i, *to});
    free.erase(to);
  }
  return moves;
}

}  // namespace amphi::sdk
