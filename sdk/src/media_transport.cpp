#include "media_transport.h"

#include <algorithm>

namespace amphi::sdk {
namespace {

constexpr Duration kLookEvery = 1s;

/// A server at loopback is on this machine: from loopback everything that it may name can be reached, in either family.
std::vector<Address> reaching(const std::string& server_ip) {
  std::vector<Address> all = runtime::interface_addresses(true);
  const auto server = Address::parse(server_ip, 0);
  if (server && server->is_loopback()) std::erase_if(all, [](const Address& address) { return !address.is_loopback(); });
  return all;
}

std::vector<Address> names(const std::vector<BoundSocket>& sockets) {
  std::vector<Address> out;
  for (const BoundSocket& socket : sockets) out.push_back(socket.name);
  return out;
}

}  // namespace

Result<std::unique_ptr<MediaTransport>> MediaTransport::create(const std::string& server_ip, const std::string& cname,
                                                               Publishing::Events publishing, Subscribing::Events subscribing) {
  auto certificate = dtls::Certificate::generate();
  if (!certificate) return tl::unexpected(certificate.error());
  std::unique_ptr<MediaTransport> self(new MediaTransport);

  const std::vector<Address> each = reaching(server_ip);
  std::vector<Address> bind = each;
  bind.insert(bind.end(), each.begin(), each.end());
  auto loop = runtime::MediaLoop::create("amphi-media", bind, *self);
  if (!loop) return tl::unexpected(loop.error());
  const std::vector<Address> bound = (*loop)->local_addresses();
  for (std::size_t i = 0; i < each.size(); ++i) {
    self->publishing_at_.push_back({bound[i], each[i]});
    self->subscribing_at_.push_back({bound[each.size() + i], each[i]});
  }

  self->server_ip_ = server_ip;
  self->config_ = {peer::End::client, {}, *certificate, cname};
  self->publishing_events_ = std::move(publishing);
  self->subscribing_events_ = std::move(subscribing);
  self->make_transports();
  self->loop_ = std::move(*loop);
  self->loop_->start();
  return self;
}

void MediaTransport::make_transports() {
  peer::Config config = config_;
  config.local = names(publishing_at_);
  publishing_ = std::make_unique<Publishing>(config, random_, publishing_events_);
  config.local = names(subscribing_at_);
  subscribing_ = std::make_unique<Subscribing>(config, random_, subscribing_events_);
}

void MediaTransport::begin_again(const std::string& server_ip, std::string cname) {
  loop_->post([this, server_ip, cname = std::move(cname)](SendBatch& out, Time now) mutable {
    publishing_->close(out, now);
    subscribing_->close(out, now);
    server_ip_ = server_ip;
    follow_network(now);
    config_.cname = std::move(cname);
    make_transports();
  });
}

void MediaTransport::signalling_resumed() {
  loop_->post([this](SendBatch& out, Time now) {
    follow_network(now);
    publishing_->signalling_resumed(now);
    subscribing_->signalling_resumed(now);
    drain(out, now);
  });
}

void MediaTransport::follow_network(Time now) {
  const std::vector<Address> present = reaching(server_ip_);
  if (move(publishing_at_, present)) publishing_->network_changed(now);
  if (move(subscribing_at_, present)) subscribing_->network_changed(now);
}

bool MediaTransport::move(std::vector<BoundSocket>& sockets, const std::vector<Address>& present) {
  bool moved = false;
  for (const NetworkMove& to : network_moves(sockets, present)) {
    if (!loop_->rebind(sockets[to.socket].name, to.to)) continue;  // gone again: the next look finds out
    sockets[to.socket].at = to.to;
    moved = true;
  }
  return moved;
}

Time MediaTransport::look_due() const noexcept {
  return publishing_->path_lost() || subscribing_->path_lost() ? look_at_ : Time::max();
}

MediaTransport::~MediaTransport() {
  if (loop_ != nullptr) loop_->stop();
}

void MediaTransport::post(Task task) {
  loop_->post([this, task = std::move(task)](SendBatch& out, Time now) {
    task(*publishing_, *subscribing_, out, now);
    drain(out, now);
  });
}

void MediaTransport::drain(SendBatch& out, Time now) {
  publishing_->drain(out, now);
  subscribing_->drain(out, now);
}

void MediaTransport::close() {
  loop_->post([this](SendBatch& out, Time now) {
    publishing_->close(out, now);
    subscribing_->close(out, now);
  });
  loop_->stop();
}

void MediaTransport::handle_datagrams(std::span<Datagram> in, SendBatch& out, Time now) {
  for (const Datagram& datagram : in) {
    if (publishing_->owns(datagram.local)) {
      publishing_->handle_input(datagram, now);
    } else {
      subscribing_->handle_input(datagram, now);
    }
  }
  drain(out, now);
}

void MediaTransport::handle_timeout(SendBatch& out, Time now) {
  if (now >= look_due()) {
    look_at_ = now + kLookEvery;
    follow_network(now);
  }
  publishing_->handle_timeout(now);
  subscribing_->handle_timeout(now);
  drain(out, now);
}

Time MediaTransport::next_timeout() const noexcept {
  return std::min({publishing_->next_timeout(), subscribing_->next_timeout(), look_due()});
}

}  // namespace amphi::sdk
