#include "runtime/media_loop.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <thread>
#include <utility>

#include "runtime/clock.h"
#include "runtime/send_slots.h"

namespace amphi::runtime {
namespace {

constexpr std::size_t kReadBatch = 64;
constexpr std::size_t kReadBuffer = 2048;  // larger than any datagram we take, so that a larger one is known as such

/// The receiving half: one set of buffers for all sockets of a loop, since a handler is done with them when it returns.
class ReadSlots {
 public:
  ReadSlots() : buffers_(kReadBatch), messages_(kReadBatch), vectors_(kReadBatch), remotes_(kReadBatch) {
    datagrams_.reserve(kReadBatch);
  }

  std::span<Datagram> read(const UdpSocket& socket, std::atomic<std::uint64_t>& oversized) {
    datagrams_.clear();
    for (std::size_t i = 0; i < kReadBatch; ++i) {
      vectors_[i] = {buffers_[i].data(), kReadBuffer};
      messages_[i] = {};
      messages_[i].msg_hdr.msg_name = &remotes_[i];
      messages_[i].msg_hdr.msg_namelen = sizeof remotes_[i];
      messages_[i].msg_hdr.msg_iov = &vectors_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
    const int got = recvmmsg(socket.fd(), messages_.data(), kReadBatch, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < got; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const std::size_t size = messages_[at].msg_len;
      if (size > kMaxDatagram || (messages_[at].msg_hdr.msg_flags & MSG_TRUNC)) {
        oversized.fetch_add(1, std::memory_order_relaxed);
        continue;
      }
      datagrams_.push_back({from_system(remotes_[at]), socket.local(), MutableBytes(buffers_[at].data(), size)});
    }
    return datagrams_;
  }

 private:
  std::vector<std::array<std::byte, kReadBuffer>> buffers_;
  std::vector<mmsghdr> messages_;
  std::vector<iovec> vectors_;
  std::vector<sockaddr_storage> remotes_;
  std::vector<Datagram> datagrams_;
};

class Loop final : public MediaLoop {
 public:
  Loop(std::string name, std::vector<UdpSocket> sockets, int wake_fd, MediaHandler& handler)
      : name_(std::move(name)), sockets_(std::move(sockets)), overflow_of_(sockets_.size()), wake_fd_(wake_fd), handler_(handler) {}

  ~Loop() override {
    Loop::stop();
    ::close(wake_fd_);
  }

  std::vector<Address> local_addresses() const override {
    std::vector<Address> all;
    for (const auto& socket : sockets_) all.push_back(socket.local());
    return all;
  }

  Result<void> rebind(const Address& local, const Address& to) override {
    const auto socket = std::find_if(sockets_.begin(), sockets_.end(), [&](const UdpSocket& s) { return s.local() == local; });
    if (socket == sockets_.end()) return fail(ErrorCode::invalid_argument, "no socket is known as " + local.text());
    if (auto moved = socket->rebind(to); !moved) return moved;
    overflow_of_[static_cast<std::size_t>(socket - sockets_.begin())] = 0;
    if (!polled_.empty()) polled_[static_cast<std::size_t>(socket - sockets_.begin())] = {socket->fd(), POLLIN, 0};
    return {};
  }

  bool count_overflow() override {
    std::uint32_t more = 0;
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
      const std::uint32_t now_so = sockets_[i].overflow();
      more += now_so - std::exchange(overflow_of_[i], now_so);
    }
    overflow_.fetch_add(more, std::memory_order_relaxed);
    return more > 0;
  }

  void start() override {
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  }

  void post(std::function<void(SendBatch&, Time)> task) override {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      tasks_.push_back(std::move(task));
    }
    wake();
  }

  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake();
    if (thread_.joinable()) thread_.join();
  }

  LoopStats stats() const override {
    LoopStats stats;
    stats.received = received_.load(std::memory_order_relaxed);
    stats.sent = sending_.sent.load(std::memory_order_relaxed);
    stats.send_would_block = sending_.would_block.load(std::memory_order_relaxed);
    stats.send_errors = sending_.errors.load(std::memory_order_relaxed);
    stats.overflow = overflow_.load(std::memory_order_relaxed);
    stats.oversized = oversized_.load(std::memory_order_relaxed) + sending_.oversized.load(std::memory_order_relaxed);
    return stats;
  }

 private:
  void wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof one);  // full: it is awake already
  }

  void run() {
    prctl(PR_SET_NAME, name_.c_str());
    prctl(PR_SET_TIMERSLACK, 1UL);  // deadlines are met within microseconds, not the default 50 of them
    SendSlots batch(sockets_, sending_);
    ReadSlots reads;
    for (const auto& socket : sockets_) polled_.push_back({socket.fd(), POLLIN, 0});
    polled_.push_back({wake_fd_, POLLIN, 0});

    bool running = true;
    while (running) {
      wait();
      for (std::size_t i = 0; i < sockets_.size(); ++i) {
        if (polled_[i].revents == 0) continue;
        const auto datagrams = reads.read(sockets_[i], oversized_);
        if (datagrams.empty()) continue;
        received_.fetch_add(datagrams.size(), std::memory_order_relaxed);
        handler_.handle_datagrams(datagrams, batch, now());
        batch.flush();
      }
      if (polled_.back().revents != 0) running = run_tasks(batch);
      const Time at = now();
      if (handler_.next_timeout() <= at) {
        handler_.handle_timeout(batch, at);
        batch.flush();
      }
    }
  }

  void wait() {
    const Time deadline = handler_.next_timeout();
    timespec timeout{};
    const timespec* limit = nullptr;
    if (deadline != Time::max()) {
      const Time at = now();
      const Duration left = deadline > at ? deadline - at : Duration::zero();  // Time::min() - now would overflow
      timeout.tv_sec = std::chrono::duration_cast<seconds>(left).count();
      timeout.tv_nsec = (left % seconds(1)).count();
      limit = &timeout;
    }
    if (ppoll(polled_.data(), polled_.size(), limit, nullptr) < 0)
      for (auto& entry : polled_) entry.revents = 0;  // EINTR: whatever waits is found by the next one
  }

  /// False: stopped, and every task that was posted before has run.
  bool run_tasks(SendBatch& batch) {
    std::uint64_t wakes = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_fd_, &wakes, sizeof wakes);
    bool stopping = false;
    {
      const std::lock_guard lock(mutex_);
      running_tasks_.swap(tasks_);
      stopping = stopping_;
    }
    for (auto& task : running_tasks_) {
      task(batch, now());
      static_cast<SendSlots&>(batch).flush();
    }
    running_tasks_.clear();
    return !stopping;
  }

  const std::string name_;
  std::vector<UdpSocket> sockets_;
  std::vector<std::uint32_t> overflow_of_;  // each socket's, as counted last; the loop's own
  const int wake_fd_;
  MediaHandler& handler_;
  std::thread thread_;
  std::vector<pollfd> polled_;  // the loop's own; the sockets, then wake_fd_
  std::vector<std::function<void(SendBatch&, Time)>> running_tasks_;  // the loop's own

  std::mutex mutex_;  // guards the two below
  std::vector<std::function<void(SendBatch&, Time)>> tasks_;
  bool stopping_ = false;

  std::atomic<std::uint64_t> received_{0}, oversized_{0}, overflow_{0};
  SendCounters sending_;
};

}  // namespace

Result<std::unique_ptr<MediaLoop>> MediaLoop::create(std::string thread_name, const std::vector<Address>& bind,
                                                     MediaHandler& handler) {
  std::vector<UdpSocket> sockets;
  for (const auto& address : bind) {
    auto socket = UdpSocket::bind(address);
    if (!socket) return tl::unexpected(socket.error());
    sockets.push_back(std::move(*socket));
  }
  const int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd < 0) return tl::unexpected(system_error(ErrorCode::internal, "eventfd", errno));
  return std::make_unique<Loop>(std::move(thread_name), std::move(sockets), wake_fd, handler);
}

std::vector<Address> interface_addresses(bool with_loopback) {
  std::vector<Address> loopback, others;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr || !(entry->ifa_flags & IFF_UP)) continue;
    sockaddr_storage storage{};
    if (entry->ifa_addr->sa_family == AF_INET) std::memcpy(&storage, entry->ifa_addr, sizeof(sockaddr_in));
    else if (entry->ifa_addr->sa_family == AF_INET6) std::memcpy(&storage, entry->ifa_addr, sizeof(sockaddr_in6));
    else continue;
    Address address = from_system(storage);
    address.port = 0;
    // Link-local addresses need a scope, which an ICE candidate cannot carry.
    if (address.family == Address::Family::v6 && address.ip[0] == 0xfe && (address.ip[1] & 0xc0) == 0x80) continue;
    if (!UdpSocket::bind(address)) continue;  // one that is still being checked for a duplicate, or is one (RFC 4862, 5.4)
    (entry->ifa_flags & IFF_LOOPBACK ? loopback : others).push_back(address);
  }
  freeifaddrs(list);
  if (!with_loopback) return others;
  loopback.insert(loopback.end(), others.begin(), others.end());
  return loopback;
}

}  // namespace amphi::runtime
