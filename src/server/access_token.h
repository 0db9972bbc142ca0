// Access tokens: JWT (RFC 7519), HS256 only, with the claims of docs/protocol.md. One algorithm and one parser: the signature is checked
// over the text as it came, and only then are the claims read (decision 0026). Thread: any; pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace amphi::server {

struct Grants {
  bool publish = false;
  bool subscribe = false;
  bool record = false;
  bool admin = false;       // over REST: every session, and what concerns all; means nothing inside a session
  bool recordings = false;  // over REST: the session's recordings and exports may be read; `record` and `admin` imply it
  bool operator==(const Grants&) const = default;
};
std::vector<std::string> names(const Grants& grants);
/// nullopt-like: an unknown name is an error.
Result<Grants> parse_grants(const std::vector<std::string>& names);

struct AccessToken {
  SessionId session;
  std::string identity;
  Grants grants;
  std::int64_t expires_at = 0;  // seconds since 1970
  std::string name;             // may be empty
  std::int64_t not_before = 0;  // seconds since 1970; 0: none
  std::string signature;        // of the text that was read: tells tokens apart
  bool superseded = false;      // signed with a key from before a reload (token_keys.h)
};

/// One text for session and identity together: the key of limits per identity.
inline std::string identity_key(const SessionId& session, const std::string& identity) { return session.value + "\n" + identity; }
inline std::string identity_key(const AccessToken& token) { return identity_key(token.session, token.identity); }

constexpr std::size_t kMaxTokenSize = 8192;
constexpr std::size_t kMinKeySize = 32;  // RFC 7518 3.2: at least as long as the hash

/// Every refusal is `unauthorized`, with a sentence that says what was wrong and repeats nothing of the token.
/// Right in everything but, perhaps, its times. `audience`: the server's name, which a token with `aud` must name (RFC 7519 4.1.3); where
/// it is empty, a token with `aud` is refused.
Result<AccessToken> read_token(std::string_view token, ByteView key, std::string_view audience = {});
bool has_expired(const AccessToken& token, WallTime now);
Error expired();
Error invalid_signature();
/// Right in everything but, perhaps, its expiry: that is the caller's to judge, and no reason to send away who is in already (decision 0012).
/// `nbf` is taken with 30 s of leeway.
Result<AccessToken> verify_token_but_expiry(std::string_view token, ByteView key, WallTime now, std::string_view audience = {});
/// Right in everything.
Result<AccessToken> verify_token(std::string_view token, ByteView key, WallTime now, std::string_view audience = {});
/// Errors: invalid_argument (an empty or unsafe session, an identity or name that is no plain text, a short key).
Result<std::string> make_token(const AccessToken& claims, ByteView key);

/// What may name a session in an address and a folder on disk: 1 to 64 of [A-Za-z0-9_-] and dots that do not lead.
bool is_session_name(std::string_view name);

}  // namespace amphi::server
