// DTLS 1.2 (RFC 6347) with use_srtp (RFC 5764) as a state machine around OpenSSL with memory BIOs: bytes and a time in,
// bytes and a deadline out. The peer's certificate is checked against the fingerprint from the session description
// (RFC 8122); a mismatch fails the transport, and no key is ever given out.
//
// Thread: its owner's; a Certificate is const data for any thread. OpenSSL's own retransmission clock is never used,
// and keys come from OpenSSL's random generator, the one source that it trusts.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/counters.h"
#include "base/result.h"
#include "base/time.h"

namespace amphi::dtls {

/// "sha-256" and its value as SDP writes it: upper-case hex pairs with colons (RFC 8122 5).
struct Fingerprint {
  std::string algorithm;
  std::string value;
  bool operator==(const Fingerprint&) const = default;
};

/// The certificate fingerprints in a description, all of one algorithm. The certificate must match one of them (RFC 8122 5).
struct Fingerprints {
  std::string algorithm;
  std::vector<std::string> values;
  Fingerprints() = default;
  Fingerprints(std::string of, std::vector<std::string> any) : algorithm(std::move(of)), values(std::move(any)) {}
  Fingerprints(const Fingerprint& one) : algorithm(one.algorithm), values{one.value} {}
  bool operator==(const Fingerprints&) const = default;
};

/// A self-signed ECDSA P-256 certificate with its key; one per process is shared by many transports (const data).
class Certificate {
 public:
  static Result<std::shared_ptr<const Certificate>> generate();
  ~Certificate();
  const Fingerprint& fingerprint() const;

  struct Impl;
  explicit Certificate(std::unique_ptr<Impl> impl);
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

enum class Role { client, server };
enum class State { idle, handshaking, connected, failed, closed };
enum class SrtpProfile : std::uint16_t { aes128_cm_sha1_80 = 0x0001, aead_aes_128_gcm = 0x0007 };

/// RFC 5764 4.2: key and salt of each direction. Wiped on destruction.
struct SrtpKeys {
  SrtpProfile profile = SrtpProfile::aead_aes_128_gcm;
  Bytes local;   // key || salt for what we send
  Bytes remote;  // key || salt for what we receive
  ~SrtpKeys();
  SrtpKeys() = default;
  SrtpKeys(SrtpKeys&&) = default;
  SrtpKeys& operator=(SrtpKeys&&) = default;
};

struct Connected {
  SrtpKeys keys;
};
struct Failed {
  Error error;  // fingerprint_mismatch, timeout, or internal with OpenSSL's words
};
struct Closed {};  // close_notify from the peer
using Output = std::variant<Bytes /* one datagram to send */, Connected, Failed, Closed>;

enum class Drop { not_dtls, too_early_overflow, after_end, count_ };
std::string_view counter_name(Drop drop);

class Transport {
 public:
  /// A server may be fed before set_remote_fingerprint: it keeps up to 8 early datagrams (a ClientHello that overtakes
  /// the answer) and goes on once the fingerprint is known.
  /// `profiles` in order of preference.
  Transport(Role role, std::shared_ptr<const Certificate> certificate,
            std::vector<SrtpProfile> profiles = {SrtpProfile::aead_aes_128_gcm, SrtpProfile::aes128_cm_sha1_80});
  ~Transport();

  /// Of a handshake that has not begun: false, and nothing changes, where it has begun in another role (RFC 8842: another
  /// role needs another association).
  bool set_role(Role role);
  Role role() const;

  /// sha-256, sha-384 or sha-512; anything else never matches. Without effect once the handshake is over.
  void set_remote_fingerprint(Fingerprints expected, Time now);
  /// The handshake must be over 15 s from now on, whichever end begins it. The first call counts.
  void set_deadline(Time now);
  /// The client sends its ClientHello; called when ICE has a pair. A server waits for it.
  void start(Time now);
  void close(Time now);  // sends close_notify

  static bool accepts(ByteView data) noexcept;  // RFC 7983: first byte 20..63
  void handle_input(ByteView data, Time now);
  void handle_timeout(Time now);
  std::optional<Output> poll_output();
  Time next_timeout() const noexcept;

  State state() const;
  const Counters<Drop>& drops() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace amphi::dtls
