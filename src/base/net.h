// Addresses and datagrams as values, and the batch into which a hot path writes what it sends.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace amphi {

/// An IPv4 or IPv6 address with a UDP port.
struct Address {
  enum class Family : std::uint8_t { none, v4, v6 };
  Family family = Family::none;
  std::uint16_t port = 0;
  std::array<std::uint8_t, 16> ip{};  // v4 uses the first four bytes, the rest are zero

  static Address v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d, std::uint16_t port);
  /// "192.0.2.1" or "2001:db8::1"; never resolves a name.
  static std::optional<Address> parse(const std::string& ip, std::uint16_t port);
  /// "192.0.2.1:80" or "[2001:db8::1]:80".
  static std::optional<Address> parse_with_port(const std::string& text);
  std::string ip_text() const;
  /// "192.0.2.1:5000" or "[2001:db8::1]:5000".
  std::string text() const;
  bool valid() const { return family != Family::none; }
  /// 127.0.0.0/8 and ::1, also as IPv4 in IPv6.
  bool is_loopback() const;
  auto operator<=>(const Address&) const = default;
};

/// One datagram that arrived: `data` is borrowed from the receiver's buffer and may be decrypted in place.
struct Datagram {
  Address remote;  // who sent it
  Address local;   // at which of our addresses it arrived
  MutableBytes data;
};

/// One datagram to send, owning its bytes: for everything that is not the hot path.
struct Transmit {
  Address local;   // from which of our addresses
  Address remote;
  Bytes data;
};

constexpr std::size_t kMaxDatagram = 1500;

/// What a worker lends to the hot path: write ciphertext into `slot()`, then `commit` it. The runtime flushes with
/// sendmmsg once per batch; a test collects. Thread: the worker's.
class SendBatch {
 public:
  virtual ~SendBatch() = default;
  /// At least kMaxDatagram bytes; the same slot until commit is called.
  virtual MutableBytes slot() = 0;
  virtual void commit(std::size_t size, const Address& local, const Address& remote) = 0;

  void send(const Transmit& t) {
    MutableBytes out = slot();
    if (t.data.size() > out.size()) return;
    std::memcpy(out.data(), t.data.data(), t.data.size());
    commit(t.data.size(), t.local, t.remote);
  }
};

}  // namespace amphi

template <>
struct std::hash<amphi::Address> {
  std::size_t operator()(const amphi::Address& a) const noexcept;
};
