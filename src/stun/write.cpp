// Writing STUN.
#include "base/net.h"
#include "stun/message.h"
#include "stun/wire.h"

namespace amphi::stun {

namespace {

void write_attribute(ByteWriter& out, std::uint16_t type, ByteView value) {
  out.u16(type);
  out.u16(value.size());
  out.bytes(value);
  out.zeros((4 - value.size() % 4) % 4);
}

void write_xor_mapped(ByteWriter& out, const Address& address, const TransactionId& transaction) {
  const bool v4 = address.family == Address::Family::v4;
  const std::size_t size = v4 ? 4 : 16;
  out.u16(wire::kXorMappedAddress);
  out.u16(4 + size);
  out.u8(0);
  out.u8(v4 ? 1 : 2);
  out.u16(address.port ^ wire::kMagicCookie >> 16);
  for (std::size_t i = 0; i < size; ++i) {
    const auto mask = i < 4 ? static_cast<std::uint8_t>(wire::kMagicCookie >> (24 - 8 * i))
                            : static_cast<std::uint8_t>(transaction[i - 4]);
    out.u8(static_cast<std::uint8_t>(address.ip[i] ^ mask));
  }
}

std::string_view reason(std::uint16_t code) {
  switch (code) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 487:
      return "Role Conflict";
    default:
      return "Error";
  }
}

void write_body(ByteWriter& out, const Message& message) {
  if (message.error_code != 0) {
    const std::string_view text = reason(message.error_code);
    out.u16(wire::kErrorCode);
    out.u16(4 + text.size());
    out.u16(0);
    out.u8(message.error_code / 100U);
    out.u8(message.error_code % 100U);
    out.bytes(as_bytes(text));
    out.zeros((4 - text.size() % 4) % 4);
  }
  if (!message.username.empty()) write_attribute(out, wire::kUsername, as_bytes(message.username));
  if (message.mapped && message.mapped->valid()) write_xor_mapped(out, *message.mapped, message.transaction);
  if (message.priority) {
    out.u16(wire::kPriority);
    out.u16(4);
    out.u32(*message.priority);
  }
  if (message.use_candidate) write_attribute(out, wire::kUseCandidate, {});
  if (message.ice_controlling) {
    out.u16(wire::kIceControlling);
    out.u16(8);
    out.u64(*message.ice_controlling);
  }
  if (message.ice_controlled) {
    out.u16(wire::kIceControlled);
    out.u16(8);
    out.u64(*message.ice_controlled);
  }
}

}  // namespace

Bytes write(const Message& message, std::string_view password) {
  if (message.username.size() > wire::kMaxUsername) return {};
  std::array<std::byte, kMaxDatagram> buffer;
  ByteWriter out(buffer);
  out.u16(wire::binding_type(message.message_class));
  out.u16(0);
  out.u32(wire::kMagicCookie);
  out.bytes(message.transaction);
  write_body(out, message);
  if (!password.empty()) {
    write_attribute(out, wire::kMessageIntegrity, wire::integrity(out.written(), out.size(), password));
  }
  // The length covers FINGERPRINT before its CRC is taken (RFC 5389 15.5).
  out.patch_u16(2, static_cast<std::uint16_t>(out.size() + 8 - wire::kHeaderSize));
  const std::uint32_t crc = wire::crc32(out.written());
  out.u16(wire::kFingerprint);
  out.u16(4);
  out.u32(crc ^ wire::kFingerprintMask);
  return to_bytes(out.written());
}

}  // namespace amphi::stun
