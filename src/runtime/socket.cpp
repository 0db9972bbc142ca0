#include "runtime/socket.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace amphi::runtime {
namespace {

constexpr int kSocketBuffer = 8 * 1024 * 1024;  // a burst of keyframes to a hundred receivers

void grow_buffer(int fd, int forced, int plain) {
  const int size = kSocketBuffer;
  // The forced form goes past the system's limit and needs a privilege; the plain one is capped and never fails.
  if (setsockopt(fd, SOL_SOCKET, forced, &size, sizeof size) != 0)
    setsockopt(fd, SOL_SOCKET, plain, &size, sizeof size);
}

bool is_wildcard(const Address& address) {
  return std::all_of(address.ip.begin(), address.ip.end(), [](std::uint8_t b) { return b == 0; });
}

}  // namespace

Error system_error(ErrorCode code, const std::string& what, int error_number) {
  return {code, what + ": " + std::generic_category().message(error_number)};
}

socklen_t to_system(const Address& address, sockaddr_storage& out) {
  if (address.family == Address::Family::v6) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    std::memcpy(&v6.sin6_addr, address.ip.data(), 16);
    std::memcpy(&out, &v6, sizeof v6);
    return sizeof v6;
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(address.port);
  std::memcpy(&v4.sin_addr, address.ip.data(), 4);
  std::memcpy(&out, &v4, sizeof v4);
  return sizeof v4;
}

Address from_system(const sockaddr_storage& in) {
  Address address;
  if (in.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &in, sizeof v4);
    address.family = Address::Family::v4;
    address.port = ntohs(v4.sin_port);
    std::memcpy(address.ip.data(), &v4.sin_addr, 4);
  } else if (in.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &in, sizeof v6);
    address.family = Address::Family::v6;
    address.port = ntohs(v6.sin6_port);
    std::memcpy(address.ip.data(), &v6.sin6_addr, 16);
  }
  return address;
}

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  rlimit raised = limit;
  raised.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return limit.rlim_cur;
}

UdpSocket::~UdpSocket() {
  if (fd_ >= 0) ::close(fd_);
}
UdpSocket::UdpSocket(UdpSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), local_(other.local_) {}
UdpSocket& UdpSocket::operator=(UdpSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(local_, other.local_);
  return *this;
}

Result<UdpSocket> UdpSocket::bind(const Address& address) {
  if (!address.valid() || is_wildcard(address))
    return fail(ErrorCode::invalid_argument, "cannot bind media to " + address.text() + ": name one address");
  UdpSocket made;
  const int family = address.family == Address::Family::v6 ? AF_INET6 : AF_INET;
  made.fd_ = ::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made.fd_ < 0) return tl::unexpected(system_error(ErrorCode::invalid_argument, "socket", errno));
  if (family == AF_INET6) {
    const int on = 1;
    setsockopt(made.fd_, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  grow_buffer(made.fd_, SO_RCVBUFFORCE, SO_RCVBUF);
  grow_buffer(made.fd_, SO_SNDBUFFORCE, SO_SNDBUF);
  sockaddr_storage storage{};
  socklen_t size = to_system(address, storage);
  if (::bind(made.fd_, reinterpret_cast<const sockaddr*>(&storage), size) != 0)
    return tl::unexpected(system_error(ErrorCode::invalid_argument, "bind " + address.text(), errno));
  size = sizeof storage;
  if (getsockname(made.fd_, reinterpret_cast<sockaddr*>(&storage), &size) != 0)
    return tl::unexpected(system_error(ErrorCode::invalid_argument, "getsockname", errno));
  made.local_ = from_system(storage);
  return made;
}

std::uint32_t UdpSocket::overflow() const {
  std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t size = sizeof info;
  return getsockopt(fd_, SOL_SOCKET, SO_MEMINFO, info.data(), &size) == 0 ? info[SK_MEMINFO_DROPS] : 0;
}

Result<void> UdpSocket::rebind(const Address& to) {
  auto made = bind(to);
  if (!made) return tl::unexpected(made.error());
  std::swap(fd_, made->fd_);
  return {};
}

}  // namespace amphi::runtime
