#include "media_transport.h"

#include <algorithm>

namespace amphi::sdk {
namespace {

/// A server at loopback is on this machine: from loopback everything that it may name can be reached, in either family.
std::vector<Address> reaching(const std::string& server_ip) {
  std::vector<Address> all = runtime::interface_addresses(true);
  const auto server = Address::parse(server_ip, 0);
  if (server && server->is_loopback()) std::erase_if(all, [](const Address& address) { return !address.is_loopback(); });
  return all;
}

}  // namespace

Result<std::unique_ptr<MediaTransport>> MediaTransport::create(const std::string& server_ip, const std::string& cname,
                                                               Publishing::Events publishing, Subscribing::Events subscribing) {
  auto certificate = dtls::Certificate::generate();
  if (!certificate) return tl::unexpected(certificate.error());
  std::unique_ptr<MediaTransport> self(new MediaTransport);

  std::vector<Address> bind = reaching(server_ip);
  const std::size_t each = bind.size();
  bind.insert(bind.end(), bind.begin(), bind.begin() + static_cast<std::ptrdiff_t>(each));
  auto loop = runtime::MediaLoop::create("amphi-media", bind, *self);
  if (!loop) return tl::unexpected(loop.error());
  const std::vector<Address> bound = (*loop)->local_addresses();
  const auto middle = bound.begin() + static_cast<std::ptrdiff_t>(bound.size() / 2);

  self->config_ = {peer::End::client, {}, *certificate, cname};
  self->publishing_at_.assign(bound.begin(), middle);
  self->subscribing_at_.assign(middle, bound.end());
  self->publishing_events_ = std::move(publishing);
  self->subscribing_events_ = std::move(subscribing);
  self->make_transports();
  self->loop_ = std::move(*loop);
  self->loop_->start();
  return self;
}

void MediaTransport::make_transports() {
  peer::Config config = config_;
  config.local = publishing_at_;
  publishing_ = std::make_unique<Publishing>(config, random_, publishing_events_);
  config.local = subscribing_at_;
  subscribing_ = std::make_unique<Subscribing>(config, random_, subscribing_events_);
}

void MediaTransport::begin_again(std::string cname) {
  loop_->post([this, cname = std::move(cname)](SendBatch&, Time) mutable {
    config_.cname = std::move(cname);
    make_transports();
  });
}

MediaTransport::~MediaTransport() {
  if (loop_ != nullptr) loop_->stop();
}

void MediaTransport::post(Task task) {
  loop_->post([this, task = std::move(task)](SendBatch& out, Time now) {
    task(*publishing_, *subscribing_, out, now);
    publishing_->drain(out, now);
    subscribing_->drain(out, now);
  });
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
  publishing_->drain(out, now);
  subscribing_->drain(out, now);
}

void MediaTransport::handle_timeout(SendBatch& out, Time now) {
  publishing_->handle_timeout(now);
  subscribing_->handle_timeout(now);
  publishing_->drain(out, now);
  subscribing_->drain(out, now);
}

Time MediaTransport::next_timeout() const noexcept { return std::min(publishing_->next_timeout(), subscribing_->next_timeout()); }

}  // namespace amphi::sdk
