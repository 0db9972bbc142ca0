// The subscribing transport: a receiving peer (src/peer, client end) that answers the server's offers, and the way of each line's packets to
// the pipeline that wants them. Thread: media.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "feed_core.h"
#include "ice_restarts.h"
#include "lip_sync.h"
#include "peer/peer.h"
#include "reachability.h"
#include "rtp_inlet.h"
#include "signalling_messages.h"
#include "statistics.h"

namespace amphi::sdk {

class Subscribing {
 public:
  struct Events {  // on the media thread; must not call back
    std::function<void(std::string offer_id_text, std::string sdp)> answer;
    std::function<void()> restart;                                       // ask for an offer with an ICE restart
    /// The feed's codec is known: its pipeline can be built. Told again when a sink is attached later.
    std::function<void(const std::string& feed_id, rtp::CodecName codec)> codec_known;
    std::function<void(Error)> falsified;
    std::function<void(bool)> reachable;                                 // as Publishing's
    std::function<void(Error)> broken;
  };

  Subscribing(peer::Config config, Random& random, Events events);

  /// One that cannot be answered, or whose answer the server refuses, leaves what was negotiated before as it is and is asked for anew, once;
  /// where that fails too, all incoming feeds fail.
  void offered(const signalling::SubscribeOffer& offer, Time now);
  void refused(const Error& error, Time now);
  /// Packets of this feed go to `inlet` from now on, and what becomes of them is told to `feed` (nullptr: nobody). `participant`: whose
  /// it is, for lip sync.
  void attach(const std::string& feed_id, const std::string& participant, std::shared_ptr<RtpInlet> inlet, std::shared_ptr<FeedCore> feed);
  void detach(const std::string& feed_id, const RtpInlet* inlet);
  void request_keyframe(const std::string& feed_id, Time now);

  void signalling_interrupted() {
    restarts_.signalling_interrupted();
    reachability_.signalling_interrupted();
  }
  void signalling_resumed(Time now) {
    restarts_.signalling_resumed(now);
    reachability_.signalling_resumed(now);
  }
  /// Takes the server's report on its end of this transport.
  void failed_at_server(const Error& error, Time now);
  /// Whether the server no longer holds the participant: nothing gets through then until the session is joined anew.
  void set_lapsed(bool lapsed) { lapsed_ = lapsed; }

  void network_changed(Time now) { restarts_.network_changed(now); }
  /// Nothing gets through, and the server is not to blame.
  bool path_lost() const noexcept { return restarts_.lost(); }

  bool owns(const Address& local) const;
  void handle_input(const Datagram& in, Time now);
  void handle_timeout(Time now);
  Time next_timeout() const noexcept;
  void drain(SendBatch& out, Time now);
  void close(SendBatch& out, Time now);

 private:
  struct Sink {
    std::shared_ptr<RtpInlet> inlet;
    std::shared_ptr<FeedCore> feed;
    std::string participant;
    RateMeter rate;
    peer::LineStats counted;   // in the feed's statistics already
  };
  struct Line {
    std::string feed_id;       // empty: not ours to know
    rtp::CodecName codec = rtp::CodecName::vp8;
    bool active = false;
    Sink* sink = nullptr;      // into sinks_
  };

  void connect_lines();
  void follow(const std::string& feed_id, Sink& sink);
  void receive(const peer::ReceivedRtp& packet, Time now);
  void handle(const peer::Event& event, Time now);
  void negotiation_failed(const Error& error, Time now);
  void renew(Time now);
  void fail(const Error& error);
  void update_statistics(Time now);

  const Events events_;
  std::vector<Address> local_;
  peer::Peer peer_;
  std::map<std::string, std::string> feed_of_mid_;
  std::vector<Line> lines_;                  // by peer::Line
  std::map<std::string, Sink> sinks_;        // by feed id
  LipSync lip_sync_;
  bool was_connected_ = false;
  bool failed_ = false;                      // for good
  std::optional<Error> failure_;             // of the transport, for good; later subscriptions fail with it
  std::optional<Time> asked_anew_at_;        // for an offer, since one came to nothing
  bool lapsed_ = false;
  Error broken_;             // why only a new transport can work; meaningful while restarts_.is_broken()
  IceRestarts restarts_;
  Reachability reachability_;
  Time statistics_at_ = Time::max();
};

}  // namespace amphi::sdk
