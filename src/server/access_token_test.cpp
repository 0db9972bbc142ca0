#include "server/access_token.h"

#include <gtest/gtest.h>
#include <openssl/hmac.h>

#include <nlohmann/json.hpp>

#include "server/token_keys.h"

namespace amphi::server {
namespace {

const std::string kKey(32, 'k');
constexpr WallTime kNow{1'700'000'000'000};
constexpr std::int64_t kLater = 1'700'000'060;

std::string base64url(std::string_view in) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const unsigned char c : in) {
    bits = bits << 8 | c;
    count += 8;
    while (count >= 6) out += kAlphabet[bits >> (count -= 6) & 63];
  }
  if (count > 0) out += kAlphabet[bits << (6 - count) & 63];
  return out;
}

/// A token made by hand, independently of the library, with any header and claims.
std::string sign(const std::string& header, const std::string& claims, const EVP_MD* hash = EVP_sha256(),
                 const std::string& key = kKey) {
  const std::string body = base64url(header) + "." + base64url(claims);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(hash, key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(body.data()), body.size(),
       mac, &size);
  return body + "." + base64url({reinterpret_cast<const char*>(mac), size});
}

const std::string kHs256 = R"({"alg":"HS256","typ":"JWT"})";
std::string claims(const std::string& changed = "{}") {
  nlohmann::json all{{"session", "demo"}, {"identity", "Dr. Adeyemi"}, {"grants", {"publish", "record"}}, {"exp", kLater}};
  all.merge_patch(nlohmann::json::parse(changed));
  return all.dump();
}

TEST(AccessToken, what_was_made_is_read_back) {
  AccessToken made{SessionId("ses_1"), "Zoë", {true, false, true}, kLater, "Theatre 4", 0, {}};
  const auto text = make_token(made, as_bytes(kKey));
  ASSERT_TRUE(text);
  const auto read = verify_token(*text, as_bytes(kKey), kNow);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->session, made.session);
  EXPECT_EQ(read->identity, "Zoë");
  EXPECT_EQ(read->grants, made.grants);
  EXPECT_EQ(read->expires_at, kLater);
  EXPECT_EQ(read->name, "Theatre 4");
}

TEST(AccessToken, one_that_has_expired_can_be_read_and_says_so) {
  const std::string text = sign(kHs256, claims(R"({"exp": 1699999999})"));
  const auto read = read_token(text, as_bytes(kKey));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(has_expired(*read, kNow));
  EXPECT_FALSE(has_expired(*read, WallTime{1'699'999'998'000}));
  EXPECT_EQ(verify_token(text, as_bytes(kKey), kNow).error().message, "The token has expired.");
  EXPECT_FALSE(read_token(sign(kHs256, claims(), EVP_sha256(), std::string(32, 'x')), as_bytes(kKey))) << "the signature is no lesser matter";
  EXPECT_FALSE(read_token(sign(kHs256, claims(R"({"exp": null})")), as_bytes(kKey))) << "every token has an expiry";
}

TEST(AccessToken, a_token_signed_elsewhere_is_taken) {
  const auto read = verify_token(sign(kHs256, claims()), as_bytes(kKey), kNow);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->session.value, "demo");
  EXPECT_TRUE(read->grants.publish);
  EXPECT_FALSE(read->grants.subscribe);
}

TEST(AccessToken, everything_else_is_refused_as_unauthorized) {
  const std::string good = sign(kHs256, claims());
  const std::string body = good.substr(0, good.rfind('.'));
  const std::string none = base64url(R"({"alg":"none"})") + "." + base64url(claims());
  struct Row {
    const char* why;
    std::string token;
  };
  const std::vector<Row> rows{
      {"empty", ""},
      {"expired now", sign(kHs256, claims(R"({"exp":1700000000})"))},
      {"expired long ago", sign(kHs256, claims(R"({"exp":-5})"))},
      {"no expiry", sign(kHs256, claims(R"({"exp":null})"))},
      {"expiry as text", sign(kHs256, claims(R"({"exp":"1800000000"})"))},
      {"expired half a second ago", sign(kHs256, claims(R"({"exp":1699999999.5})"))},
      {"expiry of another age", sign(kHs256, claims(R"({"exp":1e300})"))},
      {"expiry that is no number", sign(kHs256, R"({"session":"demo","identity":"a","grants":[],"exp":NaN})")},
      {"expiry without end", sign(kHs256, R"({"session":"demo","identity":"a","grants":[],"exp":1e999})")},
      {"expiry as a truth", sign(kHs256, claims(R"({"exp":true})"))},
      {"valid from tomorrow on", sign(kHs256, claims(R"({"nbf":1700086400})"))},
      {"valid from a text on", sign(kHs256, claims(R"({"nbf":"1"})"))},
      {"valid from before 1970", sign(kHs256, claims(R"({"nbf":-1})"))},
      {"issued at a text", sign(kHs256, claims(R"({"iat":"now"})"))},
      {"a critical extension", sign(R"({"alg":"HS256","crit":["exp"],"exp":1})", claims())},
      {"no critical extension, said so", sign(R"({"alg":"HS256","crit":[]})", claims())},
      {"critical in a wrong form", sign(R"({"alg":"HS256","crit":"b64"})", claims())},
      {"alg in an array", sign(R"({"alg":["HS256"]})", claims())},
      {"alg in other letters", sign(R"({"alg":"hs256"})", claims())},
      {"two algs", sign(R"({"alg":"HS256","alg":"none"})", claims())},
      {"identity with a line break", sign(kHs256, claims(R"({"identity":"a\nb"})"))},
      {"identity that turns the text around", sign(kHs256, claims(R"({"identity":"a\u202eb"})"))},
      {"identity in a C1 control", sign(kHs256, claims(R"({"identity":"a\u0085b"})"))},
      {"identity of 129 characters", sign(kHs256, claims(R"({"identity":")" + std::string(129, 'a') + R"("})"))},
      {"identity of blanks", sign(kHs256, claims(R"({"identity":"   "})"))},
      {"identity of a zero-width space", sign(kHs256, claims(R"({"identity":"\u200b"})"))},
      {"identity of a byte order mark", sign(kHs256, claims(R"({"identity":"\ufeff"})"))},
      {"identity with a deprecated format character", sign(kHs256, claims(R"({"identity":"a\u206ab"})"))},
      {"identity with a tag", sign(kHs256, claims(R"({"identity":"a\udb40\udc41"})"))},
      {"name with an isolate", sign(kHs256, claims(R"({"name":"\u2066"})"))},
      {"identity that is no UTF-8", sign(kHs256, "{\"session\":\"demo\",\"identity\":\"\xff\",\"grants\":[],\"exp\":1700000060}")},
      {"wrong key", sign(kHs256, claims(), EVP_sha256(), std::string(32, 'x'))},
      {"alg none, no signature", none + "."},
      {"alg none, two parts", none},
      {"alg none, with a signature", sign(R"({"alg":"none"})", claims())},
      {"HS384", sign(R"({"alg":"HS384"})", claims(), EVP_sha384())},
      {"HS512", sign(R"({"alg":"HS512"})", claims(), EVP_sha512())},
      {"RS256 in name only", sign(R"({"alg":"RS256"})", claims())},
      {"no alg", sign(R"({"typ":"JWT"})", claims())},
      {"alg is a number", sign(R"({"alg":5})", claims())},
      {"no session", sign(kHs256, claims(R"({"session":null})"))},
      {"session is a path", sign(kHs256, claims(R"({"session":"../etc"})"))},
      {"session is a number", sign(kHs256, claims(R"({"session":4})"))},
      {"no identity", sign(kHs256, claims(R"({"identity":null})"))},
      {"empty identity", sign(kHs256, claims(R"({"identity":""})"))},
      {"no grants", sign(kHs256, claims(R"({"grants":null})"))},
      {"grants as text", sign(kHs256, claims(R"({"grants":"publish"})"))},
      {"claims are an array", sign(kHs256, "[1,2]")},
      {"claims are garbage", sign(kHs256, "{{{{")},
      {"signature cut", good.substr(0, good.size() - 4)},
      {"no signature", body + "."},
      {"one part", "abcdef"},
      {"dots", ".."},
      {"not base64url", "a b.c d.e f"},
      {"binary", std::string("\0\xff.\x01.\x02", 7)},
      {"huge", std::string(4000, 'A') + "." + std::string(4000, 'A') + "." + std::string(4000, 'A')},
  };
  for (const auto& row : rows) {
    const auto read = verify_token(row.token, as_bytes(kKey), kNow);
    ASSERT_FALSE(read) << row.why;
    EXPECT_EQ(read.error().code, ErrorCode::unauthorized) << row.why;
    EXPECT_FALSE(read.error().message.empty()) << row.why;
  }
}

TEST(AccessToken, times_may_have_fractions_and_begin_within_the_leeway) {
  for (const char* times : {R"({"exp":1700000000.5})", R"({"exp":1.7e9,"exp":1700000060})", R"({"nbf":1700000030})", R"({"nbf":1700000029.75})", R"({"nbf":0})", R"({"iat":1700000000.123})",
                            R"({"iat":1800000000})", R"({"exp":253402300799})"})
    EXPECT_TRUE(verify_token(sign(kHs256, claims(times)), as_bytes(kKey), kNow)) << times;
  const auto early = verify_token_but_expiry(sign(kHs256, claims(R"({"nbf":1700000031})")), as_bytes(kKey), kNow);
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().message, "The token is not valid yet (nbf).");
}

TEST(AccessToken, a_token_for_another_audience_is_refused) {
  struct Row {
    const char *aud, *audience;
    bool taken;
  };
  for (const Row& row : {Row{"null", "", true}, Row{"null", "amphi", true}, Row{R"("amphi")", "amphi", true}, Row{R"(["other","amphi"])", "amphi", true}, Row{R"("other")", "amphi", false},
                         Row{R"(["other"])", "amphi", false}, Row{"[]", "amphi", false}, Row{R"("Amphi")", "amphi", false}, Row{"7", "amphi", false}, Row{R"({"amphi":1})", "amphi", false},
                         Row{R"([["amphi"]])", "amphi", false}, Row{R"("amphi")", "", false}, Row{R"("")", "", false}, Row{R"([])", "", false}}) {
    const auto read = verify_token(sign(kHs256, claims(std::string(R"({"aud":)") + row.aud + "}")), as_bytes(kKey), kNow, row.audience);
    EXPECT_EQ(read.has_value(), row.taken) << row.aud << " " << row.audience;
    if (!read) {
      EXPECT_EQ(read.error().code, ErrorCode::unauthorized);
    }
    if (!read && !*row.audience) {
      EXPECT_NE(read.error().message.find("--token-audience"), std::string::npos);
    }
  }
}

TEST(TokenKeys, a_token_of_a_former_key_is_superseded_and_lets_nobody_in) {
  const std::string other(32, 'o');
  TokenKeys keys;
  keys.replace(Bytes(as_bytes(kKey).begin(), as_bytes(kKey).end()));
  const std::string token = sign(kHs256, claims());
  EXPECT_FALSE(keys.verify_for_return(token, kNow)->superseded);
  keys.replace(Bytes(as_bytes(other).begin(), as_bytes(other).end()));
  EXPECT_EQ(keys.verify(token, kNow).error().message, invalid_signature().message);
  const auto former = keys.verify_for_return(token, kNow);
  ASSERT_TRUE(former) << former.error().message;
  EXPECT_TRUE(former->superseded);
  EXPECT_EQ(former->signature, token.substr(token.rfind('.') + 1));
  EXPECT_FALSE(keys.verify_for_return(sign(kHs256, claims(), EVP_sha256(), other), kNow)->superseded);
  EXPECT_FALSE(keys.verify_for_return(sign(kHs256, claims(), EVP_sha256(), std::string(32, 'x')), kNow));
  EXPECT_FALSE(keys.verify_for_return(sign(kHs256, claims(R"({"nbf":1700086400})")), kNow)) << "wrong under each key";
}

TEST(TokenKeys, so_many_former_keys_are_kept_and_the_same_key_again_takes_no_place) {
  TokenKeys keys;
  const auto key = [](std::size_t i) { return Bytes(32, static_cast<std::byte>(i)); };
  const auto token = [&](std::size_t i) { return make_token({SessionId("s"), "a", {}, kLater, "", 0, {}}, key(i)).value(); };
  for (std::size_t i = 0; i <= TokenKeys::kMostFormer; ++i)
    for (int again = 0; again < 3; ++again) keys.replace(key(i));
  for (std::size_t i = 0; i <= TokenKeys::kMostFormer; ++i) EXPECT_TRUE(keys.verify_for_return(token(i), kNow)) << i;
  keys.replace(key(100));
  EXPECT_FALSE(keys.verify_for_return(token(0), kNow));
  EXPECT_TRUE(keys.verify_for_return(token(1), kNow));
}

TEST(AccessToken, claims_that_are_not_ours_do_not_matter_however_they_look) {
  EXPECT_TRUE(verify_token(sign(kHs256, claims(R"({"iss":"x","jti":7,"big":99999999999999999999999,"nested":{"a":[[[]]]}})")), as_bytes(kKey), kNow));
}

TEST(AccessToken, each_grant_has_a_name) {
  const auto grants = parse_grants({"publish", "subscribe", "record", "recordings", "admin"});
  ASSERT_TRUE(grants);
  EXPECT_EQ(names(*grants).size(), 5u);
  EXPECT_FALSE(parse_grants({"record", "recording"}));
  EXPECT_TRUE(verify_token(sign(kHs256, claims(R"({"grants":["recordings"]})")), as_bytes(kKey), kNow)->grants.recordings);
}

TEST(AccessToken, no_changed_character_of_a_token_gets_through) {
  const std::string good = sign(kHs256, claims());
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = bad[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(verify_token(bad, as_bytes(kKey), kNow)) << at;
  }
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(verify_token(good.substr(0, size), as_bytes(kKey), kNow)) << size;
}

TEST(AccessToken, a_grant_from_the_future_gives_nothing) {
  const auto read = verify_token(sign(kHs256, claims(R"({"grants":["own_the_building","subscribe",7]})")), as_bytes(kKey), kNow);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->grants, (Grants{false, true, false}));
}

TEST(AccessToken, is_not_made_from_what_would_not_be_taken) {
  const AccessToken good{SessionId("demo"), "a", {}, kLater, "", 0, {}};
  EXPECT_FALSE(make_token(good, as_bytes("short key")));
  for (const char* session : {"", "a/b", "..", ".a", "a b", "ä"}) {
    AccessToken bad = good;
    bad.session = SessionId(session);
    EXPECT_FALSE(make_token(bad, as_bytes(kKey))) << session;
  }
  AccessToken nobody = good;
  nobody.identity.clear();
  EXPECT_FALSE(make_token(nobody, as_bytes(kKey)));
  nobody.identity = "a\u202eb";
  EXPECT_FALSE(make_token(nobody, as_bytes(kKey)));
}

}  // namespace
}  // namespace amphi::server
