// Access tokens: any text, and any header and claims behind a valid signature, so that the claims are read as well.
// The first byte selects the form. A header and claims are separated by a line feed.
#include <openssl/hmac.h>

#include <string>

#include "fuzz.h"
#include "server/access_token.h"

using namespace amphi;

namespace {

const Bytes kKey(32, std::byte{0x2a});

std::string base64url(ByteView data) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  unsigned bits = 0;
  int held = 0;
  for (const std::byte byte : data) {
    bits = bits << 8 | static_cast<unsigned>(byte);
    for (held += 8; held >= 6; held -= 6) out += kDigits[bits >> (held - 6) & 0x3f];
  }
  if (held > 0) out += kDigits[bits << (6 - held) & 0x3f];
  return out;
}

std::string sign(std::string_view header, std::string_view claims) {
  const std::string text = base64url(as_bytes(header)) + "." + base64url(as_bytes(claims));
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), kKey.data(), static_cast<int>(kKey.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  return text + "." + base64url(ByteView(reinterpret_cast<const std::byte*>(mac), size));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const std::uint8_t form = in.u8();
  std::string token;
  if (form & 1) {
    const std::string header = form & 2 ? std::string(in.line()) : R"({"alg":"HS256","typ":"JWT"})";
    token = sign(header, in.text());
  } else {
    token = std::string(in.text());
  }
  const WallTime now{1'795'000'000'000};
  const auto read = server::read_token(token, kKey);
  if (!read) {
    fuzz::require(read.error().code == ErrorCode::unauthorized && !read.error().message.empty(), "a refusal is `unauthorized` and has a reason");
    fuzz::require(!server::verify_token(token, kKey, now), "a token that cannot be read is refused");
    return 0;
  }
  fuzz::require(form & 1, "a token without our signature is refused");
  fuzz::require(server::is_session_name(read->session.value) && !read->identity.empty(), "a token names a session and an identity");
  if (const auto verified = server::verify_token(token, kKey, now)) fuzz::require(!server::has_expired(*verified, now), "an expired token is refused");
  return 0;
}
