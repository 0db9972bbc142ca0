// SRTP and SRTCP by libsrtp2: one session per direction, streams made from a wildcard as SSRCs appear.
// Thread: its owner's; libsrtp's only global state, its table of ciphers, is written once and read afterwards.
#include <arpa/inet.h>
#include <srtp2/srtp.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "srtp/context.h"

namespace amphi::srtp {
namespace {

constexpr unsigned long kReplayWindow = 1024;
constexpr std::size_t kMinRtp = 12;
constexpr std::size_t kMinRtcp = 8;
constexpr std::size_t kRtcpIndex = 4;  // the E flag and the index after every SRTCP packet

/// The SSRCs that the other end uses. libsrtp makes a stream for each, for as long as the session lives, so their number is what feeds
/// that come and go, and an authentic but malicious peer, make grow.
class Sources {
 public:
  /// An authentic packet of this source has come. Gives the source that is to be forgotten for it, if there is one.
  std::optional<std::uint32_t> heard(std::uint32_t ssrc) {
    ++packets_;
    auto at = std::lower_bound(sources_.begin(), sources_.end(), ssrc, [](const Source& s, std::uint32_t n) { return s.ssrc < n; });
    if (at != sources_.end() && at->ssrc == ssrc) {
      at->last = packets_;
      return std::nullopt;
    }
    at = sources_.insert(at, {ssrc, packets_});
    if (sources_.size() <= kMaxSources) return std::nullopt;
    const auto silent = std::min_element(sources_.begin(), sources_.end(), [](const Source& a, const Source& b) { return a.last < b.last; });
    const std::uint32_t forgotten = silent->ssrc;
    sources_.erase(silent);
    return forgotten;
  }

 private:
  struct Source {
    std::uint32_t ssrc = 0;
    std::uint64_t last = 0;  // its newest packet, of all
  };
  std::vector<Source> sources_;  // sorted
  std::uint64_t packets_ = 0;
};

void wipe(MutableBytes secret) {
  // volatile: a plain store to memory that dies next may be left out.
  for (std::byte& b : secret) *const_cast<volatile std::byte*>(&b) = std::byte{0};
}

struct Deallocate {
  void operator()(srtp_t session) const { srtp_dealloc(session); }
};
using Session = std::unique_ptr<srtp_ctx_t, Deallocate>;

Verdict verdict(srtp_err_status_t status) {
  switch (status) {
    case srtp_err_status_ok:
      return Verdict::ok;
    case srtp_err_status_replay_fail:
    case srtp_err_status_replay_old:
    case srtp_err_status_pkt_idx_old:
      return Verdict::replayed;
    case srtp_err_status_auth_fail:
    case srtp_err_status_cipher_fail:
      return Verdict::authentication_failed;
    default:
      return Verdict::malformed;
  }
}

bool is_version_2(ByteView packet) {
  return (static_cast<std::uint8_t>(packet[0]) & 0xc0) == 0x80;
}

std::uint32_t ssrc_at(ByteView packet, std::size_t offset) {
  return ByteReader(packet.subspan(offset)).u32();
}

class LibsrtpContext final : public Context {
 public:
  LibsrtpContext(Profile profile, Session out, Session in)
      : tag_(profile == Profile::aead_aes_128_gcm ? 16 : 10), out_(std::move(out)), in_(std::move(in)) {}

  Verdict protect_rtp(MutableBytes buffer, std::size_t& size) override {
    return protect(&srtp_protect, buffer, size, kMinRtp, tag_);
  }
  Verdict protect_rtcp(MutableBytes buffer, std::size_t& size) override {
    return protect(&srtp_protect_rtcp, buffer, size, kMinRtcp, tag_ + kRtcpIndex);
  }
  Verdict unprotect_rtp(MutableBytes buffer, std::size_t& size) override {
    return unprotect(&srtp_unprotect, buffer, size, kMinRtp, tag_, 8);
  }
  Verdict unprotect_rtcp(MutableBytes buffer, std::size_t& size) override {
    return unprotect(&srtp_unprotect_rtcp, buffer, size, kMinRtcp, tag_ + kRtcpIndex, 4);
  }
  void retire(std::uint32_t ssrc) override { srtp_remove_stream(out_.get(), htonl(ssrc)); }

 private:
  using Transform = srtp_err_status_t (*)(srtp_t, void*, int*);

  Verdict protect(Transform transform, MutableBytes buffer, std::size_t& size, std::size_t min, std::size_t trailer) {
    if (size > buffer.size() || size < min || size > 0xffff || !is_version_2(buffer)) return Verdict::malformed;
    if (buffer.size() - size < trailer) return Verdict::no_room;
    return run(transform, out_.get(), buffer, size);
  }

  Verdict unprotect(Transform transform, MutableBytes buffer, std::size_t& size, std::size_t min, std::size_t trailer,
                    std::size_t ssrc_offset) {
    if (size > buffer.size() || size < min + trailer || size > 0xffff || !is_version_2(buffer)) {
      return Verdict::malformed;
    }
    const std::uint32_t ssrc = ssrc_at(buffer, ssrc_offset);
    const Verdict result = run(transform, in_.get(), buffer, size);
    if (result != Verdict::ok) return result;
    if (const auto forgotten = sources_.heard(ssrc)) srtp_remove_stream(in_.get(), htonl(*forgotten));
    return result;
  }

  static Verdict run(Transform transform, srtp_t session, MutableBytes buffer, std::size_t& size) {
    int length = static_cast<int>(size);
    const Verdict result = verdict(transform(session, buffer.data(), &length));
    if (result == Verdict::ok) size = static_cast<std::size_t>(length);
    return result;
  }

  std::size_t tag_;
  Session out_;
  Session in_;
  Sources sources_;
};

Result<Session> make_session(Profile profile, ByteView master, srtp_ssrc_type_t direction) {
  std::array<std::byte, SRTP_MAX_KEY_LEN> key{};
  std::copy(master.begin(), master.end(), key.begin());
  srtp_policy_t policy{};
  if (profile == Profile::aead_aes_128_gcm) {
    srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
    srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
  } else {
    srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtp);
    srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtcp);
  }
  policy.ssrc.type = direction;
  policy.key = reinterpret_cast<unsigned char*>(key.data());
  policy.window_size = kReplayWindow;
  policy.allow_repeat_tx = 0;
  srtp_t session = nullptr;
  const srtp_err_status_t status = srtp_create(&session, &policy);
  wipe(key);
  if (status != srtp_err_status_ok) {
    return fail(ErrorCode::internal, "libsrtp cannot make a session (status " + std::to_string(status) + ")");
  }
  return Session(session);
}

}  // namespace

std::size_t master_length(Profile profile) {
  return profile == Profile::aead_aes_128_gcm ? 28 : 30;
}

Result<std::unique_ptr<Context>> make_context(Profile profile, ByteView local, ByteView remote) {
  if (profile != Profile::aead_aes_128_gcm && profile != Profile::aes128_cm_sha1_80) {
    return fail(ErrorCode::unsupported, "an SRTP profile that is not offered");
  }
  if (local.size() != master_length(profile) || remote.size() != master_length(profile)) {
    return fail(ErrorCode::invalid_argument, "an SRTP master key and salt of the wrong length");
  }
  // The language runs this once, whichever thread comes first; srtp_shutdown is left to the end of the process.
  static const srtp_err_status_t ready = srtp_init();
  if (ready != srtp_err_status_ok) return fail(ErrorCode::internal, "libsrtp failed its own tests at start");

  auto out = make_session(profile, local, ssrc_any_outbound);
  if (!out) return tl::unexpected(std::move(out.error()));
  auto in = make_session(profile, remote, ssrc_any_inbound);
  if (!in) return tl::unexpected(std::move(in.error()));
  return std::make_unique<LibsrtpContext>(profile, std::move(*out), std::move(*in));
}

}  // namespace amphi::srtp
