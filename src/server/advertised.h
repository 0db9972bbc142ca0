// The addresses that clients are told for media where the server's own do not lead to it: behind a 1:1 NAT, in a container.
//
//   ADDRESS          instead of every local address of its family but loopback
//   ADDRESS=LOCAL    instead of that one
//
// Repeatable: a local address may have several. One that has none is told as it is. Pure, but for resolve(). Thread: any.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/net.h"
#include "base/result.h"

namespace amphi::server {

struct Advertised {
  std::string host;              // an address, or a name that is resolved at the start and at each reload
  std::optional<Address> local;  // without a port
};
/// Errors: invalid_argument, also for an address at which no client reaches a server (0.0.0.0, multicast, ...).
Result<Advertised> parse_advertised(const std::string& text);

/// An address to tell, and the local one that it stands for.
struct OuterAddress {
  Address address;
  std::optional<Address> local;
  std::string option;  // as given, for errors
};
/// A name gives all its addresses. Blocks, for as long as the name servers take. Errors: invalid_argument (a name that has none; a family that LOCAL is
/// not of).
Result<std::vector<OuterAddress>> resolve(const std::vector<Advertised>& advertised);

/// Errors: invalid_argument (an option that stands for none of the sockets at `local`, so that it would change nothing).
Result<void> check_advertised(const std::vector<OuterAddress>& outer, const std::vector<Address>& local);

/// What the sockets at `local` are told as, with their ports; each once.
std::vector<Address> candidates_of(const std::vector<Address>& local, const std::vector<OuterAddress>& outer);

}  // namespace amphi::server
