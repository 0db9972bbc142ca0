#include "base/signature.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

namespace amphi {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Context = std::unique_ptr<EVP_MD_CTX, Free>;

const unsigned char* raw(const std::byte* data) { return reinterpret_cast<const unsigned char*>(data); }
unsigned char* raw(std::byte* data) { return reinterpret_cast<unsigned char*>(data); }

std::unique_ptr<BIO, Free> reading(std::string_view text) {
  return std::unique_ptr<BIO, Free>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// For OpenSSL, which without it asks for a passphrase at the terminal.
int no_passphrase(char*, int, int, void* asked) {
  if (asked != nullptr) *static_cast<bool*>(asked) = true;
  return -1;
}

bool read_public(EVP_PKEY* key, PublicKey& out) {
  std::size_t size = out.size();
  return key != nullptr && EVP_PKEY_id(key) == EVP_PKEY_ED25519 &&
         EVP_PKEY_get_raw_public_key(key, raw(out.data()), &size) == 1 && size == out.size();
}

}  // namespace

struct SigningKey::State {
  Key key;
};

SigningKey::SigningKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

Result<SigningKey> SigningKey::from_pem(std::string_view pem) {
  const auto bio = reading(pem);
  bool encrypted = false;
  SigningKey key(std::make_unique<State>(State{Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &encrypted))}));
  if (encrypted) return fail(ErrorCode::malformed, "the key is encrypted. Give a key without a passphrase");
  if (!read_public(key.state_->key.get(), key.public_key_))
    return fail(ErrorCode::malformed, "not an Ed25519 private key in PEM (openssl genpkey -algorithm ed25519 makes one)");
  return key;
}

Signature SigningKey::sign(ByteView message) const {
  const Context context(EVP_MD_CTX_new());
  Signature signature{};
  std::size_t size = signature.size();
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, state_->key.get()) != 1 ||
      EVP_DigestSign(context.get(), raw(signature.data()), &size, raw(message.data()), message.size()) != 1)
    signature.fill(std::byte{0});  // verifies nowhere
  return signature;
}

Result<PublicKey> public_key_from_pem(std::string_view pem) {
  const auto bio = reading(pem);
  const Key key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  PublicKey out{};
  if (!read_public(key.get(), out))
    return fail(ErrorCode::malformed, "not an Ed25519 public key in PEM (openssl pkey -in KEY -pubout makes one)");
  return out;
}

bool is_signed_by(const PublicKey& key, ByteView message, const Signature& signature) {
  const Key made(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(key.data()), key.size()));
  const Context context(EVP_MD_CTX_new());
  return made && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, made.get()) == 1 &&
         EVP_DigestVerify(context.get(), raw(signature.data()), signature.size(), raw(message.data()), message.size()) == 1;
}

}  // namespace amphi
