#include "server/proxy_protocol.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

namespace amphi::server {
namespace {

using Kind = ProxyHeader::Kind;

constexpr std::string_view kFirst = "PROXY ";
constexpr std::string_view kSecond("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kMostText = 107, kFixed = 16;

ProxyHeader read_text(std::string_view data) {
  const auto end = data.substr(0, kMostText).find("\r\n");
  if (end == data.npos) return {data.size() < kMostText ? Kind::incomplete : Kind::malformed, 0, {}};
  std::vector<std::string> words;
  for (std::size_t at = 0; at <= end;) {
    const std::size_t space = std::min(data.find(' ', at), end);
    words.emplace_back(data.substr(at, space - at));
    at = space + 1;
  }
  ProxyHeader header{Kind::complete, end + 2, {}};
  if (words.size() >= 2 && words[1] == "UNKNOWN") return header;
  if (words.size() != 6 || (words[1] != "TCP4" && words[1] != "TCP6")) return {Kind::malformed, 0, {}};
  std::uint16_t port = 0;
  const auto read = std::from_chars(words[4].data(), words[4].data() + words[4].size(), port);
  header.client = Address::parse(words[2], port);
  const auto family = words[1] == "TCP4" ? Address::Family::v4 : Address::Family::v6;
  if (read.ec != std::errc() || read.ptr != words[4].data() + words[4].size() || !header.client || header.client->family != family)
    return {Kind::malformed, 0, {}};
  return header;
}

ProxyHeader read_binary(ByteView data) {
  if (data.size() < kFixed) return {Kind::incomplete, 0, {}};
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(data[i]); };
  const std::size_t length = static_cast<std::size_t>(at(14)) << 8 | at(15);
  if (at(12) >> 4 != 2 || (at(12) & 15) > 1 || kFixed + length > kMostProxyHeader) return {Kind::malformed, 0, {}};
  if (data.size() < kFixed + length) return {Kind::incomplete, 0, {}};
  ProxyHeader header{Kind::complete, kFixed + length, {}};
  if ((at(12) & 15) == 0) return header;  // LOCAL
  const unsigned family = at(13) >> 4;
  const std::size_t size = family == 1 ? 4 : family == 2 ? 16 : 0;
  if (size == 0) return header;
  if (length < 2 * size + 4) return {Kind::malformed, 0, {}};
  Address client;
  client.family = family == 1 ? Address::Family::v4 : Address::Family::v6;
  for (std::size_t i = 0; i < size; ++i) client.ip[i] = at(kFixed + i);
  client.port = static_cast<std::uint16_t>(at(kFixed + 2 * size) << 8 | at(kFixed + 2 * size + 1));
  header.client = client;
  return header;
}

}  // namespace

ProxyHeader read_proxy_header(ByteView data) {
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  const auto begins = [&](std::string_view mark) { return text.substr(0, mark.size()) == mark.substr(0, text.size()); };
  if (begins(kFirst)) return text.size() < kFirst.size() ? ProxyHeader{Kind::incomplete, 0, {}} : read_text(text);
  if (begins(kSecond)) return text.size() < kSecond.size() ? ProxyHeader{Kind::incomplete, 0, {}} : read_binary(data);
  return {};
}

}  // namespace amphi::server
