#include "base/net.h"

#include <arpa/inet.h>  // inet_pton and inet_ntop: text conversion only

#include <algorithm>
#include <charconv>

namespace amphi {

Address Address::v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d, std::uint16_t port) {
  Address address;
  address.family = Family::v4;
  address.port = port;
  address.ip = {a, b, c, d};
  return address;
}

std::optional<Address> Address::parse(const std::string& ip, std::uint16_t port) {
  Address address;
  address.port = port;
  if (inet_pton(AF_INET, ip.c_str(), address.ip.data()) == 1) {
    address.family = Family::v4;
    return address;
  }
  if (inet_pton(AF_INET6, ip.c_str(), address.ip.data()) == 1) {
    address.family = Family::v6;
    return address;
  }
  return std::nullopt;
}

std::optional<Address> Address::parse_with_port(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos || colon == 0) return std::nullopt;
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + colon + 1, end, port);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  const bool bracketed = text.front() == '[' && text[colon - 1] == ']';
  auto address = parse(bracketed ? text.substr(1, colon - 2) : text.substr(0, colon), port);
  if (address && bracketed != (address->family == Family::v6)) return std::nullopt;
  return address;
}

bool Address::is_loopback() const {
  if (family == Family::v4) return ip[0] == 127;
  if (family != Family::v6) return false;
  static constexpr std::array<std::uint8_t, 16> kOne{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  static constexpr std::array<std::uint8_t, 13> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
  return ip == kOne || std::equal(kMapped.begin(), kMapped.end(), ip.begin());
}

std::string Address::ip_text() const {
  if (!valid()) return "none";
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(family == Family::v4 ? AF_INET : AF_INET6, ip.data(), text, sizeof text);
  return text;
}

std::string Address::text() const {
  const std::string host = family == Family::v6 ? "[" + ip_text() + "]" : ip_text();
  return host + ":" + std::to_string(port);
}

}  // namespace amphi

std::size_t std::hash<amphi::Address>::operator()(const amphi::Address& a) const noexcept {
  std::uint64_t h = (static_cast<std::uint64_t>(a.port) << 8) | static_cast<std::uint8_t>(a.family);
  for (std::size_t i = 0; i < 16; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, a.ip.data() + i, 8);
    h = (h ^ word) * 0x9e3779b97f4a7c15;
    h ^= h >> 29;
  }
  return h;
}
