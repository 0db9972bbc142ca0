#include "server/access_token.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/digest.h"
#include "base/text.h"

namespace amphi::server {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kLastSecond = 253'402'300'799;  // of the year 9999
constexpr std::int64_t kLeewaySeconds = 30;            // of nbf: clocks differ
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct GrantName {
  const char* name;
  bool Grants::*member;
};
constexpr GrantName kGrants[] = {{"publish", &Grants::publish}, {"subscribe", &Grants::subscribe}, {"record", &Grants::record},
                                 {"recordings", &Grants::recordings}, {"admin", &Grants::admin}};

/// False: this server does not know it.
bool add_grant(std::string_view name, Grants& grants) {
  for (const auto& known : kGrants)
    if (name == known.name) return grants.*known.member = true;
  return false;
}

tl::unexpected<Error> refuse(std::string why) { return fail(ErrorCode::unauthorized, std::move(why)); }

// --- base64url without padding (RFC 7515 2) ------------------------------------------------------------------------------

std::string encode_base64url(ByteView bytes) {
  std::string text;
  std::uint32_t bits = 0;
  int count = 0;
  for (const std::byte byte : bytes) {
    bits = bits << 8 | static_cast<std::uint8_t>(byte);
    for (count += 8; count >= 6; count -= 6) text += kAlphabet[bits >> (count - 6) & 63];
  }
  if (count > 0) text += kAlphabet[bits << (6 - count) & 63];
  return text;
}

std::optional<std::string> decode_base64url(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const auto value = kAlphabet.find(c);
    if (value == kAlphabet.npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if ((count += 6) < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count);
  }
  return bytes;
}

struct Parts {
  std::string_view header, claims, signature, signed_part;
};
std::optional<Parts> split(std::string_view token) {
  const auto first = token.find('.'), last = token.rfind('.');
  if (first == token.npos || first == last || token.find('.', first + 1) != last) return std::nullopt;
  return Parts{token.substr(0, first), token.substr(first + 1, last - first - 1), token.substr(last + 1), token.substr(0, last)};
}

/// nullopt: no JSON object.
std::optional<Json> read_object(std::string_view part) {
  const auto text = decode_base64url(part);
  Json json = text ? Json::parse(*text, nullptr, false) : Json();
  return json.is_object() ? std::optional(std::move(json)) : std::nullopt;
}

// --- header and claims ---------------------------------------------------------------------------------------------------

Result<void> check_header(const Json& header) {
  const auto alg = header.find("alg");
  if (alg == header.end() || *alg != "HS256") return refuse("Only tokens signed with HS256 are taken.");
  // RFC 7515 4.1.11: it names extensions that must be understood, and this server understands none.
  if (header.contains("crit")) return refuse("The token's header has `crit`: this server knows no critical extension.");
  return {};
}

const std::string* text_claim(const Json& claims, const char* name) {
  const auto found = claims.find(name);
  return found == claims.end() ? nullptr : found->get_ptr<const std::string*>();
}

/// A NumericDate (RFC 7519 2): seconds since 1970, also with a fraction. nullopt: absent, and `absent` is true; or wrong.
struct Instant {
  bool absent = false;
  std::optional<double> seconds;
};
Instant instant_claim(const Json& claims, const char* name) {
  const auto found = claims.find(name);
  if (found == claims.end()) return {true, {}};
  if (!found->is_number()) return {};
  const double seconds = found->get<double>();
  if (!std::isfinite(seconds) || seconds < 0 || seconds > static_cast<double>(kLastSecond)) return {};
  return {false, seconds};
}

Result<void> read_times(const Json& claims, AccessToken& token) {
  const Instant exp = instant_claim(claims, "exp"), nbf = instant_claim(claims, "nbf"), iat = instant_claim(claims, "iat");
  if (exp.absent) return refuse("The token has no expiry (exp).");
  for (const auto& [name, instant] : {std::pair{"exp", exp}, {"nbf", nbf}, {"iat", iat}})
    if (!instant.absent && !instant.seconds) return refuse(std::string("The token's `") + name + "` must be a number of seconds since 1970, at most 253402300799.");
  token.expires_at = static_cast<std::int64_t>(std::ceil(*exp.seconds));
  if (nbf.seconds) token.not_before = static_cast<std::int64_t>(std::floor(*nbf.seconds));
  return {};
}

Result<void> check_names(const std::string& identity, const std::string& name) {
  if (identity.empty() || identity.size() > 256 || characters(identity) > 128)
    return refuse("The token's identity must have 1 to 128 characters, and at most 256 bytes.");
  if (!is_plain_text(identity)) return refuse("The token's identity " + std::string(kPlainTextRule) + ".");
  if (!has_visible_character(identity)) return refuse("The token's identity must have a visible character.");
  if (!is_plain_text(name)) return refuse("The token's name " + std::string(kPlainTextRule) + ".");
  return {};
}

Result<void> check_audience(const Json& claims, std::string_view audience) {
  const auto aud = claims.find("aud");
  if (aud == claims.end()) return {};
  if (audience.empty()) return refuse("The token names an audience (aud), and the server has no name: start it with --token-audience NAME, or leave `aud` out.");
  const auto names_it = [&](const Json& name) { return name.is_string() && name.get_ref<const std::string&>() == audience; };
  if (names_it(*aud) || (aud->is_array() && std::any_of(aud->begin(), aud->end(), names_it))) return {};
  return refuse("The token is for another audience (aud).");
}

Result<AccessToken> read_claims(const Json& claims, std::string_view audience) {
  AccessToken token;
  if (auto times = read_times(claims, token); !times) return tl::unexpected(times.error());
  if (auto checked = check_audience(claims, audience); !checked) return tl::unexpected(checked.error());

  const auto* session = text_claim(claims, "session");
  if (!session || !is_session_name(*session)) return refuse("The token names no session, or not a valid one.");
  token.session = SessionId(*session);

  const auto* identity = text_claim(claims, "identity");
  if (!identity) return refuse("The token has no identity.");
  token.identity = *identity;
  if (const auto* name = text_claim(claims, "name")) token.name = *name;
  if (auto checked = check_names(token.identity, token.name); !checked) return tl::unexpected(checked.error());

  const auto grants = claims.find("grants");
  if (grants == claims.end() || !grants->is_array()) return refuse("The token has no grants.");
  for (const auto& grant : *grants) {
    // A grant that this server does not know gives nothing; it does not make the others void.
    if (const auto* text = grant.get_ptr<const std::string*>()) (void)add_grant(*text, token.grants);
  }
  return token;
}

}  // namespace

std::vector<std::string> names(const Grants& grants) {
  std::vector<std::string> all;
  for (const auto& known : kGrants)
    if (grants.*known.member) all.emplace_back(known.name);
  return all;
}

Result<Grants> parse_grants(const std::vector<std::string>& given) {
  Grants grants;
  for (const auto& name : given)
    if (!add_grant(name, grants))
      return fail(ErrorCode::invalid_argument, "unknown grant '" + name + "': publish, subscribe, record, recordings or admin");
  return grants;
}

bool is_session_name(std::string_view name) {
  if (name.empty() || name.size() > 64 || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

Result<AccessToken> read_token(std::string_view text, ByteView key, std::string_view audience) {
  if (text.empty()) return refuse("A token is needed.");
  const auto parts = text.size() > kMaxTokenSize ? std::nullopt : split(text);
  const auto header = parts ? read_object(parts->header) : std::nullopt;
  if (!header) return refuse("The token is not a JWT.");
  if (key.size() < kMinKeySize) return refuse("The server has no key.");
  if (auto checked = check_header(*header); !checked) return tl::unexpected(checked.error());
  // Compared as text, so that exactly one spelling of a signature is right.
  const auto expected = encode_base64url(hmac_sha256(key, as_bytes(parts->signed_part)));
  if (!equal_constant_time(as_bytes(parts->signature), as_bytes(expected))) return tl::unexpected(invalid_signature());
  const auto claims = read_object(parts->claims);
  if (!claims) return refuse("The token's claims are no JSON object.");
  auto token = read_claims(*claims, audience);
  if (token) token->signature = expected;
  return token;
}

bool has_expired(const AccessToken& token, WallTime now) { return token.expires_at <= now.unix_ms / 1000; }

Error expired() { return {ErrorCode::unauthorized, "The token has expired."}; }

Error invalid_signature() { return {ErrorCode::unauthorized, "The token's signature is not valid."}; }

Result<AccessToken> verify_token_but_expiry(std::string_view text, ByteView key, WallTime now, std::string_view audience) {
  auto token = read_token(text, key, audience);
  if (token && now.unix_ms / 1000 + kLeewaySeconds < token->not_before) return refuse("The token is not valid yet (nbf).");
  return token;
}

Result<AccessToken> verify_token(std::string_view text, ByteView key, WallTime now, std::string_view audience) {
  auto token = verify_token_but_expiry(text, key, now, audience);
  if (token && has_expired(*token, now)) return tl::unexpected(expired());
  return token;
}

Result<std::string> make_token(const AccessToken& claims, ByteView key) {
  if (key.size() < kMinKeySize) return fail(ErrorCode::invalid_argument, "the key must have at least 32 bytes");
  if (!is_session_name(claims.session.value))
    return fail(ErrorCode::invalid_argument, "a session's name is 1 to 64 of A-Z a-z 0-9 _ - .");
  if (auto checked = check_names(claims.identity, claims.name); !checked) return fail(ErrorCode::invalid_argument, checked.error().message);
  Json body{{"session", claims.session.value},
            {"identity", claims.identity},
            {"grants", names(claims.grants)},
            {"exp", claims.expires_at}};
  if (claims.not_before != 0) body["nbf"] = claims.not_before;
  if (!claims.name.empty()) body["name"] = claims.name;
  const std::string signed_part = encode_base64url(as_bytes(R"({"alg":"HS256","typ":"JWT"})")) + "." + encode_base64url(as_bytes(body.dump()));
  return signed_part + "." + encode_base64url(hmac_sha256(key, as_bytes(signed_part)));
}

}  // namespace amphi::server
