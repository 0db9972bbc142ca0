// The session's address, "http(s)://HOST[:PORT]/s/SESSION", taken apart. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace amphi::sdk {

struct SessionUrl {
  bool tls = false;
  std::string host;        // a name or an address, IPv6 without its brackets
  std::uint16_t port = 80;
  std::string session;     // as written, percent-encoding kept
  std::string signalling_path() const { return "/v1/sessions/" + session + "/signalling"; }
  std::string services_path() const { return "/v1/sessions/" + session + "/services"; }
};

/// Errors: invalid_argument with what is wrong. A query and a fragment are ignored (people paste links).
Result<SessionUrl> parse_session_url(std::string_view url);

}  // namespace amphi::sdk
