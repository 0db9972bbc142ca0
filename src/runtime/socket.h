// One non-blocking UDP socket bound to one address, and the conversion between Address and the system's structures.
// Thread: its loop's.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/net.h"
#include "base/result.h"

namespace amphi::runtime {

/// Returns the structure's size.
socklen_t to_system(const Address& address, sockaddr_storage& out);
Address from_system(const sockaddr_storage& in);

/// "what: No such device".
Error system_error(ErrorCode code, const std::string& what, int error_number);

/// Raises the process's limit of open files to what the system allows it; returns the limit that holds then.
std::size_t raise_descriptor_limit();

class UdpSocket {
 public:
  UdpSocket() = default;
  ~UdpSocket();
  UdpSocket(UdpSocket&& other) noexcept;
  UdpSocket& operator=(UdpSocket&& other) noexcept;

  /// Errors: invalid_argument with the system's words.
  static Result<UdpSocket> bind(const Address& address);
  /// Binds it anew, elsewhere; `local` goes on naming it. Errors: as bind's, and nothing has changed.
  Result<void> rebind(const Address& to);
  int fd() const { return fd_; }
  /// Datagrams that the kernel dropped because the buffer was full, since the bind.
  std::uint32_t overflow() const;
  /// What it was bound to first: its name for all who hold it.
  const Address& local() const { return local_; }

 private:
  int fd_ = -1;
  Address local_;
};

}  // namespace amphi::runtime
