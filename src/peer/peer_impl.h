// The inside of a Peer, shared by peer.cpp (negotiation, transport), media.cpp (RTP) and control.cpp (RTCP).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/token_bucket.h"
#include "cc/bandwidth_estimator.h"
#include "cc/receiver_limit.h"
#include "cc/transport_feedback.h"
#include "peer/description.h"
#include "peer/peer.h"
#include "peer/output_queue.h"
#include "peer/receive_stream.h"
#include "peer/retransmission.h"
#include "peer/send_stream.h"
#include "srtp/context.h"

namespace amphi::peer {

// Items of received RTCP: packets, numbers of NACKs, statuses of transport feedback, report blocks. A receiver of 100 Mbit/s sends
// about half of it.
constexpr double kRtcpItemsPerSecond = 20'000;

struct LineState {
  NegotiatedLine negotiated;
  rtp::Codec codec;                        // sender: what is offered, whatever was answered before
  bool open = true;                        // false: closed by the sender
  bool offered = false;                    // sender: the other end has been told of it
  bool free = false;                       // sender: over, and agreed to be: another may take its place
  std::unique_ptr<SendStream> send;        // sender's end
  std::unique_ptr<ReceiveStream> receive;  // receiver's end
};

/// Which line a source belongs to, learnt from the description or from the mid extension (RFC 8843 9.2).
struct Source {
  std::uint32_t ssrc = 0;
  Line line = 0;
  bool rtx = false;
  bool declared = false;                  // by the description
  std::optional<std::uint32_t> repairs;   // rtx: the source whose packets it repeats, where the description names it
};

struct Peer::Impl {
  Impl(Config config_in, Random& random_in);

  LocalTransport local_transport() const;
  std::string unused_mid();
  void choose_transport_line(const std::vector<NegotiatedLine>& answered);
  void refuse_lines(const OfferTerms& terms, std::vector<NegotiatedLine>& offered) const;
  void forget_sources(Line line);
  void declare_source(const DeclaredSource& declared, Line line);
  Source& add_source(const Source& source);
  Result<void> take_remote(const RemoteTransport& remote, dtls::Role role_now, Time now);
  dtls::Role preferred_role() const { return config.end == End::server ? dtls::Role::server : dtls::Role::client; }

  void drain_ice(Time now);
  void drain_dtls(Time now);
  void on_pair_change();
  /// Is a datagram over this path the other end's?
  bool takes_from(const ice::Pair& path, std::size_t bytes, Time now);
  /// Over `pair`, which is there.
  bool may_send(std::size_t bytes);
  void confirm_path(Time now);
  void start_dtls(Time now);
  void end(Error error);
  void emit(Event event) { outputs.push(std::move(event)); }

  // media.cpp
  std::optional<ReceivedRtp> receive_rtp(MutableBytes data, Time now);
  Source* find_source(const rtp::RtpPacket& packet);
  bool undo_rtx(const Source& source, LineState& line, const Format& format, ReceivedRtp& received);
  /// Takes a packet of the selected source into its stream; false: it came before.
  bool accept(LineState& line, const Format& format, ReceivedRtp& received, Time now);
  void refuse(Line line, std::uint32_t ssrc, Time now);
  std::optional<ReceivedRtp> take_held(Time now);
  bool protect_and_commit(MutableBytes slot, std::size_t size, SendBatch& batch);

  // control.cpp
  void receive_rtcp(MutableBytes data, Time now);
  void take(const rtp::SenderReport& report, Time now);
  void take(const rtp::ReceiverReport& report, Time now);
  void take(const rtp::SourceDescription&, Time) {}
  void take(const rtp::Bye& bye, Time now);
  void take(const rtp::Nack& nack, Time now);
  void take(const rtp::PictureLoss& loss, Time now);
  void take(const rtp::FullIntraRequest& request, Time now);
  void take(const rtp::TransportFeedback& feedback, Time now);
  void take_report(Line line, rtp::NtpTime ntp, rtp::WireTimestamp timestamp);
  Duration resend_interval() const;
  void take(const rtp::ReceiverBandwidth& bandwidth, Time now);
  void take_blocks(const std::vector<rtp::ReportBlock>& blocks, Time now);
  std::optional<Line> sending_line(std::uint32_t ssrc) const;
  void send_rtcp(Bytes packet);
  void send_due_feedback(Time now);
  void send_receiver_limit();
  Time feedback_deadline() const;

  Config config;
  Random& random;
  ice::Agent ice;
  dtls::Transport dtls;
  std::unique_ptr<srtp::Context> srtp;
  std::optional<ice::Pair> pair;
  bool path_open = false;  // `pair` is validated: nothing bounds what is sent over it
  std::optional<ice::Credentials> remote_credentials;
  Line transport_line = 0;  // sender: the line that is first in the BUNDLE group, whose transport all lines use
  bool connected = false;
  bool ended = false;

  std::string session_id;
  std::uint64_t description_version = 0;
  std::optional<std::vector<NegotiatedLine>> offered;  // until the answer
  rtp::ExtensionIds extensions;
  std::optional<dtls::Fingerprints> fingerprints;
  std::optional<dtls::Role> role;   // as negotiated

  std::vector<LineState> lines;
  std::size_t mids = 0;                   // how many were chosen
  std::vector<Source> sources;
  std::size_t last_source = 0;
  bool holding = false;                   // some line may hold packets of a source that is not selected yet
  Bytes held_payload;                     // of the held packet that was given last

  std::uint32_t own_ssrc;                 // of our RTCP where we send no media
  std::uint16_t transport_seq = 0;
  cc::BandwidthEstimator estimator;
  std::uint64_t announced_bps = 0;
  cc::FeedbackGenerator feedback;
  cc::ReceiverLimit receiver_limit;
  std::uint64_t limited_packets = 0;       // of the lines that REMB limits, at the last report
  std::int64_t limited_lost = 0;
  Time next_report = Time::max();
  Duration rtcp_round_trip{};
  std::unique_ptr<RetransmissionBudget> budget;  // of a sender
  TokenBucket rtcp_work{kRtcpItemsPerSecond, kRtcpItemsPerSecond};

  OutputQueue outputs;
  Counters<Drop> drops;
};

constexpr std::size_t kMaxLearntSources = 16;  // of a line
constexpr Duration kReportInterval = 1s;

}  // namespace amphi::peer
