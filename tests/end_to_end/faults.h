// Real faults: packet loss by the kernel's filter in the test's namespace, a TCP relay whose connections can be cut, and system calls of a
// server's threads that fail or wait.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "server_process.h"

namespace amphi::end_to_end {

/// Drops `percent` of all UDP datagrams of this namespace, or of its DTLS records, both ways; gone with the object. 100 cuts the media.
class UdpLoss {
 public:
  enum class Of { everything, dtls };
  explicit UdpLoss(int percent, Of what = Of::everything);
  ~UdpLoss();
  UdpLoss(const UdpLoss&) = delete;
  UdpLoss& operator=(const UdpLoss&) = delete;
};

/// Drops what `rule` (of nft) matches among what this namespace receives; gone with the object.
class Dropped {
 public:
  explicit Dropped(const std::string& rule);
  ~Dropped();
  Dropped(const Dropped&) = delete;
  Dropped& operator=(const Dropped&) = delete;

 private:
  std::string table_;
};

/// Relays TCP connections to the server, told apart by the path of their first line, so that one kind can be cut.
/// Any thread; it has one of its own.
class Relay {
 public:
  explicit Relay(int server_port);
  ~Relay();
  int port() const;
  /// Closes all connections whose request path ends in `suffix` ("/services", "/signalling").
  void cut(const std::string& suffix);
  /// Refuses new ones with that suffix until allowed again.
  void block(const std::string& suffix, bool on);
  /// From now on nothing gets through, and nothing is closed.
  void freeze();
  /// How many connections with that suffix were relayed so far.
  int count(const std::string& suffix) const;
  /// From now on replaces `from` by `to` (of equal length) in what the server sends.
  void falsify(std::string from, std::string to);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// From now on, and until it is gone, the kernel does to system calls of those threads of the server whose names begin with `threads` what
/// `injection` (of strace) asks for, and to no other thread's.
class ThreadFault {
 public:
  ThreadFault(pid_t server, const std::string& threads, const std::string& injection);
  ~ThreadFault();
  ThreadFault(const ThreadFault&) = delete;
  ThreadFault& operator=(const ThreadFault&) = delete;
  /// How many were.
  int injected() const;

 private:
  TemporaryFolder folder_;
  std::vector<pid_t> tracers_;
};

}  // namespace amphi::end_to_end
