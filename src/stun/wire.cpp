#include "stun/wire.h"

#include <algorithm>

#include "base/digest.h"
#include "base/net.h"

namespace amphi::stun::wire {

namespace {

constexpr std::array<std::uint32_t, 16> make_table() {
  std::array<std::uint32_t, 16> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 4; ++bit) value = value >> 1 ^ ((value & 1) != 0 ? 0xedb88320 : 0);
    table[i] = value;
  }
  return table;
}

}  // namespace

std::uint32_t crc32(ByteView data) {
  static constexpr auto kTable = make_table();
  std::uint32_t crc = 0xffffffff;
  for (const std::byte b : data) {
    crc ^= static_cast<std::uint8_t>(b);
    crc = crc >> 4 ^ kTable[crc & 15];
    crc = crc >> 4 ^ kTable[crc & 15];
  }
  return ~crc;
}

std::array<std::byte, kIntegritySize> integrity(ByteView message, std::size_t position, std::string_view password) {
  std::array<std::byte, kMaxDatagram> copy;
  std::copy_n(message.begin(), position, copy.begin());
  const std::size_t length = position + kAttributeHeaderSize + kIntegritySize - kHeaderSize;
  copy[2] = static_cast<std::byte>(length >> 8);
  copy[3] = static_cast<std::byte>(length);
  return hmac_sha1(as_bytes(password), ByteView(copy).first(position));
}

}  // namespace amphi::stun::wire
