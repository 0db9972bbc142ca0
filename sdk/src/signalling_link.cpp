#include "signalling_link.h"

namespace amphi::sdk {

using signalling::Client;

SignallingLink::SignallingLink(std::shared_ptr<boost::asio::io_context> io, WebSocketTarget target, signalling::Config config,
                               std::function<void(signalling::Output&)> handle)
    : io_(std::move(io)), target_(std::move(target)), handle_(std::move(handle)), client_(std::move(config), random_),
      timer_(*io_, [this] { with([](Client& c, Time now) { c.handle_timeout(now); }); }) {}

void SignallingLink::open() {
  if (socket_) socket_->close();
  WebSocketHandlers handlers;
  handlers.opened = [this] { with([](Client& c, Time now) { c.connection_opened(now); }); };
  handlers.failed = [this](Error error) { with([&](Client& c, Time now) { c.connection_failed(std::move(error), now); }); };
  handlers.message = [this](std::string_view text) { with([&](Client& c, Time now) { c.handle_message(text, now); }); };
  handlers.closed = [this](std::optional<Error>) { with([](Client& c, Time now) { c.connection_closed(now); }); };
  socket_ = WebSocket::open(io_, target_, std::move(handlers));
}

void SignallingLink::pump() {
  if (pumping_) return;  // the outer one goes on
  pumping_ = true;
  while (auto output = client_.poll_output()) {
    if (std::holds_alternative<signalling::OpenConnection>(*output)) {
      open();
    } else if (auto* text = std::get_if<signalling::SendText>(&*output)) {
      if (socket_) socket_->send(std::move(text->text));
    } else if (std::holds_alternative<signalling::CloseConnection>(*output)) {
      if (socket_) socket_->close();
    } else {
      handle_(*output);
    }
  }
  pumping_ = false;
  timer_.set(client_.next_timeout());
}

}  // namespace amphi::sdk
