// SessionCore's feeds: what is shared and received, from the application's call to the media thread and back.
#include "error_map.h"
#include "session_core.h"

namespace amphi::sdk {
namespace {

bool well_formed(const VideoEncodingComponent& e) {
  const auto even = [](int v) { return v >= 16 && v <= 8192 && v % 2 == 0; };
  return even(e.width) && even(e.height) && e.framesPerSecond >= 1 && e.framesPerSecond <= 240 && e.bitrate >= 10'000 &&
         e.bitrate <= 1'000'000'000;
}

rtp::Codec video_codec(VideoCodec codec) {
  if (codec == VideoCodec::vp8) return {rtp::CodecName::vp8, 90'000, 0, ""};
  return {rtp::CodecName::h264, 90'000, 0, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"};
}

}  // namespace

std::shared_ptr<FeedCore> SessionCore::new_feed(std::string id, std::string label) const {
  return std::make_shared<FeedCore>(std::move(id), std::move(label), dispatcher_);
}

// --- outgoing

std::shared_ptr<FeedCore> SessionCore::add_video(std::string label, OutgoingVideoComponents components) {
  auto feed = new_feed({}, std::move(label));
  if (!well_formed(components.encoding)) {
    feed->end(Errc::invalidArgument);
    return feed;
  }
  auto stream = std::make_shared<OutgoingStream>();
  stream->feed = feed;
  stream->codec = video_codec(components.encoding.codec);
  stream->bitrate = components.encoding.bitrate;
  stream->pipeline = OutgoingPipeline::video(std::move(components), pipelines_, outgoing_events(feed), files_);
  add_outgoing(std::move(stream));
  return feed;
}

std::shared_ptr<FeedCore> SessionCore::set_audio(std::string label, AudioInputComponent input, AudioEncodingComponent encoding) {
  auto feed = new_feed({}, std::move(label));
  std::shared_ptr<FeedCore> replaced = feed;
  {
    std::lock_guard lock(audio_mutex_);
    outgoing_audio_feed_.swap(replaced);
  }
  if (replaced) replaced->stop();
  if (encoding.bitrate < 6'000 || encoding.bitrate > 510'000) {  // RFC 6716 2.1.1
    feed->end(Errc::invalidArgument);
    return feed;
  }
  auto stream = std::make_shared<OutgoingStream>();
  stream->feed = feed;
  stream->codec = {rtp::CodecName::opus, 48'000, 2, "minptime=10;useinbandfec=1"};
  stream->bitrate = encoding.bitrate;
  stream->pipeline = OutgoingPipeline::audio(std::move(input), encoding, pipelines_, outgoing_events(feed), files_);
  add_outgoing(std::move(stream));
  return feed;
}

OutgoingPipeline::Events SessionCore::outgoing_events(const std::shared_ptr<FeedCore>& feed) {
  OutgoingPipeline::Events events;
  // The transport exists before any pipeline starts, and goes after the last has stopped.
  events.packets = [this, feed = std::weak_ptr(feed)](OutgoingPackets packets) {
    transport_->post([feed, packets = std::move(packets)](Publishing& p, Subscribing&, SendBatch& out, Time now) {
      if (const auto alive = feed.lock()) p.send(alive.get(), packets, out, now);
    });
  };
  events.failed = [feed = std::weak_ptr(feed)](const PipelineFailure& failure) {
    if (const auto alive = feed.lock()) alive->end(failure.code, failure.text);
  };
  events.ended = [feed = std::weak_ptr(feed)] {
    if (const auto alive = feed.lock()) alive->end({});
  };
  return events;
}

void SessionCore::add_outgoing(std::shared_ptr<OutgoingStream> stream) {
  stream->feed->set_teardown([weak = weak_from_this(), feed = stream->feed.get()] {
    if (const auto self = weak.lock()) self->control_.post([core = self.get(), feed] { core->remove_outgoing(feed); });
  });
  control_.post([this, stream = std::move(stream)] {
    if (ended_ || stream->feed->ended()) return stream->feed->end({});
    outgoing_.push_back(stream);
    if (transport_) publish(stream);
  });
}

void SessionCore::publish(const std::shared_ptr<OutgoingStream>& stream) {
  if (!grants_.contains("publish")) return stream->feed->end(Errc::forbidden);
  transport_->post([stream](Publishing& p, Subscribing&, SendBatch&, Time now) { p.add(stream, now); });
}

void SessionCore::remove_outgoing(const FeedCore* feed) {
  for (auto it = outgoing_.begin(); it != outgoing_.end(); ++it) {
    if ((*it)->feed.get() != feed) continue;
    const auto stream = *it;  // holds the feed until the media thread has forgotten it
    outgoing_.erase(it);
    if (transport_)
      transport_->post([stream](Publishing& p, Subscribing&, SendBatch&, Time now) { p.remove(stream->feed.get(), now); });
    pipelines_->post([stream] { stream->pipeline->stop(); });
    return;
  }
}

// --- incoming

std::optional<FeedInfo> SessionCore::feed_info(const std::string& feed_id) const {
  std::lock_guard lock(mutex_);
  const auto it = feeds_.find(feed_id);
  if (it == feeds_.end()) return std::nullopt;
  return it->second;
}

std::shared_ptr<FeedCore> SessionCore::subscribe_video(const std::string& feed_id, VideoOutputComponent output) {
  const auto source = feed_info(feed_id);
  const bool known = source && source->kind == FeedKind::video;
  auto feed = new_feed(feed_id, known ? source->label : std::string{});
  if (!known) {
    feed->end(Errc::notFound);
    return feed;
  }
  const auto on_control = [weak = weak_from_this(), raw = feed.get()](void (SessionCore::*what)(const FeedCore*)) {
    if (const auto self = weak.lock()) self->control_.post([core = self.get(), raw, what] { (core->*what)(raw); });
  };
  IncomingVideoPipeline::Context context;
  context.feed = feed;
  context.dispatcher = dispatcher_;
  context.pipelines = pipelines_;
  context.keyframe_wanted = [on_control] { on_control(&SessionCore::keyframe_wanted); };
  auto pipeline = std::make_shared<IncomingVideoPipeline>(std::move(output), std::move(context));
  feed->set_teardown([on_control] { on_control(&SessionCore::remove_incoming_video); });
  control_.post([this, feed, pipeline, subscribed = *source] {
    if (ended_ || feed->ended() || !transport_) return feed->end({});
    const auto present = feed_info(subscribed.id);
    if (!present) return feed->end({});  // gone in the meantime
    if (const auto refused = unsupported_.find(subscribed.id); refused != unsupported_.end()) return feed->fail(refused->second);
    if (const auto* before = video_sources_.of(subscribed.id)) {
      const auto old = incoming_video_.at(before).feed;
      remove_incoming_video(before);
      old->end({});
    }
    incoming_video_[feed.get()] = {feed, pipeline};
    video_sources_.add(feed.get(), {present->id, present->participantIdentity, present->label}, !lapsed_);
    if (!lapsed_) attach_video(feed.get(), *present);
  });
  return feed;
}

void SessionCore::attach_video(const FeedCore* feed, const FeedInfo& source) {
  const IncomingVideo& incoming = incoming_video_.at(feed);
  incoming.feed->set_id(source.id);
  pipelines_->post([pipeline = incoming.pipeline] { pipeline->reset(); });  // another stream: nothing of the former one is left in it
  transport_->post([source, inlet = incoming.pipeline->inlet(), feed = incoming.feed](Publishing&, Subscribing& s, SendBatch&, Time) {
    s.attach(source.id, source.participantId, inlet, feed);
  });
}

void SessionCore::restore_video(const FeedInfo& appeared) {
  const auto claim = video_sources_.claim({appeared.id, appeared.participantIdentity, appeared.label});
  if (claim.who == nullptr) return;
  if (!claim.before.empty()) detach_video(claim.who, claim.before);
  attach_video(claim.who, appeared);
}

void SessionCore::detach_video(const FeedCore* feed, const std::string& shown) {
  if (shown.empty() || !transport_) return;
  transport_->post([shown, inlet = incoming_video_.at(feed).pipeline->inlet()](Publishing&, Subscribing& s, SendBatch&, Time) {
    s.detach(shown, inlet.get());
  });
}

void SessionCore::remove_incoming_video(const FeedCore* feed) {
  const auto it = incoming_video_.find(feed);
  if (it == incoming_video_.end()) return;
  detach_video(feed, video_sources_.feed_of(feed));
  video_sources_.remove(feed);
  const IncomingVideo incoming = it->second;  // holds the feed until its pipeline has stopped
  incoming_video_.erase(it);
  pipelines_->post([incoming] { incoming.pipeline->stop(); });
}

void SessionCore::keyframe_wanted(const FeedCore* feed) {
  const std::string shown = video_sources_.feed_of(feed);
  if (transport_ && !shown.empty())
    transport_->post([shown](Publishing&, Subscribing& s, SendBatch&, Time now) { s.request_keyframe(shown, now); });
}

std::shared_ptr<FeedCore> SessionCore::set_incoming_audio(AudioOutputComponent output) {
  auto feed = new_feed({}, "mix");
  auto pipeline = std::make_shared<IncomingAudioPipeline>(std::move(output), feed, dispatcher_, pipelines_);
  feed->set_teardown([weak = weak_from_this(), raw = feed.get()] {
    if (const auto self = weak.lock()) self->control_.post([core = self.get(), raw] { core->remove_incoming_audio(raw); });
  });
  control_.post([this, feed, pipeline] {
    if (ended_ || feed->ended()) return feed->end({});
    if (const auto old = incoming_audio_feed_) {
      remove_incoming_audio(old.get());
      old->end({});
    }
    incoming_audio_feed_ = feed;
    incoming_audio_ = pipeline;
    pipelines_->post([feed, pipeline, base = runtime::now()] {
      if (!feed->ended()) pipeline->start(base);
    });
    std::vector<std::string> present;
    {
      std::lock_guard lock(mutex_);
      for (const auto& [id, info] : feeds_)
        if (info.kind == FeedKind::audio) present.push_back(id);
    }
    for (const auto& id : present) attach_audio(id);
  });
  return feed;
}

void SessionCore::attach_audio(const std::string& feed_id) {
  if (!incoming_audio_ || !transport_) return;
  std::string participant;
  {
    std::lock_guard lock(mutex_);
    participant = feeds_.at(feed_id).participantId;
  }
  auto inlet = std::make_shared<RtpInlet>([] {});
  audio_inlets_[feed_id] = inlet;
  transport_->post([feed_id, participant, inlet, feed = incoming_audio_feed_](Publishing&, Subscribing& s, SendBatch&, Time) {
    s.attach(feed_id, participant, inlet, feed);
  });
}

void SessionCore::detach_audio(const std::string& feed_id) {
  const auto it = audio_inlets_.find(feed_id);
  if (it == audio_inlets_.end()) return;
  if (transport_)
    transport_->post([feed_id, inlet = it->second](Publishing&, Subscribing& s, SendBatch&, Time) { s.detach(feed_id, inlet.get()); });
  if (incoming_audio_) pipelines_->post([audio = incoming_audio_, feed_id] { audio->remove_feed(feed_id); });
  audio_inlets_.erase(it);
}

void SessionCore::remove_incoming_audio(const FeedCore* feed) {
  if (incoming_audio_feed_.get() != feed) return;
  while (!audio_inlets_.empty()) detach_audio(std::string(audio_inlets_.begin()->first));
  pipelines_->post([audio = incoming_audio_] { audio->stop(); });
  incoming_audio_feed_.reset();
  incoming_audio_.reset();
}

/// With the owner's identity, where it is known.
FeedInfo SessionCore::info_of(const signalling::FeedDescription& described) const {
  FeedInfo info;
  info.id = described.id;
  info.kind = described.kind == "audio" ? FeedKind::audio : FeedKind::video;
  info.label = described.label;
  info.participantId = described.participant_id;
  info.codec = described.codec;
  info.muted = described.muted;
  if (const auto it = participants_.find(info.participantId); it != participants_.end()) info.participantIdentity = it->second.identity;
  return info;
}

void SessionCore::on_feed_added(const signalling::FeedDescription& described) {
  FeedInfo info;
  {
    std::lock_guard lock(mutex_);
    info = info_of(described);
    feeds_[info.id] = info;
  }
  if (info.kind == FeedKind::audio) {
    attach_audio(info.id);
  } else {
    restore_video(info);
  }
  deliver(&Handlers::feed_added, info);
}

void SessionCore::on_feed_changed(const signalling::FeedDescription& described) {
  FeedInfo info;
  {
    std::lock_guard lock(mutex_);
    info = info_of(described);
    if (const auto it = feeds_.find(info.id); it != feeds_.end()) it->second = info;
  }
  deliver(&Handlers::feed_changed, info);
}

void SessionCore::on_feed_removed(const signalling::FeedRemoved& removed) {
  const std::string& feed_id = removed.feed_id;
  FeedInfo info;
  {
    std::lock_guard lock(mutex_);
    const auto it = feeds_.find(feed_id);
    if (it == feeds_.end()) return;
    info = it->second;
    feeds_.erase(it);
  }
  unsupported_.erase(feed_id);
  detach_audio(feed_id);
  // While the session is joined anew its subscriptions wait for their sources already.
  const auto* subscription = video_sources_.of(feed_id);
  if (subscription != nullptr && removed.may_return) {
    wait_for_source(subscription);
  } else if (subscription != nullptr) {
    const auto feed = incoming_video_.at(subscription).feed;
    remove_incoming_video(subscription);
    feed->end({});
  }
  deliver(&Handlers::feed_removed, info);
}

void SessionCore::wait_for_source(const FeedCore* feed) {
  const std::string lost = video_sources_.feed_of(feed);
  detach_video(feed, lost);
  video_sources_.lose(lost);
  const IncomingVideo& incoming = incoming_video_.at(feed);
  if (incoming.feed->has_run()) incoming.feed->update([](FeedStatistics& s) { s.stalled = true; });
  std::vector<FeedInfo> others;  // the owner may be there again before its former participant is removed
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, info] : feeds_)
      if (info.kind == FeedKind::video) others.push_back(info);
  }
  for (const FeedInfo& other : others) restore_video(other);
}

void SessionCore::on_feed_unsupported(const std::string& feed_id, const Error& error) {
  unsupported_[feed_id] = error;
  if (const auto* subscription = video_sources_.of(feed_id)) {
    const auto feed = incoming_video_.at(subscription).feed;
    remove_incoming_video(subscription);
    feed->fail(error);
  }
  detach_audio(feed_id);
}

void SessionCore::on_codec_known(const std::string& feed_id, rtp::CodecName codec) {
  if (const auto* subscription = video_sources_.of(feed_id)) {
    const IncomingVideo& video = incoming_video_.at(subscription);
    if (codec == rtp::CodecName::opus) return video.feed->end(Errc::malformed);
    pipelines_->post([feed = video.feed, pipeline = video.pipeline, codec, base = base_] {
      if (!feed->ended()) pipeline->start(codec, base);
    });
  } else if (const auto audio = audio_inlets_.find(feed_id); audio != audio_inlets_.end() && incoming_audio_) {
    pipelines_->post([mix = incoming_audio_, feed_id, inlet = audio->second] { mix->add_feed(feed_id, inlet); });
  }
}

void SessionCore::end_all_feeds() {
  ended_ = true;
  for (const auto& stream : std::vector(outgoing_)) {
    remove_outgoing(stream->feed.get());
    stream->feed->end({});
  }
  while (!incoming_video_.empty()) {
    const auto feed = incoming_video_.begin()->second.feed;
    remove_incoming_video(feed.get());
    feed->end({});
  }
  if (const auto audio = incoming_audio_feed_) {
    remove_incoming_audio(audio.get());
    audio->end({});
  }
}

}  // namespace amphi::sdk
