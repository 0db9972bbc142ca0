// The publishing transport: a sending peer (src/peer, client end), and for each outgoing feed its line, its packet history and its sender
// reports. It offers; one offer is outstanding at a time. Thread: media.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "amphi/video_components.h"
#include "feed_core.h"
#include "ice_restarts.h"
#include "outgoing_pipeline.h"
#include "peer/peer.h"
#include "reachability.h"
#include "rtp/history.h"
#include "signalling_messages.h"
#include "statistics.h"

namespace amphi::sdk {

/// An outgoing feed as all threads know it.
struct OutgoingStream {
  std::shared_ptr<FeedCore> feed;
  std::shared_ptr<OutgoingPipeline> pipeline;
  rtp::Codec codec;
  std::uint32_t bitrate = 0;   // configured
};

class Publishing {
 public:
  struct Events {  // on the media thread; must not call back
    std::function<void(std::string sdp, std::vector<signalling::OfferedFeed> feeds)> offer;
    std::function<void(std::shared_ptr<OutgoingStream>)> start;   // the pipeline may run now
    std::function<void(Error)> falsified;                         // the session cannot go on
    std::function<void(bool)> reachable;                          // false: no media gets through for 10 s; true: connected
    std::function<void(Error)> broken;                            // the transport cannot be revived; a new one may work. Empty: the feeds fail
  };

  Publishing(peer::Config config, Random& random, Events events);

  void add(std::shared_ptr<OutgoingStream> stream, Time now);
  void remove(const FeedCore* feed, Time now);
  void answered(const std::string& sdp, const std::vector<signalling::MidFeed>& feeds, const std::vector<signalling::MidError>& refused, Time now);
  void refused(const Error& error, Time now);
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
  void send(const FeedCore* feed, const OutgoingPackets& packets, SendBatch& out, Time now);

  void network_changed(Time now) { restarts_.network_changed(now); }
  /// Nothing gets through, and the server is not to blame.
  bool path_lost() const noexcept { return restarts_.lost(); }

  bool owns(const Address& local) const;
  void handle_input(const Datagram& in, Time now);
  void handle_timeout(Time now);
  Time next_timeout() const noexcept;
  /// Sends what the peer has to say and acts on its events.
  void drain(SendBatch& out, Time now);
  void close(SendBatch& out, Time now);

 private:
  struct Line {
    std::shared_ptr<OutgoingStream> stream;
    peer::Line number = 0;
    bool offered = false;     // part of an offer so far
    bool accepted = false;
    bool started = false;
    rtp::PacketHistory history;
    std::optional<rtp::Seq> last_seq;    // of the encoder
    rtp::Seq withheld = 0;               // how far the numbers sent stay behind the encoder's
    bool gap = false;                    // the last number was not sent
    rtp::WireTimestamp last_timestamp = 0;
    Time last_captured{};
    Time next_report = Time::max();
    std::uint64_t frames = 0;
    std::uint32_t target = 0;       // of the encoder, now
    RateMeter rate;
    explicit Line(std::shared_ptr<OutgoingStream> s)
        : stream(std::move(s)), history(stream->codec.kind() == rtp::Kind::video ? 2048 : 256), target(stream->bitrate) {}
  };

  void offer_if_needed(Time now);
  void expect_connection(Time now);
  void start_streams();
  void handle(const peer::Event& event, SendBatch& out, Time now);
  void renew(Time now);
  void fail(const Error& error);
  void retransmit(const peer::PacketsRequested& asked, SendBatch& out, Time now);
  void report(Line& line, Time now);
  void share_bandwidth(std::uint64_t bits_per_second);
  void update_statistics(Time now);
  Line* find(const FeedCore* feed);
  Line* find(peer::Line number);

  const Events events_;
  std::vector<Address> local_;
  peer::Peer peer_;
  std::string stream_id_;
  std::vector<std::unique_ptr<Line>> lines_;
  bool outstanding_ = false, wanted_ = false;
  bool was_connected_ = false;
  bool failed_ = false;      // for good
  bool lapsed_ = false;
  Error broken_;             // why only a new transport can work; meaningful while restarts_.is_broken()
  IceRestarts restarts_;
  Reachability reachability_;
  Time statistics_at_ = Time::max();
};

}  // namespace amphi::sdk
