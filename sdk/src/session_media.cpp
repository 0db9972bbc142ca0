// SessionCore and its transports: what the media thread tells, and transports that begin again after a rejoin.
#include "error_map.h"
#include "session_core.h"

namespace amphi::sdk {

void SessionCore::from_media(std::function<void()> task) {
  control_.post([this, task = std::move(task)] {
    if (!ended_ && beginning_ == 0) task();
  });
}

void SessionCore::begin_transports_again(const std::string& cname) {
  ++beginning_;
  publishing_unreachable_ = subscribing_unreachable_ = false;  // of the former transports; the new ones tell when they connect
  transport_->begin_again(signalling_->server_ip(), cname);
  // Behind it on the media thread, so that everything which the former transports told comes first.
  transport_->post([this](Publishing&, Subscribing&, SendBatch&, Time) { control_.post([this] { --beginning_; }); });
}

void SessionCore::on_reachable(bool& unreachable, bool reachable) {
  unreachable = !reachable;
  const bool any = publishing_unreachable_ || subscribing_unreachable_;
  if (any == told_unreachable_) return;
  told_unreachable_ = any;
  if (any) return deliver(&Handlers::media_unreachable, make_error_code(Errc::mediaUnreachable));
  deliver(&Handlers::media_reachable);
}

Publishing::Events SessionCore::publishing_events() {
  Publishing::Events events;
  events.offer = [this](std::string sdp, std::vector<signalling::OfferedFeed> feeds) {
    from_media([this, sdp = std::move(sdp), feeds = std::move(feeds)] {
      signalling_->with([&](signalling::Client& c, Time now) { c.publish(sdp, feeds, now); });
    });
  };
  events.start = [this](const std::shared_ptr<OutgoingStream>& stream) {
    pipelines_->post([stream] {
      if (!stream->feed->ended()) stream->pipeline->start();
    });
  };
  events.falsified = [this](const Error& error) {
    from_media([this, error] { signalling_->with([&](signalling::Client& c, Time now) { c.abort(error, now); }); });
  };
  events.reachable = [this](bool reachable) {
    from_media([this, reachable] { on_reachable(publishing_unreachable_, reachable); });
  };
  events.broken = broken_event();
  return events;
}

Subscribing::Events SessionCore::subscribing_events() {
  Subscribing::Events events;
  events.answer = [this](std::string offer_id, std::string sdp) {
    from_media([this, offer_id = std::move(offer_id), sdp = std::move(sdp)] {
      signalling_->with([&](signalling::Client& c, Time now) { c.answer_subscribe(offer_id, sdp, now); });
    });
  };
  events.restart = [this] {
    from_media([this] { signalling_->with([](signalling::Client& c, Time now) { c.restart_subscribe(now); }); });
  };
  events.codec_known = [this](const std::string& feed_id, rtp::CodecName codec) {
    from_media([this, feed_id, codec] { on_codec_known(feed_id, codec); });
  };
  events.falsified = [this](const Error& error) {
    from_media([this, error] { signalling_->with([&](signalling::Client& c, Time now) { c.abort(error, now); }); });
  };
  events.reachable = [this](bool reachable) {
    from_media([this, reachable] { on_reachable(subscribing_unreachable_, reachable); });
  };
  events.broken = broken_event();
  return events;
}

void SessionCore::on_transport_failed(const signalling::TransportFailed& failed) {
  if (!transport_) return;
  transport_->post([failed](Publishing& p, Subscribing& s, SendBatch&, Time now) {
    if (failed.transport == "publishing") p.failed_at_server(failed.error, now);
    else s.failed_at_server(failed.error, now);
  });
}

std::function<void(Error)> SessionCore::broken_event() {
  if (!configuration_.reconnect) return {};
  return [this](const Error& error) {
    from_media([this, error] { signalling_->with([&](signalling::Client& c, Time now) { c.rejoin(error, now); }); });
  };
}

}  // namespace amphi::sdk
