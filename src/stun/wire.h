// The layout of STUN that reading and writing share: numbers, the walk over attributes, the fingerprint's CRC
// (RFC 5389 6, 15, 18). Internal to src/stun.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "stun/message.h"

namespace amphi::stun::wire {

constexpr std::uint32_t kMagicCookie = 0x2112a442;
constexpr std::uint32_t kFingerprintMask = 0x5354554e;
constexpr std::size_t kHeaderSize = 20;
constexpr std::size_t kAttributeHeaderSize = 4;
constexpr std::size_t kIntegritySize = 20;
constexpr std::size_t kMaxUsername = 513;
constexpr std::uint16_t kFirstOptional = 0x8000;  // below it an attribute must be understood

enum AttributeType : std::uint16_t {
  kMappedAddress = 0x0001,
  kUsername = 0x0006,
  kMessageIntegrity = 0x0008,
  kErrorCode = 0x0009,
  kUnknownAttributes = 0x000a,
  kRealm = 0x0014,
  kNonce = 0x0015,
  kXorMappedAddress = 0x0020,
  kPriority = 0x0024,
  kUseCandidate = 0x0025,
  kFingerprint = 0x8028,
  kIceControlled = 0x8029,
  kIceControlling = 0x802a,
};

/// The message type of a Binding of this class: method 1 with the class's two bits in between (RFC 5389 6).
constexpr std::uint16_t binding_type(Class message_class) {
  const auto bits = static_cast<std::uint16_t>(message_class);
  return static_cast<std::uint16_t>(0x0001 | (bits & 1) << 4 | (bits & 2) << 7);
}

struct Attribute {
  std::uint16_t type = 0;
  ByteView value;
  std::size_t position = 0;  // of its header, from the start of the message
};

/// Steps over the attributes of a message whose header has been checked.
class AttributeWalk {
 public:
  explicit AttributeWalk(ByteView message) : reader_(message) { reader_.skip(kHeaderSize); }

  std::optional<Attribute> next() {
    if (reader_.remaining() == 0) return std::nullopt;
    Attribute attribute;
    attribute.position = reader_.position();
    attribute.type = reader_.u16();
    const std::size_t length = reader_.u16();
    attribute.value = reader_.bytes(length);
    reader_.skip((4 - length % 4) % 4);
    if (!reader_.ok()) return std::nullopt;
    return attribute;
  }
  /// After the last attribute: did all of them fit?
  bool ok() const { return reader_.ok(); }

 private:
  ByteReader reader_;
};

/// CRC-32 of ISO 3309 (RFC 5389 15.5).
std::uint32_t crc32(ByteView data);
/// HMAC-SHA1 over the message up to `position`, with the length of its header as if MESSAGE-INTEGRITY were the last
/// attribute (RFC 5389 15.4). `message` must be no longer than kMaxDatagram.
std::array<std::byte, kIntegritySize> integrity(ByteView message, std::size_t position, std::string_view password);

}  // namespace amphi::stun::wire
