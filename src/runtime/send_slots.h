// A SendBatch over a fixed set of slots: the hot path writes ciphertext into them, flush() gives them to the system with
// one sendmmsg for each socket. No allocation after construction. What the system cannot take now is dropped, as a full
// queue anywhere else on the way would, and counted. Thread: its loop's; the counters can be read from any.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "runtime/socket.h"

namespace amphi::runtime {

struct SendCounters {
  std::atomic<std::uint64_t> sent{0}, would_block{0}, errors{0}, oversized{0};
};

class SendSlots final : public SendBatch {
 public:
  /// `sockets` and `counters` outlive the object.
  SendSlots(const std::vector<UdpSocket>& sockets, SendCounters& counters);

  MutableBytes slot() override;
  void commit(std::size_t size, const Address& local, const Address& remote) override;
  void flush();

 private:
  struct Slot {
    std::array<std::byte, kMaxDatagram> data;
    std::size_t size = 0;
    std::size_t socket = 0;
    sockaddr_storage remote{};
    socklen_t remote_size = 0;
  };
  void flush_socket(std::size_t socket);

  const std::vector<UdpSocket>& sockets_;
  SendCounters& counters_;
  std::vector<Slot> slots_;
  std::size_t used_ = 0;
  std::vector<mmsghdr> messages_;
  std::vector<iovec> vectors_;
};

}  // namespace amphi::runtime
