#include "server/advertised.h"

#include <netdb.h>

#include <algorithm>
#include <memory>

#include "runtime/socket.h"
#include "server/client_address.h"

namespace amphi::server {
namespace {

bool same_ip(const Address& a, const Address& b) { return a.family == b.family && a.ip == b.ip; }

/// A name whose last label is a number is no name: the system would read "1.2.3" as 1.2.0.3.
bool is_host_name(const std::string& text) {
  std::string last = text.substr(text.find_last_of('.', text.size() < 2 ? text.npos : text.size() - 2) + 1);
  if (last.ends_with('.')) last.pop_back();
  const bool hex = last.starts_with("0x") || last.starts_with("0X");
  const bool number = !last.empty() && last.find_first_not_of(hex ? "0123456789abcdefxABCDEFX" : "0123456789") == last.npos;
  return !text.empty() && text.size() <= 253 && !number && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '.' || c == '_'; });
}

/// Why no client reaches a server at this address; empty: one may.
std::string why_unreachable(const Address& address) {
  const bool v4 = address.family == Address::Family::v4;
  const auto all = [&](std::uint8_t value) { return std::all_of(address.ip.begin(), address.ip.begin() + (v4 ? 4 : 16), [&](std::uint8_t byte) { return byte == value; }); };
  if (all(0)) return "the unspecified address";
  if (v4 && all(255)) return "the broadcast address";
  if (v4 ? address.ip[0] >= 224 && address.ip[0] < 240 : address.ip[0] == 255) return "a multicast address";
  if (const Address plain = plain_address(address); plain.family != address.family) return "an IPv4 address in IPv6: give " + plain.ip_text();
  return {};
}

bool stands_for(const OuterAddress& outer, const Address& socket) {
  return outer.local ? same_ip(*outer.local, socket) : outer.address.family == socket.family && !socket.is_loopback();
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
  if (const std::string why = address ? why_unreachable(*address) : ""; !why.empty())
    return fail(ErrorCode::invalid_argument, "no client reaches a server at '" + advertised.host + "', " + why);
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
    const std::string option = one.host + (one.local ? "=" + one.local->ip_text() : "");
    for (const Address& address : *addresses)
      if ((!one.local || one.local->family == address.family) && why_unreachable(address).empty()) all.push_back({address, one.local, option});
    if (all.size() == before) return fail(ErrorCode::invalid_argument, "--advertise " + option + ": the name has no address that a client can reach, of the family of LOCAL");
  }
  return all;
}

Result<void> check_advertised(const std::vector<OuterAddress>& outer, const std::vector<Address>& local) {
  const auto is_used = [&](const std::string& option) {
    return std::any_of(outer.begin(), outer.end(), [&](const OuterAddress& one) {
      return one.option == option && std::any_of(local.begin(), local.end(), [&](const Address& socket) { return stands_for(one, socket); });
    });
  };
  for (const OuterAddress& one : outer) {
    if (is_used(one.option)) continue;
    std::string sockets;
    for (const Address& socket : local) sockets.append(sockets.empty() ? "" : ", ").append(socket.ip_text());
    return fail(ErrorCode::invalid_argument, "--advertise " + one.option + " stands for none of the media addresses: " + sockets +
                                                 ". ADDRESS stands for those of its family but loopback, ADDRESS=LOCAL for LOCAL. Media addresses are chosen with --media-address");
  }
  return {};
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
      if (!stands_for(one, socket)) continue;
      add(one.address, socket.port);
      named = true;
    }
    if (!named) add(socket, socket.port);
  }
  return candidates;
}

}  // namespace amphi::server
