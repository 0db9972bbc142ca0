#include "services_link.h"

namespace amphi::sdk {

using services::Client;

ServicesLink::ServicesLink(std::shared_ptr<boost::asio::io_context> io, WebSocketTarget target, std::string token,
                           std::function<void(Told)> handle)
    : io_(std::move(io)), target_(std::move(target)), token_(std::move(token)), handle_(std::move(handle)),
      timer_(*io_, [this] { with([](Client& c, Time now) { c.handle_timeout(now); }); }) {}

void ServicesLink::session_connected(const std::string& participant_id, bool may_record) {
  {
    std::lock_guard lock(mutex_);
    if (!client_) client_.emplace(services::ClientConfig{token_, participant_id, may_record}, random_);
  }
  with([&](Client& c, Time now) { c.session_connected(participant_id, now); });
}

void ServicesLink::session_closed() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  with([](Client& c, Time now) { c.session_closed(now); });
}

template <class Call>
Result<void> ServicesLink::ask(Call call) {
  Result<void> result;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return fail(ErrorCode::invalid_state, "the session is closed");
    if (!client_) {  // the session has not joined yet: refused as by any idle machine
      Client idle({}, random_);
      return call(idle, runtime::now());
    }
    result = call(*client_, runtime::now());
  }
  boost::asio::post(*io_, [this] { pump(); });
  return result;
}

Result<void> ServicesLink::request(bool on) {
  return ask([on](Client& c, Time now) { return c.request_recording(on, now); });
}

Result<void> ServicesLink::add_marker(const std::string& label) {
  return ask([&label](Client& c, Time now) { return c.add_marker(label, now); });
}

bool ServicesLink::connected() const {
  std::lock_guard lock(mutex_);
  return client_ && client_->connected();
}

services::RecordingState ServicesLink::state() const {
  std::lock_guard lock(mutex_);
  return client_ ? client_->state(runtime::now()) : services::RecordingState{};
}

void ServicesLink::open() {
  if (socket_) socket_->close();
  WebSocketHandlers handlers;
  handlers.opened = [this] { with([](Client& c, Time now) { c.connection_opened(now); }); };
  handlers.failed = [this](Error error) { with([&](Client& c, Time now) { c.connection_failed(std::move(error), now); }); };
  handlers.message = [this](std::string_view text) { with([&](Client& c, Time now) { c.handle_message(text, now); }); };
  handlers.closed = [this](std::optional<Error> error) { with([&](Client& c, Time now) { c.connection_closed(std::move(error), now); }); };
  socket_ = WebSocket::open(io_, target_, std::move(handlers));
}

void ServicesLink::pump() {
  if (pumping_) return;
  pumping_ = true;
  const auto next = [this]() -> std::optional<services::ClientOutput> {
    std::lock_guard lock(mutex_);
    return client_ ? client_->poll_output() : std::nullopt;
  };
  while (auto output = next()) {
    if (std::holds_alternative<services::OpenConnection>(*output)) {
      open();
    } else if (auto* text = std::get_if<services::ClientSendText>(&*output)) {
      if (socket_) socket_->send(std::move(text->text));
    } else if (std::holds_alternative<services::ClientCloseConnection>(*output)) {
      if (socket_) socket_->close();
    } else if (auto* connected = std::get_if<services::ServicesConnected>(&*output)) {
      handle_(*connected);
    } else if (auto* lost = std::get_if<services::ServicesDisconnected>(&*output)) {
      handle_(std::move(*lost));
    } else if (auto* changed = std::get_if<services::RecordingStateChanged>(&*output)) {
      handle_(std::move(*changed));
    } else if (auto* added = std::get_if<services::MarkerAdded>(&*output)) {
      handle_(std::move(*added));
    }
  }
  pumping_ = false;
  std::lock_guard lock(mutex_);
  timer_.set(client_ ? client_->next_timeout() : Time::max());
}

}  // namespace amphi::sdk
