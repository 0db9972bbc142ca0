#include "runtime/send_slots.h"

#include <cerrno>

namespace amphi::runtime {
namespace {

constexpr std::size_t kSlots = 128;

void count(std::atomic<std::uint64_t>& counter, std::uint64_t n) { counter.fetch_add(n, std::memory_order_relaxed); }

}  // namespace

SendSlots::SendSlots(const std::vector<UdpSocket>& sockets, SendCounters& counters)
    : sockets_(sockets), counters_(counters), slots_(kSlots), messages_(kSlots), vectors_(kSlots) {}

MutableBytes SendSlots::slot() { return slots_[used_].data; }

void SendSlots::commit(std::size_t size, const Address& local, const Address& remote) {
  if (size > kMaxDatagram) return count(counters_.oversized, 1);
  std::size_t socket = 0;
  while (socket < sockets_.size() && sockets_[socket].local() != local) ++socket;
  if (socket == sockets_.size() || remote.family != local.family) return count(counters_.errors, 1);
  Slot& slot = slots_[used_];
  slot.size = size;
  slot.socket = socket;
  slot.remote_size = to_system(remote, slot.remote);
  if (++used_ == slots_.size()) flush();
}

void SendSlots::flush() {
  if (used_ == 0) return;
  for (std::size_t socket = 0; socket < sockets_.size(); ++socket) flush_socket(socket);
  used_ = 0;
}

void SendSlots::flush_socket(std::size_t socket) {
  std::size_t total = 0;
  for (std::size_t i = 0; i < used_; ++i) {
    Slot& slot = slots_[i];
    if (slot.socket != socket) continue;
    vectors_[total] = {slot.data.data(), slot.size};
    mmsghdr& message = messages_[total];
    message = {};
    message.msg_hdr.msg_name = &slot.remote;
    message.msg_hdr.msg_namelen = slot.remote_size;
    message.msg_hdr.msg_iov = &vectors_[total];
    message.msg_hdr.msg_iovlen = 1;
    ++total;
  }
  std::size_t done = 0;
  while (done < total) {
    const int sent = sendmmsg(sockets_[socket].fd(), messages_.data() + done, static_cast<unsigned>(total - done), 0);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
      count(counters_.sent, static_cast<std::uint64_t>(sent));
    } else if (errno == EAGAIN || errno == ENOBUFS) {
      return count(counters_.would_block, total - done);
    } else if (errno != EINTR) {
      count(counters_.errors, 1);  // this destination cannot be reached: the others can
      ++done;
    }
  }
}

}  // namespace amphi::runtime
