#include "server/advertised.h"

#include <netdb.h>

#include <algorithm>
#include <memory>

#include "runtime/socket.h"

namespace amphi::server {
namespace {

bool same_ip(const Address& a, const Address& b) { return a.family == b.family && a.ip == b.ip; }

bool is_host_name(const std::string& text) {
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '.' || c == '_'; });
}

Result<std::vector<Address>> addresses_of(const std::string& host) {
  if (const auto address = Address::parse(host, 0)) return std::vector<Address>{*address};
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (const int status = getaddrinfo(host.c_str(), nullptr, &hints, &found); status != 0)
    return fail(ErrorCode::invalid_argument, "--advertise " + host + ": " + gai_strerror(status));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, freeaddrinfo);
  std::vector<Address> all;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    sockaddr_storage storage{};
    std::memcpy(&storage, at->ai_addr, std::min<std::size_t>(at->ai_addrlen, sizeof storage));
    Address address = runtime::from_system(storage);
    address.port = 0;
    if (address.valid() && std::find(all.begin(), all.end(), address) == all.end()) all.push_back(address);
  }
  return all;
}

}  // namespace

Result<Advertised> parse_advertised(const std::string& text) {
  const auto equals = text.find('=');
  Advertised advertised{text.substr(0, equals), {}};
  const auto address = Address::parse(advertised.host, 0);
  if (!address && !is_host_name(advertised.host)) return fail(ErrorCode::invalid_argument, "'" + advertised.host + "' is neither an IP address nor a host name");
  if (equals == text.npos) return advertised;
  advertised.local = Address::parse(text.substr(equals + 1), 0);
  if (!advertised.local) return fail(ErrorCode::invalid_argument, "'" + text.substr(equals + 1) + "' is not an IP address");
  if (address && address->family != advertised.local->family)
    return fail(ErrorCode::invalid_argument, "'" + text + "' names an IPv4 and an IPv6 address");
  return advertised;
}

Result<std::vector<OuterAddress>> resolve(const std::vector<Advertised>& advertised) {
  std::vector<OuterAddress> all;
  for (const Advertised& one : advertised) {
    const auto addresses = addresses_of(one.host);
    if (!addresses) return tl::unexpected(addresses.error());
    const std::size_t before = all.size();
    for (const Address& address : *addresses)
      if (!one.local || one.local->family == address.family) all.push_back({address, one.local});
    if (all.size() == before) return fail(ErrorCode::invalid_argument, "--advertise " + one.host + " has no address of the family of its LOCAL");
  }
  return all;
}

std::vector<Address> candidates_of(const std::vector<Address>& local, const std::vector<OuterAddress>& outer) {
  std::vector<Address> candidates;
  const auto add = [&](Address address, std::uint16_t port) {
    address.port = port;
    if (std::find(candidates.begin(), candidates.end(), address) == candidates.end()) candidates.push_back(address);
  };
  for (const Address& socket : local) {
    bool named = false;
    for (const OuterAddress& one : outer) {
      const bool stands_for_it = one.local ? same_ip(*one.local, socket) : one.address.family == socket.family && !socket.is_loopback();
      if (stands_for_it) add(one.address, socket.port);
      named = named || stands_for_it;
    }
    if (!named) add(socket, socket.port);
  }
  return candidates;
}

}  // namespace amphi::server
