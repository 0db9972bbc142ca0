// Reading STUN: every byte here is hostile.
#include <algorithm>

#include "base/digest.h"
#include "stun/message.h"
#include "stun/wire.h"

namespace amphi::stun {

namespace {

using wire::Attribute;

std::optional<Class> class_of(std::uint16_t type) {
  for (const Class candidate : {Class::request, Class::indication, Class::success, Class::error}) {
    if (type == wire::binding_type(candidate)) return candidate;
  }
  return std::nullopt;
}

/// A whole message: its length is the datagram's.
bool framed(ByteView data) {
  if (!is_stun(data) || data.size() > kMaxDatagram) return false;
  ByteReader reader(data.subspan(2));
  const std::size_t length = reader.u16();
  return length == data.size() - wire::kHeaderSize && length % 4 == 0;
}

std::optional<Address> read_xor_mapped(ByteView value, const TransactionId& transaction) {
  ByteReader reader(value);
  reader.skip(1);
  const std::uint8_t family = reader.u8();
  Address address;
  address.family = family == 1 ? Address::Family::v4 : family == 2 ? Address::Family::v6 : Address::Family::none;
  address.port = static_cast<std::uint16_t>(reader.u16() ^ wire::kMagicCookie >> 16);
  const std::size_t size = family == 1 ? 4 : 16;
  const ByteView ip = reader.bytes(size);
  if (!reader.ok() || reader.remaining() != 0 || !address.valid()) return std::nullopt;
  for (std::size_t i = 0; i < size; ++i) {
    const auto mask = i < 4 ? static_cast<std::uint8_t>(wire::kMagicCookie >> (24 - 8 * i))
                            : static_cast<std::uint8_t>(transaction[i - 4]);
    address.ip[i] = static_cast<std::uint8_t>(ip[i]) ^ mask;
  }
  return address;
}

template <class Integer>
bool read_integer(ByteView value, std::optional<Integer>& into) {
  if (value.size() != sizeof(Integer)) return false;
  ByteReader reader(value);
  if (!into) into = static_cast<Integer>(sizeof(Integer) == 8 ? reader.u64() : reader.u32());
  return true;
}

/// Of an attribute that comes twice the first counts (RFC 5389 15). False: the message is malformed.
bool read_attribute(const Attribute& attribute, Message& message) {
  const ByteView value = attribute.value;
  switch (attribute.type) {
    case wire::kUsername:
      if (value.size() > wire::kMaxUsername) return false;
      if (message.username.empty()) message.username = as_text(value);
      return true;
    case wire::kXorMappedAddress: {
      const auto address = read_xor_mapped(value, message.transaction);
      if (!message.mapped) message.mapped = address;
      return address.has_value();
    }
    case wire::kErrorCode: {
      ByteReader reader(value);
      reader.skip(2);
      const unsigned hundreds = reader.u8() & 7U;
      const unsigned number = reader.u8();
      if (!reader.ok() || hundreds < 3 || hundreds > 6 || number > 99) return false;
      if (message.error_code == 0) message.error_code = static_cast<std::uint16_t>(hundreds * 100 + number);
      return true;
    }
    case wire::kPriority:
      return read_integer(value, message.priority);
    case wire::kIceControlling:
      return read_integer(value, message.ice_controlling);
    case wire::kIceControlled:
      return read_integer(value, message.ice_controlled);
    case wire::kUseCandidate:
      message.use_candidate = true;
      return value.empty();
    case wire::kMappedAddress:
    case wire::kUnknownAttributes:
    case wire::kRealm:
    case wire::kNonce:
      return true;  // understood, and of no use to ICE
    default:
      return attribute.type >= wire::kFirstOptional;
  }
}

bool fingerprint_matches(ByteView data, const Attribute& attribute) {
  if (attribute.value.size() != 4) return false;
  return ByteReader(attribute.value).u32() == (wire::crc32(data.first(attribute.position)) ^ wire::kFingerprintMask);
}

}  // namespace

bool is_stun(ByteView data) {
  if (data.size() < wire::kHeaderSize || static_cast<std::uint8_t>(data[0]) > 3) return false;
  return ByteReader(data.subspan(4)).u32() == wire::kMagicCookie;
}

std::optional<Message> parse(ByteView data) {
  if (!framed(data)) return std::nullopt;
  const auto message_class = class_of(ByteReader(data).u16());
  if (!message_class) return std::nullopt;
  Message message;
  message.message_class = *message_class;
  std::copy_n(data.begin() + 8, message.transaction.size(), message.transaction.begin());

  wire::AttributeWalk walk(data);
  while (const auto attribute = walk.next()) {
    if (message.has_fingerprint) return std::nullopt;  // it is the last one, RFC 5389 15.5
    if (attribute->type == wire::kFingerprint) {
      if (!fingerprint_matches(data, *attribute)) return std::nullopt;
      message.has_fingerprint = true;
    } else if (message.has_integrity) {
      continue;  // what follows MESSAGE-INTEGRITY is not protected by it and is ignored, RFC 5389 15.4
    } else if (attribute->type == wire::kMessageIntegrity) {
      if (attribute->value.size() != wire::kIntegritySize) return std::nullopt;
      message.has_integrity = true;
    } else if (!read_attribute(*attribute, message)) {
      return std::nullopt;
    }
  }
  if (!walk.ok()) return std::nullopt;
  return message;
}

bool verify(ByteView data, std::string_view password) {
  if (!framed(data) || password.empty()) return false;
  wire::AttributeWalk walk(data);
  while (const auto attribute = walk.next()) {
    if (attribute->type != wire::kMessageIntegrity) continue;
    return equal_constant_time(attribute->value, wire::integrity(data, attribute->position, password));
  }
  return false;
}

std::optional<std::string_view> local_ufrag_of(ByteView stun_datagram) {
  if (!framed(stun_datagram) || ByteReader(stun_datagram).u16() != wire::binding_type(Class::request)) {
    return std::nullopt;
  }
  wire::AttributeWalk walk(stun_datagram);
  while (const auto attribute = walk.next()) {
    if (attribute->type == wire::kMessageIntegrity) break;
    if (attribute->type != wire::kUsername) continue;
    const std::string_view username = as_text(attribute->value);
    const std::size_t colon = username.find(':');
    if (colon == std::string_view::npos) break;
    return username.substr(0, colon);
  }
  return std::nullopt;
}

std::optional<TransactionId> response_transaction(ByteView data) {
  if (!framed(data)) return std::nullopt;
  const std::uint16_t type = ByteReader(data).u16();
  if (type != wire::binding_type(Class::success) && type != wire::binding_type(Class::error)) return std::nullopt;
  TransactionId transaction;
  std::copy_n(data.begin() + 8, transaction.size(), transaction.begin());
  return transaction;
}

}  // namespace amphi::stun
