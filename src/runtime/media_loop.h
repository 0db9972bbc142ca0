// A thread that owns UDP sockets: reads up to 64 datagrams with one recvmmsg, lets a Handler work on them in place, flushes what
// it wrote with sendmmsg, and wakes for its deadline. Used by the server's media workers and by the SDK's transport.
//
// Thread: everything runs on the loop's own thread, but for post() and stop(), which any thread may call.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/net.h"
#include "base/result.h"
#include "base/time.h"

namespace amphi::runtime {

class MediaHandler {
 public:
  virtual ~MediaHandler() = default;
  /// `in` may be decrypted in place. What is written to `out` is flushed when this returns.
  virtual void handle_datagrams(std::span<Datagram> in, SendBatch& out, Time now) = 0;
  virtual void handle_timeout(SendBatch& out, Time now) = 0;
  virtual Time next_timeout() const noexcept = 0;
};

struct LoopStats {
  std::uint64_t received = 0, sent = 0, send_would_block = 0, send_errors = 0, oversized = 0;
  std::uint64_t overflow = 0;  // datagrams that the kernel dropped before they were read, by `count_overflow`
};

class MediaLoop {
 public:
  /// Binds one socket to each address (port 0: any free one); never to a wildcard (ICE must answer from where it was asked).
  /// Errors: invalid_argument, storage-free: the system's words. `handler` outlives the loop.
  static Result<std::unique_ptr<MediaLoop>> create(std::string thread_name, const std::vector<Address>& bind, MediaHandler& handler);
  virtual ~MediaLoop() = default;  // stops and joins

  virtual std::vector<Address> local_addresses() const = 0;  // with the ports that were given
  /// A socket follows a change of network: it is bound to `to` from now on, and datagrams go on calling it `local`, by which the peers above
  /// know it. On the loop's own thread. Errors: invalid_argument (the system's words; no such socket), and nothing has changed.
  virtual Result<void> rebind(const Address& local, const Address& to) = 0;
  /// Counts the datagrams that the kernel has dropped because a socket's buffer was full. True: more than at the last call. On the loop's
  /// own thread.
  virtual bool count_overflow() = 0;
  virtual void start() = 0;
  /// Runs `task` on the loop's thread soon, in order; dropped when the loop has stopped. The batch is flushed after it.
  virtual void post(std::function<void(SendBatch&, Time now)> task) = 0;
  /// Ends the thread after the tasks posted so far; idempotent; not from the loop's own thread.
  virtual void stop() = 0;
  virtual LoopStats stats() const = 0;  // any thread
};

/// The addresses of this machine's interfaces that are up: loopback first if wanted.
std::vector<Address> interface_addresses(bool with_loopback);

}  // namespace amphi::runtime
