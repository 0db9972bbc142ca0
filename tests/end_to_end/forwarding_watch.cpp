#include "forwarding_watch.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <set>
#include <regex>
#include <stdexcept>
#include <thread>
#include <unordered_map>

namespace amphi::end_to_end {
namespace {

std::uint32_t number(const std::uint8_t* bytes, int count) {
  std::uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | bytes[i];
  return value;
}

}  // namespace

struct ForwardingWatch::Impl {
  explicit Impl(const std::string& log) {
    const std::regex media("media at [^ ]*:([0-9]+)");
    for (std::sregex_iterator at(log.begin(), log.end(), media), end; at != end; ++at) ports.insert(static_cast<std::uint32_t>(std::stoul((*at)[1])));
    socket = ::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_IP));
    sockaddr_ll where{};
    where.sll_family = AF_PACKET;
    where.sll_protocol = htons(ETH_P_IP);
    where.sll_ifindex = static_cast<int>(if_nametoindex("lo"));
    const int on = 1, room = 8 << 20;
    if (socket < 0 || bind(socket, reinterpret_cast<sockaddr*>(&where), sizeof where) != 0 || setsockopt(socket, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0)
      throw std::runtime_error("cannot watch the loopback (run as root)");
    setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    thread = std::thread([this] { run(); });
  }
  ~Impl() {
    stopping = true;
    thread.join();
    ::close(socket);
  }

  void run() {
    std::array<std::uint8_t, 128> packet{};
    alignas(cmsghdr) std::array<char, 128> control{};
    while (!stopping) {
      pollfd ready{socket, POLLIN, 0};
      if (poll(&ready, 1, 50) <= 0) continue;
      sockaddr_ll from{};
      iovec data{packet.data(), packet.size()};
      msghdr message{&from, sizeof from, &data, 1, control.data(), control.size(), 0};
      const ssize_t size = recvmsg(socket, &message, MSG_DONTWAIT);
      if (size <= 0 || from.sll_pkttype == PACKET_OUTGOING) continue;  // each is seen twice on a loopback
      for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
        timespec time{};
        std::memcpy(&time, CMSG_DATA(c), sizeof time);
        take(packet.data(), static_cast<std::size_t>(size), Clock::time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)));
      }
    }
  }

  void take(const std::uint8_t* ip, std::size_t size, Clock::time_point at) {
    const std::size_t udp = (ip[0] & 0x0fu) * 4u, rtp = udp + 8;
    if (ip[9] != 17 || size < rtp + 12 || (ip[rtp] >> 6) != 2) return;
    if (const auto type = ip[rtp + 1]; type >= 192 && type <= 223) return;  // RTCP (RFC 5761)
    const auto key = std::uint64_t{number(ip + rtp + 4, 4)} << 16 | number(ip + rtp + 2, 2);
    const std::lock_guard lock(mutex);
    if (ports.contains(number(ip + udp + 2, 2))) {
      came[key] = at;
    } else if (ports.contains(number(ip + udp, 2))) {
      // Of packets that leave as one buffer only the first is seen: it is the one that was kept longest.
      if (const auto found = came.find(key); found != came.end()) {
        kept.push_back({found->second, at - found->second});
        came.erase(found);
      }
    }
  }

  std::set<std::uint32_t> ports;
  int socket = -1;
  std::atomic<bool> stopping{false};
  mutable std::mutex mutex;
  std::unordered_map<std::uint64_t, Clock::time_point> came;
  std::vector<Kept> kept;
  std::thread thread;
};

ForwardingWatch::ForwardingWatch(const std::string& log) : impl_(std::make_unique<Impl>(log)) {}
ForwardingWatch::~ForwardingWatch() = default;

std::vector<ForwardingWatch::Kept> ForwardingWatch::between(Clock::time_point from, Clock::time_point to) const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<Kept> found;
  std::copy_if(impl_->kept.begin(), impl_->kept.end(), std::back_inserter(found), [&](const Kept& kept) { return kept.at >= from && kept.at < to; });
  return found;
}

std::string in_words(const std::vector<ForwardingWatch::Kept>& kept) {
  if (kept.empty()) return "no packets";
  std::vector<long> us;
  for (const auto& one : kept) us.push_back(static_cast<long>(std::chrono::duration_cast<std::chrono::microseconds>(one.length).count()));
  std::sort(us.begin(), us.end());
  const auto at = [&](double share) { return std::to_string(us[static_cast<std::size_t>(share * static_cast<double>(us.size() - 1))]) + " us"; };
  return std::to_string(us.size()) + " packets, kept " + at(0.5) + " (median), " + at(0.99) + " (p99), " + at(1) + " (longest)";
}

}  // namespace amphi::end_to_end
