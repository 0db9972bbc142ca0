// The DTLS machine around one SSL: what arrives is fed in datagram by datagram, what OpenSSL writes goes out as it was
// written, and time is ours (RFC 6347 4.2.4 for the back-off, RFC 5764 4.2 for the keys).
#include "dtls/transport.h"

#include <openssl/crypto.h>
#include <openssl/srtp.h>

#include <algorithm>
#include <deque>

#include "dtls/datagram_bio.h"
#include "dtls/openssl.h"

namespace amphi::dtls {
namespace {

constexpr std::size_t kMaxEarly = 8;
constexpr std::size_t kMaxEarlySize = 2048;
constexpr long kMtu = 1200;
constexpr Duration kHandshakeLimit = 15s;
// RFC 6347 4.2.4.1 says 1 s, and allows less where the round trip is known to be short: ICE has just measured it, and
// each lost datagram delays the first picture by this much.
constexpr Duration kFirstRetransmission = 200ms;
constexpr Duration kLastRetransmission = 3s;
constexpr unsigned kNeverInMicroseconds = 3'600'000'000U;

std::string profile_list(const std::vector<SrtpProfile>& profiles) {
  std::string list;
  for (const SrtpProfile profile : profiles) {
    if (!list.empty()) list += ':';
    list += profile == SrtpProfile::aead_aes_128_gcm ? "SRTP_AEAD_AES_128_GCM" : "SRTP_AES128_CM_SHA1_80";
  }
  return list;
}

unsigned never(SSL*, unsigned) {
  return kNeverInMicroseconds;
}
unsigned as_we_do(SSL*, unsigned last) {
  const auto ours = [](Duration d) {
    return static_cast<unsigned>(std::chrono::duration_cast<microseconds>(d).count());
  };
  return last == 0 ? ours(kFirstRetransmission) : std::min(last * 2, ours(kLastRetransmission));
}

}  // namespace

struct Transport::Impl {
  Impl(Role r, std::shared_ptr<const Certificate> c, const std::vector<SrtpProfile>& profiles);

  bool can_begin() const { return state == State::idle || state == State::handshaking; }
  void feed(ByteView data, Time now);
  void take_role();
  void set_deadline(Time now);
  void begin(Time now);
  void handshake(Time now);
  void read(Time now);
  void connected(Time now);
  Result<SrtpKeys> export_keys();
  void flush();
  void end_with(State last, Output output);
  void failed(ErrorCode code, std::string message);

  Role role;
  const std::shared_ptr<const Certificate> certificate;  // before ssl: outlives it
  DatagramBio bio;
  PeerCheck check;
  Ssl ssl;
  State state = State::idle;
  std::optional<Fingerprints> expected;
  std::deque<Bytes> early;
  std::deque<Output> outputs;
  Counters<Drop> drops;
  Time give_up_at = Time::max();
  Time retransmit_at = Time::max();
  Duration backoff = kFirstRetransmission;
};

Transport::Impl::Impl(Role r, std::shared_ptr<const Certificate> c, const std::vector<SrtpProfile>& profiles)
    : role(r), certificate(std::move(c)), ssl(SSL_new(certificate->impl().context.get())) {
  BIO* const io = ssl ? bio.make() : nullptr;
  if (!io) {
    failed(ErrorCode::internal, "cannot begin DTLS: " + last_openssl_error());
    return;
  }
  SSL_set_bio(ssl.get(), io, io);
  SSL_set_app_data(ssl.get(), &check);
  DTLS_set_link_mtu(ssl.get(), kMtu);
  DTLS_set_timer_cb(ssl.get(), DatagramBio::timer_is_ours() ? &never : &as_we_do);
  take_role();
  // Unlike its siblings this one gives 0 for success.
  if (SSL_set_tlsext_use_srtp(ssl.get(), profile_list(profiles).c_str()) != 0) {
    failed(ErrorCode::internal, "cannot offer use_srtp: " + last_openssl_error());
  }
}

void Transport::Impl::take_role() {
  if (role == Role::client) {
    SSL_set_connect_state(ssl.get());
  } else {
    SSL_set_accept_state(ssl.get());
  }
}

void Transport::Impl::set_deadline(Time now) {
  if (can_begin() && give_up_at == Time::max()) give_up_at = now + kHandshakeLimit;
}

void Transport::Impl::begin(Time now) {
  if (state != State::idle) return;
  state = State::handshaking;
  set_deadline(now);
}

void Transport::Impl::feed(ByteView data, Time now) {
  begin(now);
  bio.input = data;
  if (state == State::handshaking) {
    handshake(now);
  } else {
    read(now);
  }
  bio.input = {};
}

void Transport::Impl::handshake(Time now) {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl.get());
  const int reason = SSL_get_error(ssl.get(), result);
  const bool wrote = !bio.output.empty();
  flush();
  if (result == 1) return connected(now);
  if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
    ERR_clear_error();
    if (wrote) {  // a flight of ours: everything before it has arrived
      backoff = kFirstRetransmission;
      retransmit_at = now + backoff;
    }
    return;
  }
  if (check.mismatch) {
    ERR_clear_error();
    return failed(ErrorCode::fingerprint_mismatch, "the peer's certificate is not the one that its description names");
  }
  failed(ErrorCode::internal, "DTLS handshake: " + last_openssl_error());
}

void Transport::Impl::connected(Time now) {
  retransmit_at = give_up_at = Time::max();
  auto keys = export_keys();
  if (!keys) {
    SSL_shutdown(ssl.get());
    flush();
    return failed(keys.error().code, keys.error().message);
  }
  state = State::connected;
  outputs.emplace_back(Connected{std::move(*keys)});
  read(now);  // what stood behind the last handshake record
}

Result<SrtpKeys> Transport::Impl::export_keys() {
  const SRTP_PROTECTION_PROFILE* const selected = SSL_get_selected_srtp_profile(ssl.get());
  if (!selected) return fail(ErrorCode::unsupported, "the peer shares no SRTP profile");
  SrtpKeys keys;
  keys.profile = static_cast<SrtpProfile>(selected->id);
  constexpr std::size_t kKey = 16;
  const std::size_t salt = keys.profile == SrtpProfile::aead_aes_128_gcm ? 12 : 14;
  static constexpr std::string_view kLabel = "EXTRACTOR-dtls_srtp";
  std::array<unsigned char, 2 * (16 + 14)> material{};
  const std::size_t length = 2 * (kKey + salt);
  if (SSL_export_keying_material(ssl.get(), material.data(), length, kLabel.data(), kLabel.size(), nullptr, 0, 0) !=
      1) {
    return fail(ErrorCode::internal, "cannot export SRTP keys: " + last_openssl_error());
  }
  // RFC 5764 4.2: client key, server key, client salt, server salt.
  const ByteView all = std::as_bytes(std::span(material));
  const auto master = [&](std::size_t side) {
    Bytes out(kKey + salt);
    std::memcpy(out.data(), all.data() + side * kKey, kKey);
    std::memcpy(out.data() + kKey, all.data() + 2 * kKey + side * salt, salt);
    return out;
  };
  keys.local = master(role == Role::client ? 0 : 1);
  keys.remote = master(role == Role::client ? 1 : 0);
  OPENSSL_cleanse(material.data(), material.size());
  return keys;
}

void Transport::Impl::read(Time) {
  // Application data has no use here and is passed over; OpenSSL answers a repeated Finished by itself.
  std::array<unsigned char, 2048> ignored;
  for (;;) {
    ERR_clear_error();
    const int result = SSL_read(ssl.get(), ignored.data(), ignored.size());
    if (result > 0) continue;
    const int reason = SSL_get_error(ssl.get(), result);
    if (reason == SSL_ERROR_ZERO_RETURN) {
      SSL_shutdown(ssl.get());
      flush();
      end_with(State::closed, Closed{});
    } else if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) {
      flush();
      failed(ErrorCode::internal, "DTLS: " + last_openssl_error());
    }
    break;
  }
  ERR_clear_error();
  flush();
}

void Transport::Impl::flush() {
  for (Bytes& datagram : bio.output) outputs.emplace_back(std::move(datagram));
  bio.output.clear();
}

void Transport::Impl::end_with(State last, Output output) {
  state = last;
  retransmit_at = give_up_at = Time::max();
  early.clear();
  outputs.push_back(std::move(output));
}

void Transport::Impl::failed(ErrorCode code, std::string message) {
  end_with(State::failed, Failed{Error{code, std::move(message)}});
}

Transport::Transport(Role role, std::shared_ptr<const Certificate> certificate, std::vector<SrtpProfile> profiles)
    : impl_(std::make_unique<Impl>(role, std::move(certificate), profiles)) {}
Transport::~Transport() = default;

bool Transport::set_role(Role role) {
  Impl& me = *impl_;
  if (role == me.role) return true;
  if (me.state != State::idle) return false;
  me.role = role;
  me.early.clear();  // a ClientHello of an end that is the server
  me.take_role();
  return true;
}

Role Transport::role() const {
  return impl_->role;
}

void Transport::set_deadline(Time now) {
  impl_->set_deadline(now);
}

void Transport::set_remote_fingerprint(Fingerprints expected, Time now) {
  Impl& me = *impl_;
  if (!me.can_begin()) return;
  me.expected = std::move(expected);
  me.check.expected = &*me.expected;
  while (!me.early.empty()) {
    const Bytes datagram = std::move(me.early.front());
    me.early.pop_front();
    handle_input(datagram, now);
  }
}

void Transport::start(Time now) {
  Impl& me = *impl_;
  if (me.role != Role::client || me.state != State::idle) return;
  me.begin(now);
  me.handshake(now);
}

void Transport::close(Time) {
  Impl& me = *impl_;
  if (me.state == State::failed || me.state == State::closed) return;
  if (me.state == State::connected) {
    SSL_shutdown(me.ssl.get());
    ERR_clear_error();
    me.flush();
  }
  me.state = State::closed;
  me.retransmit_at = me.give_up_at = Time::max();
  me.early.clear();
}

bool Transport::accepts(ByteView data) noexcept {
  return !data.empty() && data[0] >= std::byte{20} && data[0] <= std::byte{63};
}

void Transport::handle_input(ByteView data, Time now) {
  Impl& me = *impl_;
  constexpr std::size_t kRecordHeader = 13;
  if (!accepts(data) || data.size() < kRecordHeader) return me.drops.add(Drop::not_dtls);
  if (me.state == State::failed || me.state == State::closed) return me.drops.add(Drop::after_end);
  const bool waits_for_start = me.role == Role::client && me.state == State::idle;
  if (me.expected && !waits_for_start) return me.feed(data, now);
  if (waits_for_start || me.early.size() == kMaxEarly || data.size() > kMaxEarlySize) {
    return me.drops.add(Drop::too_early_overflow);
  }
  me.early.push_back(to_bytes(data));
}

void Transport::handle_timeout(Time now) {
  Impl& me = *impl_;
  if (!me.can_begin()) return;
  if (now >= me.give_up_at) {
    const std::string_view missing = me.state == State::handshaking ? "the DTLS handshake was not completed"
                                     : me.role == Role::server     ? "no DTLS ClientHello came"
                                                                   : "DTLS could not begin";
    return me.failed(ErrorCode::timeout, std::string(missing) + " within 15 s");
  }
  if (me.state != State::handshaking) return;
  if (now < me.retransmit_at) return;
  me.backoff = std::min(me.backoff * 2, kLastRetransmission);
  me.retransmit_at = now + me.backoff;
  me.bio.expire_timer();
  ERR_clear_error();
  const int result = DTLSv1_handle_timeout(me.ssl.get());
  me.flush();
  if (result < 0) return me.failed(ErrorCode::timeout, "the DTLS peer does not answer: " + last_openssl_error());
  ERR_clear_error();
}

std::optional<Output> Transport::poll_output() {
  Impl& me = *impl_;
  if (me.outputs.empty()) return std::nullopt;
  std::optional<Output> out(std::move(me.outputs.front()));
  me.outputs.pop_front();
  return out;
}

Time Transport::next_timeout() const noexcept {
  return std::min(impl_->give_up_at, impl_->retransmit_at);
}
State Transport::state() const {
  return impl_->state;
}
const Counters<Drop>& Transport::drops() const {
  return impl_->drops;
}

std::string_view counter_name(Drop drop) {
  switch (drop) {
    case Drop::not_dtls:
      return "not_dtls";
    case Drop::too_early_overflow:
      return "too_early_overflow";
    case Drop::after_end:
      return "after_end";
    case Drop::count_:
      break;
  }
  return "";
}

}  // namespace amphi::dtls
