// One transport to one client: ICE, DTLS, SRTP, session description, RTP streams and their RTCP, joined into one machine.
// The same class serves both ends. Media flows one way per peer: the SENDER offers (create_offer, accept_answer), the
// RECEIVER answers (accept_offer). The server is ice-lite in both, and the client controlling. Either end takes either DTLS role, as
// a=setup says; where the choice is ours, the server is passive and the client active.
//
// Thread: its owner's (a media worker, or the SDK's media thread). Contract: architecture's state machine, with two
// departures for the hot path: a received RTP packet is handle_input's return value, and send_rtp writes into a lent batch.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/counters.h"
#include "base/net.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "dtls/transport.h"
#include "ice/agent.h"
#include "rtp/codec.h"
#include "rtp/packet.h"
#include "rtp/rtcp.h"

namespace amphi::peer {

enum class End { server, client };

struct Config {
  End end = End::server;
  std::vector<Address> local;                          // whose sockets exist
  std::shared_ptr<const dtls::Certificate> certificate;
  std::string cname;                                   // RFC 7022; the same for all peers of one participant
  std::vector<Address> candidates{};                   // as what the descriptions name `local`; empty: as they are
};

/// One m-line: its index in the description. Of a line that was closed it is used again for another feed, under a new mid, once both
/// ends have agreed that the first is over (RFC 8829 5.2.2).
using Line = std::size_t;

/// What a sender offers on a line.
struct SendLine {
  std::string mid;            // empty: chosen, and never chosen again
  rtp::Codec codec;
  std::string stream_id;      // msid: what belongs together for lip sync
  std::string track_id;
};

/// A codec under its payload type on one line.
struct LineCodec {
  std::uint8_t payload_type = 0;
  rtp::Codec codec;
};

/// One line as negotiated, seen from either end.
struct LineInfo {
  Line line = 0;
  std::string mid;
  rtp::Kind kind = rtp::Kind::video;
  std::optional<rtp::Codec> codec;   // the preferred one; nullopt: rejected
  bool active = false;               // false: inactive, refused or rejected
  std::optional<Error> refused;      // receiver: why the line is not taken
  bool declined = false;             // sender: the answer takes none of the line's codecs
  std::string stream_id, track_id;
  std::vector<LineCodec> codecs{};   // receiver: all that the sender may use, in its order
};

/// What a receiver takes of an offer.
struct OfferTerms {
  /// Further active lines are answered `inactive`, those that are active already have their places.
  std::size_t most_active = std::numeric_limits<std::size_t>::max();
  /// Asked of each active line. An error: the line is answered `inactive`, and LineInfo::refused tells the error.
  std::function<std::optional<Error>(const LineInfo&)> refuse{};
};

/// A received RTP packet of the line's selected source (rtp/source_selector.h), RTX (RFC 4588) already undone: valid until the next call
/// on the peer. Over a change of the source, `seq` and the header's timestamp go on.
struct ReceivedRtp {
  Line line = 0;
  rtp::Seq seq = 0;                  // extended
  rtp::RtpHeader header;             // of the original stream
  ByteView payload;                  // empty: padding, which keeps the numbers going and is nobody's media
  rtp::CodecName codec = rtp::CodecName::vp8;
  bool recovered = false;            // came as a retransmission
  std::optional<std::uint8_t> audio_level;
  std::uint32_t generation = 0;      // grows with every change of the line's source: no frame behind it builds upon one before it
};

struct Connected { ice::Pair pair; };                 // ICE and DTLS are up: media flows both ways; again after a restart moved it
struct Disconnected {};                               // no sign of life for a while; may come back
/// `disconnected`: consent is lost, an ICE restart may revive it. Everything else is final: DTLS failed, fingerprint_mismatch.
struct Failed { Error error; };
struct KeyframeRequested { Line line; };              // the receiving side asks the sender (PLI or FIR)
/// Up to 64 numbers close to each other, each once; no heap behind it.
class SeqRun {
 public:
  class Iterator {
   public:
    Iterator(rtp::Seq first, std::uint64_t left) : first_(first), left_(left) {}
    rtp::Seq operator*() const { return first_ + std::countr_zero(left_); }
    Iterator& operator++() {
      left_ &= left_ - 1;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return left_ != other.left_; }

   private:
    rtp::Seq first_;
    std::uint64_t left_;
  };
  /// False: too far from the others.
  bool add(rtp::Seq seq) {
    if (mask_ == 0) first_ = seq;
    if (seq < first_ || seq - first_ >= 64) return false;
    mask_ |= std::uint64_t{1} << (seq - first_);
    return true;
  }
  std::size_t size() const { return static_cast<std::size_t>(std::popcount(mask_)); }
  bool empty() const { return mask_ == 0; }
  Iterator begin() const { return {first_, mask_}; }
  Iterator end() const { return {first_, 0}; }

 private:
  rtp::Seq first_ = 0;
  std::uint64_t mask_ = 0;
};
/// NACK: answer with retransmit(). Without duplicates and packets sent again less than a round trip ago.
struct PacketsRequested { Line line; SeqRun lost; };
/// Of the selected source; never with NTP 0 (RFC 3550 6.4.1: no wall clock). `contradicts`: the one before it (rtp/report_check.h).
struct SenderReported { Line line; rtp::NtpTime ntp; rtp::WireTimestamp rtp_timestamp; bool contradicts = false; };
/// Sources send at the same time on the line. The packets of the others are dropped; told once for each selected source.
struct SourcesCompete { Line line; std::uint32_t selected, refused; };
/// Packets of a line that were dropped since the last such event: of sources that are not selected, and with a number that came before or is
/// too old to tell. At most once per ReceiveStream::kTellDropped.
struct PacketsDropped { Line line; std::uint64_t not_selected = 0, repeated = 0; };
struct BandwidthEstimated { std::uint64_t bits_per_second; };
using Event = std::variant<Connected, Disconnected, Failed, KeyframeRequested, PacketsRequested, SenderReported,
                           SourcesCompete, PacketsDropped, BandwidthEstimated>;
using Output = std::variant<Transmit, Event>;

enum class Drop {
  unknown_datagram, not_connected, srtp_malformed, srtp_authentication, srtp_replayed, rtp_malformed, unknown_stream,
  not_selected_source, unknown_payload_type, rtcp_malformed, report_without_clock, rtx_malformed, rtx_unwanted, repeated, oversized, stun_not_ours, codec_change,
  // Of feedback that would cost more than its sender may cause: docs/limits.md, section Media.
  duplicate_nack, nack_too_soon, nack_unknown, nack_too_many, nack_over_budget, duplicate_keyframe_request, report_too_soon,
  rtcp_over_budget, ingress_over_budget,
  // Received over a path that was abandoned or never authenticated; not sent over one that is not validated.
  unknown_path, unvalidated_path, count_
};
std::string_view counter_name(Drop drop);

struct LineStats {
  std::uint64_t packets = 0, bytes = 0;   // payload bytes, sent or received
  std::int64_t lost = 0;                  // cumulative, as the receiver sees it
  double fraction_lost = 0;               // of the last report interval
  Duration jitter{};
  std::uint64_t retransmitted = 0, nacked = 0, keyframe_requests = 0;
};
struct Stats {
  Duration round_trip{};                  // zero: not measured yet
  std::uint64_t estimated_bps = 0;        // zero: none
};

class Peer {
 public:
  /// `random` outlives the peer.
  Peer(Config config, Random& random);
  ~Peer();

  // --- negotiation -------------------------------------------------------------------------------------------------
  /// Sender: adds a line for the next offer, in the place of one that is over where there is one of this kind.
  Line add_line(SendLine line);
  /// Sender: the next offer says that the line is over; it sends no more.
  void close_line(Line line);
  /// Sender: the next offer begins an ICE restart (RFC 8445 9).
  /// The candidates of descriptions from now on (Config::candidates).
  void set_candidates(std::vector<Address> candidates);
  void restart_ice(Time now);
  /// Sender. The offer carries all host candidates; there is no trickle (the server's are all known at once, the
  /// client's are learnt by its checks).
  std::string create_offer(Time now);
  /// Sender. The answer may decline any line: see LineInfo::declined. Errors: malformed, unsupported (fingerprint),
  /// invalid_argument (no fingerprint or ICE credentials, not our lines).
  Result<void> accept_answer(std::string_view sdp, Time now);
  /// Receiver: takes an offer (the first, or again) and gives the answer. A failed offer changes nothing. A line that cannot
  /// be taken is refused alone: see LineInfo::refused.
  Result<std::string> accept_offer(std::string_view sdp, Time now, const OfferTerms& terms = {});
  std::vector<LineInfo> lines() const;

  // --- transport ---------------------------------------------------------------------------------------------------
  const ice::Credentials& local_credentials() const;
  /// RFC 7983: is this datagram one of the kinds a peer takes? (Whose it is, the owner knows by address or ufrag.)
  static bool accepts(ByteView data) noexcept;
  /// The ufrag of the peer that a STUN binding request is meant for; empty: another kind of datagram.
  static std::string_view addressed_ufrag(ByteView data) noexcept;
  /// `in.data` is decrypted in place. RTCP, DTLS and STUN give outputs; RTP is the return value.
  std::optional<ReceivedRtp> handle_input(const Datagram& in, Time now);
  void handle_timeout(Time now);
  /// A packet that was held until its source was selected. Call until nullopt after each handle_input without a packet, and after each
  /// handle_timeout.
  std::optional<ReceivedRtp> take_held(Time now);
  std::optional<Output> poll_output();
  Time next_timeout() const noexcept;
  bool connected() const;
  /// The pair that carries media now; nullopt before ICE has one.
  std::optional<ice::Pair> pair() const;
  /// Whose path is this? Has the other end authenticated itself over it (knows), has it proven there that it receives (validated), is
  /// this the response to a check of ours (awaits)? See ice::Agent.
  bool knows(const ice::Pair& path, Time now) const;
  bool validated(const ice::Pair& path) const;
  bool awaits(ByteView data) const;
  /// Tells the other end (DTLS close_notify, RTCP BYE) and stops. Outputs remain to be drained.
  void close(Time now);

  // --- media, sender -----------------------------------------------------------------------------------------------
  /// Rewrites ssrc, payload type and extensions for this line and encrypts into the batch. `seq` must grow by the stream's own
  /// steps (gaps stay gaps). False: not connected, or the line is not active (counted).
  bool send_rtp(Line line, rtp::Seq seq, const rtp::RtpHeader& header, ByteView payload, SendBatch& batch, Time now);
  /// The same packet again over RTX (RFC 4588). False where RTX was not negotiated (plain repetition would reuse a nonce), and where
  /// the receiver has used up its share (nack_over_budget).
  bool retransmit(Line line, rtp::Seq seq, const rtp::RtpHeader& header, ByteView payload, SendBatch& batch, Time now);
  /// The stream's clock mapping, sent on as a sender report with this peer's own counts.
  void send_sender_report(Line line, rtp::NtpTime ntp, rtp::WireTimestamp rtp_timestamp, Time now);

  // --- media, receiver ---------------------------------------------------------------------------------------------
  /// PLI to the sender of this line, at most one each 300 ms (asked more often: one follows at the interval's end).
  void request_keyframe(Line line, Time now);

  LineStats line_stats(Line line) const;
  Stats stats() const;
  const Counters<Drop>& drops() const;
  const Counters<ice::Drop>& ice_drops() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace amphi::peer
