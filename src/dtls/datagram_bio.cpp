// The BIO's method table: read one datagram, write one datagram, answer what DTLS asks of its transport.
#include "dtls/datagram_bio.h"

#include <algorithm>

namespace amphi::dtls {
namespace {

DatagramBio* self(BIO* bio) {
  return static_cast<DatagramBio*>(BIO_get_data(bio));
}

int read_datagram(BIO* bio, char* out, int size) {
  BIO_clear_retry_flags(bio);
  DatagramBio* const me = self(bio);
  if (me->input.empty() || size <= 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t count = std::min(me->input.size(), static_cast<std::size_t>(size));
  std::memcpy(out, me->input.data(), count);
  me->input = {};  // a datagram is read whole or cut off, as from a socket
  return static_cast<int>(count);
}

int write_datagram(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  if (size > 0) self(bio)->output.push_back(to_bytes(as_bytes({data, static_cast<std::size_t>(size)})));
  return size;
}

long control(BIO* bio, int command, long, void* pointer) {
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
      return 28;  // IPv4 and UDP; with IPv6 the packet is 1220 bytes, within its 1280
    case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
      if (DatagramBio::timer_is_ours()) self(bio)->timer = static_cast<timeval*>(pointer);
      return 1;
    default:
      return 0;
  }
}

BIO_METHOD* make_method() {
  BIO_METHOD* const method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagrams");
  if (!method) return nullptr;
  BIO_meth_set_read(method, &read_datagram);
  BIO_meth_set_write(method, &write_datagram);
  BIO_meth_set_ctrl(method, &control);
  return method;
}

}  // namespace

BIO* DatagramBio::make() {
  static BIO_METHOD* const method = make_method();
  BIO* const bio = method ? BIO_new(method) : nullptr;
  if (!bio) return nullptr;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

bool DatagramBio::timer_is_ours() {
  static const bool ours = OpenSSL_version_num() < 0x30200000UL;
  return ours;
}

void DatagramBio::expire_timer() {
  // Zero would mean that no timer runs, and is left alone.
  if (timer && (timer->tv_sec != 0 || timer->tv_usec != 0)) *timer = {1, 0};
}

}  // namespace amphi::dtls
