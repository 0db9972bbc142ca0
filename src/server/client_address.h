// The client behind a connection: address groups for limits, the configured proxies, and the address that a proxy names in
// `X-Forwarded-For` or `Forwarded` (RFC 7239). Pure. Thread: any.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/net.h"

namespace amphi::server {

/// IPv4 in IPv6 (::ffff:0:0/96, and NAT64's 64:ff9b::/96) as IPv4; every other address as it is.
Address plain_address(const Address& address);
/// The key of the limits per address: an IPv4 address, or the /64 of an IPv6 address, which one client has for itself.
std::string address_group(const Address& address);

/// "192.0.2.0/24", "2001:db8::/32", or one address.
class AddressRange {
 public:
  static std::optional<AddressRange> parse(const std::string& text);
  bool contains(const Address& address) const;

 private:
  Address network_;
  unsigned bits_ = 0;
};

class TrustedProxies {
 public:
  TrustedProxies() = default;
  explicit TrustedProxies(std::vector<AddressRange> ranges) : ranges_(std::move(ranges)) {}
  bool contains(const Address& address) const;

 private:
  std::vector<AddressRange> ranges_;
};

/// The values of a request's header fields, several fields of one name joined by commas; empty: absent.
struct ForwardedFields {
  std::string x_forwarded_for;
  std::string forwarded;
};
/// The client of a request that arrived from `peer`: the right-most address that is no trusted proxy. Everything left of it was
/// written by that client. Address{} (address group "none", which all such clients share) where the proxy's entry names no address, and
/// where both fields are there and name different clients: a proxy that writes one passes on what a client wrote into the other.
Address forwarded_client(const ForwardedFields& fields, const Address& peer, const TrustedProxies& trusted);

}  // namespace amphi::server
