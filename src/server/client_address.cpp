#include "server/client_address.h"

#include <algorithm>
#include <charconv>

namespace amphi::server {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};  // RFC 4291 2.5.5.2
constexpr std::array<std::uint8_t, 12> kNat64{0, 0x64, 0xff, 0x9b};                         // RFC 6052 2.1

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

enum class Quotes { none, strings };

/// Splits at `separator`, with Quotes::strings outside of quoted strings. A quoted string that is not closed is none: a client that opens
/// one must not swallow the elements that proxies append.
std::vector<std::string_view> split(std::string_view text, char separator, Quotes quotes) {
  std::vector<std::string_view> parts;
  bool quoted = false;
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') ++i;
    else if (text[i] == '"' && quotes == Quotes::strings) quoted = !quoted;
    else if (text[i] == separator && !quoted) {
      parts.push_back(trimmed(text.substr(from, i - from)));
      from = i + 1;
    }
  }
  if (quoted) return split(text, separator, Quotes::none);
  parts.push_back(trimmed(text.substr(from)));
  return parts;
}

/// "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80".
std::optional<Address> read_node(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  if (!text.empty() && text.front() == '[') {
    const auto end = text.find(']');
    if (end == text.npos) return std::nullopt;
    return Address::parse(std::string(text.substr(1, end - 1)), 0);
  }
  if (std::count(text.begin(), text.end(), ':') == 1) text = text.substr(0, text.find(':'));
  return Address::parse(std::string(text), 0);
}

bool same_ip(const Address& a, const Address& b) { return a.family == b.family && a.ip == b.ip; }

/// The node of one element of `Forwarded`: for=NODE among its pairs.
std::optional<Address> read_element(std::string_view element) {
  for (const std::string_view pair : split(element, ';', Quotes::strings)) {
    const auto equals = pair.find('=');
    if (equals != pair.npos && same_ignoring_case(trimmed(pair.substr(0, equals)), "for")) return read_node(trimmed(pair.substr(equals + 1)));
  }
  return std::nullopt;
}

}  // namespace

Address plain_address(const Address& address) {
  if (address.family != Address::Family::v6) return address;
  const auto begins = [&](const auto& prefix) { return std::equal(prefix.begin(), prefix.end(), address.ip.begin()); };
  if (!begins(kMapped) && !begins(kNat64)) return address;
  return Address::v4(address.ip[12], address.ip[13], address.ip[14], address.ip[15], address.port);
}

std::string address_group(const Address& given) {
  Address address = plain_address(given);
  if (address.family != Address::Family::v6) return address.ip_text();
  std::fill(address.ip.begin() + 8, address.ip.end(), std::uint8_t{0});
  return address.ip_text() + "/64";
}

std::optional<AddressRange> AddressRange::parse(const std::string& text) {
  const auto slash = text.find('/');
  const auto network = Address::parse(text.substr(0, slash), 0);
  if (!network) return std::nullopt;
  AddressRange range;
  range.network_ = *network;
  const unsigned most = network->family == Address::Family::v4 ? 32 : 128;
  range.bits_ = most;
  if (slash != text.npos) {
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data() + slash + 1, end, range.bits_);
    if (read.ec != std::errc() || read.ptr != end || range.bits_ > most) return std::nullopt;
  }
  const Address plain = plain_address(range.network_);
  if (plain.family != range.network_.family && range.bits_ >= 96) {
    range.network_ = plain;
    range.bits_ -= 96;
  }
  return range;
}

bool AddressRange::contains(const Address& given) const {
  const Address address = plain_address(given);
  if (address.family != network_.family) return false;
  for (unsigned i = 0; i < bits_; i += 8) {
    const unsigned used = std::min(8u, bits_ - i);
    const auto mask = static_cast<std::uint8_t>(0xff << (8 - used));
    if ((address.ip[i / 8] ^ network_.ip[i / 8]) & mask) return false;
  }
  return true;
}

bool TrustedProxies::contains(const Address& address) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const AddressRange& range) { return range.contains(address); });
}

Address forwarded_client(const ForwardedFields& fields, const Address& peer, const TrustedProxies& trusted) {
  const auto named_by = [&](const std::string& value, Quotes quotes, auto read) {
    Address client = plain_address(peer);
    const auto hops = split(value, ',', quotes);
    for (auto hop = hops.rbegin(); hop != hops.rend() && trusted.contains(client); ++hop) client = plain_address(read(*hop).value_or(Address{}));
    return client;
  };
  if (fields.x_forwarded_for.empty() && fields.forwarded.empty()) return plain_address(peer);
  if (fields.forwarded.empty()) return named_by(fields.x_forwarded_for, Quotes::none, read_node);
  const Address client = named_by(fields.forwarded, Quotes::strings, read_element);
  if (fields.x_forwarded_for.empty()) return client;
  return same_ip(client, named_by(fields.x_forwarded_for, Quotes::none, read_node)) ? client : Address{};
}

}  // namespace amphi::server
