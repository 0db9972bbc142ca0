#include "server/access_token.h"

#include <jwt.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

namespace amphi::server {
namespace {

using Json = nlohmann::json;

struct JwtFree {
  void operator()(jwt_t* jwt) const { jwt_free(jwt); }
};
using Jwt = std::unique_ptr<jwt_t, JwtFree>;

struct CFree {
  void operator()(char* text) const { std::free(text); }
};
using CText = std::unique_ptr<char, CFree>;

const unsigned char* raw(ByteView key) { return reinterpret_cast<const unsigned char*>(key.data()); }

tl::unexpected<Error> refuse(std::string why) { return fail(ErrorCode::unauthorized, std::move(why)); }

/// Three parts of base64url (RFC 7515 3.1); anything else never reaches the library.
bool has_shape_of_a_token(std::string_view token) {
  if (std::count(token.begin(), token.end(), '.') != 2) return false;
  if (token.front() == '.' || token.back() == '.' || token.find("..") != token.npos) return false;
  return std::all_of(token.begin(), token.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

const std::string* text_claim(const Json& claims, const char* name) {
  const auto found = claims.find(name);
  return found == claims.end() ? nullptr : found->get_ptr<const std::string*>();
}

Result<AccessToken> read_claims(const Json& claims) {
  AccessToken token;
  const auto exp = claims.find("exp");
  if (exp == claims.end() || !exp->is_number_integer()) return refuse("The token has no expiry (exp).");
  token.expires_at = exp->get<std::int64_t>();

  const auto* session = text_claim(claims, "session");
  if (!session || !is_session_name(*session)) return refuse("The token names no session, or not a valid one.");
  token.session = SessionId(*session);

  const auto* identity = text_claim(claims, "identity");
  if (!identity || identity->empty() || identity->size() > 256) return refuse("The token has no valid identity.");
  token.identity = *identity;

  const auto grants = claims.find("grants");
  if (grants == claims.end() || !grants->is_array()) return refuse("The token has no grants.");
  for (const auto& grant : *grants) {
    // A grant that this server does not know gives nothing; it does not make the others void.
    if (grant == "publish") token.grants.publish = true;
    if (grant == "subscribe") token.grants.subscribe = true;
    if (grant == "record") token.grants.record = true;
    if (grant == "admin") token.grants.admin = true;
  }
  if (const auto* name = text_claim(claims, "name")) token.name = *name;
  return token;
}

}  // namespace

std::vector<std::string> names(const Grants& grants) {
  std::vector<std::string> all;
  if (grants.publish) all.emplace_back("publish");
  if (grants.subscribe) all.emplace_back("subscribe");
  if (grants.record) all.emplace_back("record");
  if (grants.admin) all.emplace_back("admin");
  return all;
}

Result<Grants> parse_grants(const std::vector<std::string>& given) {
  Grants grants;
  for (const auto& name : given) {
    if (name == "publish") grants.publish = true;
    else if (name == "subscribe") grants.subscribe = true;
    else if (name == "record") grants.record = true;
    else if (name == "admin") grants.admin = true;
    else return fail(ErrorCode::invalid_argument, "unknown grant '" + name + "': publish, subscribe, record or admin");
  }
  return grants;
}

bool is_session_name(std::string_view name) {
  if (name.empty() || name.size() > 64 || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

Result<AccessToken> read_token(std::string_view text, ByteView key) {
  if (text.empty()) return refuse("A token is needed.");
  if (text.size() > kMaxTokenSize || !has_shape_of_a_token(text)) return refuse("The token is not a JWT.");
  if (key.size() < kMinKeySize) return refuse("The server has no key.");

  jwt_t* decoded = nullptr;
  const std::string terminated(text);
  // With a key the library takes a token only when its signature is right.
  const int failed = jwt_decode(&decoded, terminated.c_str(), raw(key), static_cast<int>(key.size()));
  const Jwt jwt(decoded);
  if (failed || !jwt) return refuse("The token's signature is not valid.");
  if (jwt_get_alg(jwt.get()) != JWT_ALG_HS256) return refuse("Only tokens signed with HS256 are taken.");

  const CText grants(jwt_get_grants_json(jwt.get(), nullptr));
  if (!grants) return refuse("The token has no claims.");
  const Json claims = Json::parse(grants.get(), nullptr, false);
  if (!claims.is_object()) return refuse("The token's claims are not readable.");
  return read_claims(claims);
}

bool has_expired(const AccessToken& token, WallTime now) { return token.expires_at <= now.unix_ms / 1000; }

Error expired() { return {ErrorCode::unauthorized, "The token has expired."}; }

Result<AccessToken> verify_token(std::string_view text, ByteView key, WallTime now) {
  auto token = read_token(text, key);
  if (token && has_expired(*token, now)) return tl::unexpected(expired());
  return token;
}

Result<std::string> make_token(const AccessToken& claims, ByteView key) {
  if (key.size() < kMinKeySize) return fail(ErrorCode::invalid_argument, "the key must have at least 32 bytes");
  if (!is_session_name(claims.session.value))
    return fail(ErrorCode::invalid_argument, "a session's name is 1 to 64 of A-Z a-z 0-9 _ - .");
  if (claims.identity.empty()) return fail(ErrorCode::invalid_argument, "an identity is needed");

  jwt_t* made = nullptr;
  if (jwt_new(&made) != 0) return fail(ErrorCode::internal, "out of memory");
  const Jwt jwt(made);
  Json body{{"session", claims.session.value},
            {"identity", claims.identity},
            {"grants", names(claims.grants)},
            {"exp", claims.expires_at}};
  if (!claims.name.empty()) body["name"] = claims.name;
  const std::string json = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (jwt_add_grants_json(jwt.get(), json.c_str()) != 0 ||
      jwt_set_alg(jwt.get(), JWT_ALG_HS256, raw(key), static_cast<int>(key.size())) != 0)
    return fail(ErrorCode::internal, "the token could not be made");
  const CText text(jwt_encode_str(jwt.get()));
  if (!text) return fail(ErrorCode::internal, "the token could not be signed");
  return std::string(text.get());
}

}  // namespace amphi::server
