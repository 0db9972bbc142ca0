#include "server/host_header.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <charconv>

#include "base/net.h"

namespace amphi::server {
namespace {

/// The host without its port; nullopt: invalid (RFC 3986 3.2.2).
std::optional<std::string> host_of(std::string_view value) {
  std::string_view host = value, port;
  if (!value.empty() && value.front() == '[') {
    const auto end = value.find(']');
    if (end == value.npos) return std::nullopt;
    host = value.substr(1, end - 1);
    port = value.substr(end + 1);
    const auto address = Address::parse(std::string(host), 0);
    if (!address || address->family != Address::Family::v6) return std::nullopt;
  } else {
    const auto colon = value.find(':');
    host = value.substr(0, colon);
    if (colon != value.npos) port = value.substr(colon);
    constexpr std::string_view kMarks = "-._~";  // RFC 3986 allows more, and no name in use has it
    const auto fits = [&](unsigned char c) { return std::isalnum(c) || kMarks.find(static_cast<char>(c)) != kMarks.npos; };
    if (host.empty() || host.size() > 255 || !std::all_of(host.begin(), host.end(), fits)) return std::nullopt;
  }
  if (!port.empty()) {
    std::uint16_t number = 0;
    const char *begin = port.data() + 1, *end = port.data() + port.size();
    if (port.front() != ':') return std::nullopt;
    if (begin != end) {
      const auto read = std::from_chars(begin, end, number);
      if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
    }
  }
  std::string name(host);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

bool is_loopback_name(const std::string& host) {
  if (const auto address = Address::parse(host, 0)) return address->is_loopback();
  constexpr std::string_view kName = "localhost", kInside = ".localhost";  // RFC 6761 6.3
  return host == kName || (host.size() > kInside.size() && host.compare(host.size() - kInside.size(), host.npos, kInside) == 0);
}

/// The authority and the rest of a target in absolute form; nullopt: another form.
struct Absolute {
  std::string_view authority, rest;
};
std::optional<Absolute> absolute_form(std::string_view target) {
  const auto scheme_end = target.find("://");
  if (scheme_end == target.npos || !(boost::beast::iequals(target.substr(0, scheme_end), "http") || boost::beast::iequals(target.substr(0, scheme_end), "https"))) return std::nullopt;
  const std::string_view behind = target.substr(scheme_end + 3);
  const auto end = std::min(behind.find_first_of("/?#"), behind.size());
  return Absolute{behind.substr(0, end), behind.substr(end)};
}

std::string_view target_of(const HttpRequest& request) { return {request.target().data(), request.target().size()}; }

}  // namespace

void make_origin_form(HttpRequest& request) {
  const auto absolute = absolute_form(target_of(request));
  if (!absolute) return;
  std::string target(absolute->rest);
  if (!target.starts_with('/')) target.insert(0, "/");
  request.target(target);
}

std::optional<HttpAnswer> refuse_host(const HttpRequest& request, bool loopback_only) {
  const auto fields = request.equal_range(boost::beast::http::field::host);
  const auto count = std::distance(fields.first, fields.second);
  if (count == 0 && request.version() < 11) return std::nullopt;
  if (count != 1) return error_answer({ErrorCode::malformed, count == 0 ? "A request must have a Host header." : "A request must have one Host header only."}, 400);
  const auto value = fields.first->value();
  const auto absolute = absolute_form(target_of(request));  // its host counts, and the header does not (RFC 9112 3.2.2)
  const auto host = host_of(absolute ? absolute->authority : std::string_view(value.data(), value.size()));
  if (!host) return error_answer({ErrorCode::malformed, "The Host header is not valid."}, 400);
  if (loopback_only && !is_loopback_name(*host))
    return error_answer({ErrorCode::forbidden, "With --dev the server answers only to names of loopback: localhost, 127.0.0.1, [::1]."}, 421);
  return std::nullopt;
}

}  // namespace amphi::server
