#include "session_url.h"

#include <algorithm>
#include <charconv>
#include <cctype>

namespace amphi::sdk {
namespace {

bool plain(std::string_view text, std::string_view also) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || also.find(c) != std::string_view::npos;
  });
}

}  // namespace

Result<SessionUrl> parse_session_url(std::string_view url) {
  SessionUrl out;
  if (url.substr(0, 7) == "http://") {
    url.remove_prefix(7);
  } else if (url.substr(0, 8) == "https://") {
    url.remove_prefix(8);
    out.tls = true;
    out.port = 443;
  } else {
    return fail(ErrorCode::invalid_argument, "the session's URL must begin with http:// or https://");
  }
  url = url.substr(0, url.find_first_of("?#"));
  const auto slash = url.find('/');
  std::string_view authority = url.substr(0, slash);
  std::string_view path = slash == std::string_view::npos ? std::string_view{} : url.substr(slash);

  std::string_view port;
  if (!authority.empty() && authority.front() == '[') {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return fail(ErrorCode::invalid_argument, "the URL's IPv6 address has no end");
    out.host = authority.substr(1, end - 1);
    if (!plain(out.host, ":.%")) return fail(ErrorCode::invalid_argument, "the URL's host is not an IPv6 address");
    port = authority.substr(end + 1);
  } else {
    const auto colon = authority.find(':');
    out.host = authority.substr(0, colon);
    if (!plain(out.host, ".-_")) return fail(ErrorCode::invalid_argument, "the URL names no host");
    port = colon == std::string_view::npos ? std::string_view{} : authority.substr(colon);
  }
  if (!port.empty()) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), value);
    if (port.front() != ':' || error != std::errc{} || end != port.data() + port.size() || value == 0 || value > 65'535)
      return fail(ErrorCode::invalid_argument, "the URL's port is not a number from 1 to 65535");
    out.port = static_cast<std::uint16_t>(value);
  }
  if (path.substr(0, 3) != "/s/") return fail(ErrorCode::invalid_argument, "the URL's path is not /s/SESSION");
  path.remove_prefix(3);
  if (!path.empty() && path.back() == '/') path.remove_suffix(1);
  if (!plain(path, "-._~%")) return fail(ErrorCode::invalid_argument, "the URL names no session");
  out.session = path;
  return out;
}

}  // namespace amphi::sdk
