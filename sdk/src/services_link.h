// The services machine (src/services) on a WebSocket of its own.
// Thread: control, but for request(), connected() and state(), which any thread may call: a lock that is never held over a callback
// guards the machine, so that a request is answered at once by what is known here and now.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <variant>

#include "control_thread.h"
#include "runtime/clock.h"
#include "services/client.h"
#include "websocket.h"

namespace amphi::sdk {

class ServicesLink {
 public:
  using Told = std::variant<services::ServicesConnected, services::ServicesDisconnected, services::RecordingStateChanged, services::MarkerAdded>;

  /// `handle` is called on the control thread without the lock.
  ServicesLink(std::shared_ptr<boost::asio::io_context> io, WebSocketTarget target, std::string token,
               std::function<void(Told)> handle);

  void session_connected(const std::string& participant_id, bool may_record);
  void session_closed();
  void quiet() { timer_.cancel(); }

  Result<void> request(bool on);
  Result<void> add_marker(const std::string& label);
  bool connected() const;
  services::RecordingState state() const;

 private:
  template <class Call>
  void with(Call call) {
    {
      std::lock_guard lock(mutex_);
      if (client_) call(*client_, runtime::now());
    }
    pump();
  }
  template <class Call>
  Result<void> ask(Call call);
  void pump();
  void open();

  const std::shared_ptr<boost::asio::io_context> io_;
  const WebSocketTarget target_;
  const std::string token_;
  const std::function<void(Told)> handle_;
  mutable std::mutex mutex_;
  runtime::SystemRandom random_;
  std::optional<services::Client> client_;   // from the first session_connected on
  bool closed_ = false;
  DeadlineTimer timer_;
  std::shared_ptr<WebSocket> socket_;
  bool pumping_ = false;
};

}  // namespace amphi::sdk
