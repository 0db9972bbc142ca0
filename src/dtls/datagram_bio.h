// A BIO that keeps datagrams apart, which OpenSSL's memory BIO does not, and that lets our time decide when a flight is
// sent again. Private to src/dtls.
#pragma once

#include <sys/time.h>  // struct timeval, OpenSSL's own measure; no clock is read

#include <vector>

#include "dtls/openssl.h"

namespace amphi::dtls {

struct DatagramBio {
  ByteView input;             // the datagram being read; empty: none
  std::vector<Bytes> output;  // one element a datagram
  timeval* timer = nullptr;   // OpenSSL's deadline, see expire_timer

  /// A new BIO over this object, which must outlive it; nullptr when OpenSSL has no memory.
  BIO* make();

  /// OpenSSL compares its deadline with the machine's clock, and offers no way to say that time is up. Up to 3.1 it
  /// hands its BIO the deadline itself, and so the deadline can be put into the past: from then on
  /// DTLSv1_handle_timeout sends the flight again. Later versions hand out a copy; there the deadline runs by the
  /// machine's clock (retransmission then works on real connections and not in virtual time).
  void expire_timer();
  static bool timer_is_ours();
};

}  // namespace amphi::dtls
