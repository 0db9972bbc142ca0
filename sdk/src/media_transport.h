// The session's media thread: sockets, the publishing and the subscribing transport. A socket of its own for each, for the server tells
// transports apart by where they come from. Follows the machine's network: while a path is lost, and where signalling had to be resumed, the
// interfaces are looked at, and sockets whose address is gone are bound to another. Thread: created and closed on the control thread; `post` from any.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "network_moves.h"
#include "publishing.h"
#include "runtime/clock.h"
#include "runtime/media_loop.h"
#include "subscribing.h"

namespace amphi::sdk {

class MediaTransport final : private runtime::MediaHandler {
 public:
  /// `server_ip`: where the signalling connection leads; the sockets are bound to what can reach it.
  /// Errors: the system's, of a socket or a certificate.
  static Result<std::unique_ptr<MediaTransport>> create(const std::string& server_ip, const std::string& cname, Publishing::Events publishing,
                                                        Subscribing::Events subscribing);
  ~MediaTransport() override;

  using Task = std::function<void(Publishing&, Subscribing&, SendBatch&, Time now)>;
  /// In order; what the peers have to say is sent after it.
  void post(Task task);
  void signalling_resumed();
  /// The session was joined anew: both transports begin from nothing, with the sockets they had. What was attached and added is to be again.
  void begin_again(const std::string& server_ip, std::string cname);
  /// Says goodbye on both transports and ends the thread.
  void close();

 private:
  MediaTransport() = default;
  void handle_datagrams(std::span<Datagram> in, SendBatch& out, Time now) override;
  void handle_timeout(SendBatch& out, Time now) override;
  Time next_timeout() const noexcept override;

  void make_transports();
  void drain(SendBatch& out, Time now);
  void follow_network(Time now);
  bool move(std::vector<BoundSocket>& sockets, const std::vector<Address>& present);
  Time look_due() const noexcept;

  runtime::SystemRandom random_;
  peer::Config config_;                        // but for the addresses
  std::string server_ip_;
  std::vector<BoundSocket> publishing_at_, subscribing_at_;
  Time look_at_{};                             // at the interfaces, while a path is lost
  Publishing::Events publishing_events_;
  Subscribing::Events subscribing_events_;
  std::unique_ptr<Publishing> publishing_;
  std::unique_ptr<Subscribing> subscribing_;
  std::unique_ptr<runtime::MediaLoop> loop_;   // last: its thread uses the others
};

}  // namespace amphi::sdk
