// SRTP and SRTCP (RFC 3711, RFC 7714) behind one interface. `Context` is one direction pair of one transport.
// The first implementation is libsrtp2, which stays as the oracle for any faster one.
//
// Thread: its owner's. Nothing here allocates per packet once an SSRC has been seen.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"

namespace amphi::srtp {

enum class Profile : std::uint16_t { aes128_cm_sha1_80 = 0x0001, aead_aes_128_gcm = 0x0007 };
/// Length of key || salt (RFC 5764 4.1.2, RFC 7714 12): 30 and 28.
std::size_t master_length(Profile profile);
/// The most that protect adds to a packet (RTCP's index and E flag included).
constexpr std::size_t kMaxTrailer = 24;

/// SSRCs of the other end that are known at a time. Past it, the one that has been silent for the longest is forgotten.
constexpr std::size_t kMaxSources = 1024;

/// replayed: also from protect, for a sequence number that was protected before. The same number under the same key must
/// never carry other bytes (with GCM that gives the key away), so a packet is sent again by RTX or as stored ciphertext.
enum class Verdict { ok, malformed, authentication_failed, replayed, no_room };

class Context {
 public:
  virtual ~Context() = default;
  /// In place: `size` bytes of plaintext at the front of `buffer`; on ok the result is `size` bytes long. Otherwise
  /// `size` is as it was, and what follows the header in `buffer` is undefined.
  virtual Verdict protect_rtp(MutableBytes buffer, std::size_t& size) = 0;
  virtual Verdict protect_rtcp(MutableBytes buffer, std::size_t& size) = 0;
  virtual Verdict unprotect_rtp(MutableBytes buffer, std::size_t& size) = 0;
  virtual Verdict unprotect_rtcp(MutableBytes buffer, std::size_t& size) = 0;
  /// An SSRC of ours under which nothing will ever be sent again: what is kept of it goes.
  virtual void retire(std::uint32_t ssrc) = 0;
};

/// `local` and `remote` are key || salt. Errors: invalid_argument for wrong lengths.
Result<std::unique_ptr<Context>> make_context(Profile profile, ByteView local, ByteView remote);

}  // namespace amphi::srtp
