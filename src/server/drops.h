// What the control plane refuses, by name (see base/counters.h). Thread: control.
#pragma once

#include <string_view>

#include "base/counters.h"

namespace amphi::server {

enum class Drop {
  connection_limit, connection_address_limit, connection_yielded, proxy_header_malformed, tls_failed, http_malformed, http_too_large, http_timeout, http_not_found, http_host,
  http_unauthorized, http_method, http_rate_limited, ws_malformed, ws_too_large, ws_not_text, ws_unknown_type, ws_rate_limited, ws_frame_rate_limited, ws_slow_reader,
  ws_first_message_timeout, ws_silent, ws_unauthorized, ws_forbidden, ws_refused, ws_offer_rate_limited, ws_join_rate_limited, transport_failed, fingerprint_mismatch, held_place_yielded,
  count_
};

inline std::string_view counter_name(Drop drop) {
  constexpr std::array<std::string_view, Counters<Drop>::kSize> kNames{
      "connection_limit", "connection_address_limit", "connection_yielded", "proxy_header_malformed", "tls_failed", "http_malformed", "http_too_large", "http_timeout",
      "http_not_found", "http_host", "http_unauthorized", "http_method", "http_rate_limited", "ws_malformed", "ws_too_large", "ws_not_text", "ws_unknown_type",
      "ws_rate_limited", "ws_frame_rate_limited", "ws_slow_reader", "ws_first_message_timeout", "ws_silent", "ws_unauthorized", "ws_forbidden",
      "ws_refused", "ws_offer_rate_limited", "ws_join_rate_limited", "transport_failed", "fingerprint_mismatch", "held_place_yielded"};
  return kNames[static_cast<std::size_t>(drop)];
}

}  // namespace amphi::server
