// The PROXY protocol's header, versions 1 and 2 (HAProxy, doc/proxy-protocol.txt): the client's address, before the client's first
// byte. Read only from a trusted proxy. Neither an HTTP request nor a TLS ClientHello begins like it. Pure. Thread: any.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/net.h"

namespace amphi::server {

constexpr std::size_t kMostProxyHeader = 16 + 2048;  // version 2 with its extensions; version 1 has at most 107 bytes

struct ProxyHeader {
  enum class Kind { none, incomplete, malformed, complete };
  Kind kind = Kind::none;         // of what is there so far; none: something else begins here
  std::size_t size = 0;           // complete: so many bytes belong to it
  std::optional<Address> client;  // complete: nullopt: the proxy's own connection (a health check), or an unknown family
};
ProxyHeader read_proxy_header(ByteView data);

}  // namespace amphi::server
