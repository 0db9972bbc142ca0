#include "base/aead.h"

#include <openssl/evp.h>

#include <cstdlib>
#include <memory>

namespace amphi {
namespace {

struct Free {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, Free>;

unsigned char* raw(std::byte* data) { return reinterpret_cast<unsigned char*>(data); }
const unsigned char* raw(const std::byte* data) { return reinterpret_cast<const unsigned char*>(data); }

/// Storing in the clear what was to be sealed is worse than stopping.
void must(int ok) {
  if (ok != 1) std::abort();
}

}  // namespace

AeadTag aead_seal(const AeadKey& key, const AeadNonce& nonce, MutableBytes data, ByteView bound_to) {
  const Context context(EVP_CIPHER_CTX_new());
  int size = 0;
  AeadTag tag{};
  must(EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, raw(key.data()), raw(nonce.data())));
  if (!bound_to.empty()) must(EVP_EncryptUpdate(context.get(), nullptr, &size, raw(bound_to.data()), static_cast<int>(bound_to.size())));
  must(EVP_EncryptUpdate(context.get(), raw(data.data()), &size, raw(data.data()), static_cast<int>(data.size())));
  must(EVP_EncryptFinal_ex(context.get(), raw(data.data()) + size, &size));
  must(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag.size()), tag.data()));
  return tag;
}

bool aead_open(const AeadKey& key, const AeadNonce& nonce, const AeadTag& tag, MutableBytes data, ByteView bound_to) {
  const Context context(EVP_CIPHER_CTX_new());
  int size = 0;
  AeadTag expected = tag;
  return EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, raw(key.data()), raw(nonce.data())) == 1 &&
         (bound_to.empty() || EVP_DecryptUpdate(context.get(), nullptr, &size, raw(bound_to.data()), static_cast<int>(bound_to.size())) == 1) &&
         EVP_DecryptUpdate(context.get(), raw(data.data()), &size, raw(data.data()), static_cast<int>(data.size())) == 1 &&
         EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(expected.size()), expected.data()) == 1 &&
         EVP_DecryptFinal_ex(context.get(), raw(data.data()) + size, &size) == 1;
}

}  // namespace amphi
