// STUN messages (RFC 5389, RFC 8489) as far as ICE needs them (RFC 8445 7.1): binding requests, responses and
// indications with short-term credentials and fingerprint.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/net.h"

namespace amphi::stun {

using TransactionId = std::array<std::byte, 12>;

enum class Class : std::uint8_t { request, indication, success, error };

struct Message {
  Class message_class = Class::request;
  TransactionId transaction{};
  std::string username;                          // USERNAME
  std::optional<Address> mapped;                 // XOR-MAPPED-ADDRESS
  std::optional<std::uint32_t> priority;         // PRIORITY
  bool use_candidate = false;                    // USE-CANDIDATE
  std::optional<std::uint64_t> ice_controlling;  // ICE-CONTROLLING tie-breaker
  std::optional<std::uint64_t> ice_controlled;   // ICE-CONTROLLED tie-breaker
  std::uint16_t error_code = 0;                  // ERROR-CODE: 400, 401, 487, ...
  bool has_integrity = false;                    // a MESSAGE-INTEGRITY was present (check with verify)
  bool has_fingerprint = false;
};

/// RFC 7983: a STUN datagram, by its first byte and magic cookie.
bool is_stun(ByteView data);
/// nullopt: malformed, not a Binding, an unknown comprehension-required attribute, or a wrong FINGERPRINT.
std::optional<Message> parse(ByteView data);
/// Checks MESSAGE-INTEGRITY of the raw datagram with the short-term password, in constant time.
bool verify(ByteView data, std::string_view password);
/// The ufrag before the colon in the USERNAME of a binding request: how a server finds whose datagram this is, before
/// anything is verified. Borrowed from `stun_datagram`; allocates nothing. nullopt: no such request, or no colon.
std::optional<std::string_view> local_ufrag_of(ByteView stun_datagram);
/// The transaction of a binding response, before anything is verified. nullopt: another kind of datagram.
std::optional<TransactionId> response_transaction(ByteView data);
/// Serialises; MESSAGE-INTEGRITY is added where `password` is not empty, FINGERPRINT always.
/// Empty when the user name is longer than RFC 5389 15.3 allows.
Bytes write(const Message& message, std::string_view password);

}  // namespace amphi::stun
