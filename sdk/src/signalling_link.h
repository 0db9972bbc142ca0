// The signalling machine on its WebSocket. Thread: control, for everything.
#pragma once

#include <functional>
#include <memory>

#include "control_thread.h"
#include "runtime/clock.h"
#include "signalling_client.h"
#include "websocket.h"

namespace amphi::sdk {

class SignallingLink {
 public:
  /// `handle` gets what the machine tells (never what concerns only the connection), and may use the link.
  SignallingLink(std::shared_ptr<boost::asio::io_context> io, WebSocketTarget target, signalling::Config config,
                 std::function<void(signalling::Output&)> handle);

  /// Does something with the machine, and then all that follows from it.
  template <class Call>
  void with(Call call) {
    call(client_, runtime::now());
    pump();
  }
  /// The server's address as the live connection sees it.
  std::string server_ip() const { return socket_ ? socket_->remote_ip() : std::string{}; }
  /// Nothing more is scheduled: for the end.
  void quiet() { timer_.cancel(); }

 private:
  void pump();
  void open();

  const std::shared_ptr<boost::asio::io_context> io_;
  const WebSocketTarget target_;
  const std::function<void(signalling::Output&)> handle_;
  runtime::SystemRandom random_;
  signalling::Client client_;
  DeadlineTimer timer_;
  std::shared_ptr<WebSocket> socket_;
  bool pumping_ = false;
};

}  // namespace amphi::sdk
