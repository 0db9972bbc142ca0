#include "peer/peer.h"

#include <algorithm>

#include "peer/peer_impl.h"
#include "stun/message.h"

namespace amphi::peer {

namespace {

LineInfo info_of(Line index, const NegotiatedLine& line) {
  LineInfo info{index, line.mid, line.kind, std::nullopt, line.active, line.refused, line.declined, line.stream_id, line.track_id};
  if (line.format) info.codec = line.format->codec;
  for (const Format& format : line.formats) info.codecs.push_back({format.payload_type, format.codec});
  return info;
}

}  // namespace

std::string_view counter_name(Drop drop) {
  switch (drop) {
    case Drop::unknown_datagram: return "unknown_datagram";
    case Drop::not_connected: return "not_connected";
    case Drop::srtp_malformed: return "srtp_malformed";
    case Drop::srtp_authentication: return "srtp_authentication";
    case Drop::srtp_replayed: return "srtp_replayed";
    case Drop::rtp_malformed: return "rtp_malformed";
    case Drop::unknown_stream: return "unknown_stream";
    case Drop::not_selected_source: return "not_selected_source";
    case Drop::unknown_payload_type: return "unknown_payload_type";
    case Drop::rtcp_malformed: return "rtcp_malformed";
    case Drop::report_without_clock: return "report_without_clock";
    case Drop::rtx_malformed: return "rtx_malformed";
    case Drop::rtx_unwanted: return "rtx_unwanted";
    case Drop::repeated: return "repeated";
    case Drop::oversized: return "oversized";
    case Drop::stun_not_ours: return "stun_not_ours";
    case Drop::duplicate_nack: return "duplicate_nack";
    case Drop::nack_too_soon: return "nack_too_soon";
    case Drop::nack_unknown: return "nack_unknown";
    case Drop::nack_too_many: return "nack_too_many";
    case Drop::nack_over_budget: return "nack_over_budget";
    case Drop::duplicate_keyframe_request: return "duplicate_keyframe_request";
    case Drop::report_too_soon: return "report_too_soon";
    case Drop::rtcp_over_budget: return "rtcp_over_budget";
    case Drop::ingress_over_budget: return "ingress_over_budget";
    case Drop::unknown_path: return "unknown_path";
    case Drop::unvalidated_path: return "unvalidated_path";
    case Drop::codec_change: return "codec_change";
    case Drop::count_: break;
  }
  return "unknown";
}

Peer::Impl::Impl(Config config_in, Random& random_in)
    : config(std::move(config_in)),
      random(random_in),
      ice(config.end == End::server ? ice::Role::lite_controlled : ice::Role::full_controlling, config.local, random),
      dtls(config.end == End::server ? dtls::Role::server : dtls::Role::client, config.certificate),
      session_id(std::to_string(random.u64() >> 2)),
      own_ssrc(random.u32() | 1) {}

Peer::Peer(Config config, Random& random) : impl_(std::make_unique<Impl>(std::move(config), random)) {}
Peer::~Peer() = default;

// --- negotiation ---------------------------------------------------------------------------------------------------

LocalTransport Peer::Impl::local_transport() const {
  return {config.end, ice.local_credentials(), config.candidates.empty() ? ice.local_candidates() : ice::host_candidates(config.candidates), config.certificate->fingerprint(), config.cname,
          session_id, description_version, role.value_or(preferred_role())};
}

Result<void> Peer::Impl::take_remote(const RemoteTransport& remote, dtls::Role role_now, Time now) {
  if (fingerprints && *fingerprints != remote.fingerprints)
    return fail(ErrorCode::fingerprint_mismatch, "a later description names another DTLS fingerprint");
  if (!dtls.set_role(role_now)) return fail(ErrorCode::invalid_argument, "the DTLS handshake has begun in the other role");
  role = role_now;
  if (!fingerprints) {
    fingerprints = remote.fingerprints;
    dtls.set_remote_fingerprint(remote.fingerprints, now);
  }
  ice.set_remote(remote.credentials, remote.candidates, now);
  remote_credentials = remote.credentials;
  drain_ice(now);
  drain_dtls(now);
  return {};
}

std::string Peer::Impl::unused_mid() {
  const auto is_used = [this](const std::string& mid) {
    return std::any_of(lines.begin(), lines.end(), [&](const LineState& line) { return line.negotiated.mid == mid; });
  };
  std::string mid = std::to_string(mids++);
  while (is_used(mid)) mid = std::to_string(mids++);
  return mid;
}

Line Peer::add_line(SendLine line) {
  if (!impl_->budget) impl_->budget = std::make_unique<RetransmissionBudget>();
  LineState state;
  state.send = std::make_unique<SendStream>(impl_->random);
  state.negotiated.mid = line.mid.empty() ? impl_->unused_mid() : std::move(line.mid);
  state.codec = line.codec;
  state.negotiated.kind = line.codec.kind();
  state.negotiated.formats = offered_formats(line.codec, impl_->config.end == End::client);
  state.negotiated.format = state.negotiated.formats.front();
  state.negotiated.stream_id = std::move(line.stream_id);
  state.negotiated.track_id = std::move(line.track_id);
  state.negotiated.ssrc = state.send->ssrc();
  state.negotiated.rtx_ssrc = state.send->rtx_ssrc();
  auto& lines = impl_->lines;
  const auto over = std::find_if(lines.begin(), lines.end(), [&](const LineState& old) {
    return old.free && old.negotiated.kind == state.negotiated.kind;
  });
  if (over == lines.end()) {
    lines.push_back(std::move(state));
    return lines.size() - 1;
  }
  if (impl_->srtp)
    for (const auto ssrc : {over->send->ssrc(), over->send->rtx_ssrc()}) impl_->srtp->retire(ssrc);
  *over = std::move(state);
  return static_cast<Line>(over - lines.begin());
}

void Peer::close_line(Line line) {
  if (line >= impl_->lines.size()) return;
  LineState& state = impl_->lines[line];
  state.open = false;
  state.negotiated.active = false;
  // No agreement is needed on the end of a line that was never offered, or that the answer rejected.
  if (!state.offered || state.negotiated.rejected) state.free = true;
}

void Peer::set_candidates(std::vector<Address> candidates) { impl_->config.candidates = std::move(candidates); }

void Peer::restart_ice(Time now) {
  impl_->ice.restart(now);
  impl_->drain_ice(now);
}

std::string Peer::create_offer(Time) {
  ++impl_->description_version;
  auto& lines = impl_->lines;
  while (lines.size() > 1 && lines.back().free && !lines.back().offered) lines.pop_back();
  std::vector<NegotiatedLine> offer;
  for (auto& state : lines) {
    state.offered = true;
    offer.push_back(state.negotiated);
    offer.back().active = state.open;
    // The line that names the transport of all only turns inactive (RFC 9143 7.2).
    offer.back().rejected = state.free || (!state.open && offer.size() - 1 != impl_->transport_line);
    offer.back().declined = false;
    offer.back().formats = offered_formats(state.codec, impl_->config.end == End::client);
    offer.back().format = offer.back().formats.front();
  }
  impl_->offered = offer;
  return write_offer(impl_->local_transport(), offer, impl_->transport_line, impl_->config.end == End::client);
}

Result<void> Peer::accept_answer(std::string_view sdp, Time now) {
  if (!impl_->offered) return fail(ErrorCode::invalid_state, "an answer came without an offer");
  auto answer = read_answer(sdp, *impl_->offered);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->remote) {
    const auto role = role_by_answer(answer->remote->setup, impl_->role, impl_->preferred_role());
    if (!role) return tl::unexpected(role.error());
    if (auto taken = impl_->take_remote(*answer->remote, *role, now); !taken) return taken;
  }
  impl_->choose_transport_line(answer->lines);
  for (std::size_t i = 0; i < answer->lines.size(); ++i) {
    LineState& line = impl_->lines[i];
    if (line.negotiated.mid != answer->lines[i].mid) continue;  // another took its place meanwhile: for the next offer
    line.negotiated = std::move(answer->lines[i]);
    line.negotiated.active = line.negotiated.active && line.open;
    line.free = line.free || (line.negotiated.rejected && !line.open);
  }
  impl_->extensions = answer->extensions;
  impl_->offered.reset();
  return {};
}

/// Firefox closes the transport when the offer's BUNDLE group begins with another line than before.
void Peer::Impl::choose_transport_line(const std::vector<NegotiatedLine>& answered) {
  const auto taken = [](const NegotiatedLine& line) { return !line.rejected; };
  if (taken(answered[transport_line])) return;
  const auto first = std::find_if(answered.begin(), answered.end(), taken);
  transport_line = first == answered.end() ? 0 : static_cast<Line>(first - answered.begin());
}

void Peer::Impl::refuse_lines(const OfferTerms& terms, std::vector<NegotiatedLine>& wanted) const {
  if (terms.refuse)
    for (std::size_t i = 0; i < wanted.size(); ++i)
      if (wanted[i].active) wanted[i].refused = terms.refuse(info_of(i, wanted[i]));
  const auto goes_on = [&](std::size_t i) { return i < lines.size() && lines[i].negotiated.active && lines[i].negotiated.mid == wanted[i].mid; };
  std::size_t taken = 0;
  for (const bool those_that_go_on : {true, false})
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (!wanted[i].active || wanted[i].refused || goes_on(i) != those_that_go_on) continue;
      if (++taken > terms.most_active)
        wanted[i].refused = Error{ErrorCode::limit_exceeded, "too many feeds: at most " + std::to_string(terms.most_active) + " per participant"};
    }
  for (NegotiatedLine& line : wanted) line.active = line.active && !line.refused;
}

Result<std::string> Peer::accept_offer(std::string_view sdp, Time now, const OfferTerms& terms) {
  auto offer = read_offer(sdp);
  if (!offer) return tl::unexpected(offer.error());
  if (offer->lines.size() < impl_->lines.size())
    return fail(ErrorCode::invalid_argument, "the offer has fewer m-lines than the one before");
  for (std::size_t i = 0; i < impl_->lines.size(); ++i)
    if (impl_->lines[i].negotiated.mid != offer->lines[i].mid && !impl_->lines[i].negotiated.rejected)
      return fail(ErrorCode::invalid_argument, "the offer's m-lines are in another order");
  if (impl_->fingerprints && offer->remote && *impl_->fingerprints != offer->remote->fingerprints)
    return fail(ErrorCode::fingerprint_mismatch, "a later description names another DTLS fingerprint");
  dtls::Role role = impl_->role.value_or(impl_->preferred_role());
  if (offer->remote) {
    const auto chosen = role_by_offer(offer->remote->setup, impl_->role, role);
    if (!chosen) return tl::unexpected(chosen.error());
    role = *chosen;
  }
  if (impl_->remote_credentials && offer->remote && *impl_->remote_credentials != offer->remote->credentials)
    restart_ice(now);  // an offer that restarts is answered with new credentials too (RFC 8839 4.4.1.1.1)
  impl_->refuse_lines(terms, offer->lines);
  ++impl_->description_version;
  LocalTransport local = impl_->local_transport();
  local.role = role;
  std::string answer = write_answer(*offer, local);
  if (offer->remote)
    if (auto taken = impl_->take_remote(*offer->remote, role, now); !taken) return tl::unexpected(taken.error());

  impl_->extensions = offer->extensions;
  impl_->lines.resize(offer->lines.size());
  for (std::size_t i = 0; i < offer->lines.size(); ++i) {
    LineState& line = impl_->lines[i];
    const bool another = line.negotiated.mid != offer->lines[i].mid;
    line.negotiated = std::move(offer->lines[i]);
    if (!line.receive || another) line.receive = std::make_unique<ReceiveStream>();
    if (another || !line.negotiated.active) impl_->forget_sources(i);
  }
  for (Source& source : impl_->sources) source.declared = false;  // by an older offer
  for (std::size_t i = 0; i < impl_->lines.size(); ++i) {
    const NegotiatedLine& line = impl_->lines[i].negotiated;
    if (!line.active) continue;
    for (const DeclaredSource& source : line.sources) impl_->declare_source(source, i);
  }
  if (impl_->next_report == Time::max()) impl_->next_report = now + kReportInterval;
  return answer;
}

std::vector<LineInfo> Peer::lines() const {
  std::vector<LineInfo> infos;
  for (std::size_t i = 0; i < impl_->lines.size(); ++i) infos.push_back(info_of(i, impl_->lines[i].negotiated));
  return infos;
}

// --- transport -----------------------------------------------------------------------------------------------------

const ice::Credentials& Peer::local_credentials() const { return impl_->ice.local_credentials(); }
bool Peer::connected() const { return impl_->connected; }
std::optional<ice::Pair> Peer::pair() const { return impl_->pair; }
bool Peer::knows(const ice::Pair& path, Time now) const { return impl_->ice.knows(path, now); }
bool Peer::validated(const ice::Pair& path) const { return impl_->ice.validated(path); }
bool Peer::awaits(ByteView data) const { return impl_->ice.awaits(data); }
const Counters<ice::Drop>& Peer::ice_drops() const { return impl_->ice.drops(); }

bool Peer::accepts(ByteView data) noexcept {
  if (data.size() < 12) return false;
  const auto first = static_cast<std::uint8_t>(data[0]);
  return first < 4 || (first >= 20 && first < 64) || (first >= 128 && first < 192);  // RFC 7983 7
}

std::string_view Peer::addressed_ufrag(ByteView data) noexcept { return stun::local_ufrag_of(data).value_or(""); }

std::optional<ReceivedRtp> Peer::handle_input(const Datagram& in, Time now) {
  if (impl_->ended) return std::nullopt;
  const ByteView data = in.data;
  if (!accepts(data)) {
    impl_->drops.add(Drop::unknown_datagram);
    return std::nullopt;
  }
  const auto first = static_cast<std::uint8_t>(data[0]);
  if (first >= 20 && !impl_->takes_from({in.local, in.remote}, data.size(), now)) {
    impl_->drops.add(Drop::unknown_path);
    return std::nullopt;
  }
  if (first >= 128) {
    if (!impl_->srtp) {
      impl_->drops.add(Drop::not_connected);
      return std::nullopt;
    }
    if (!rtp::is_rtcp(data)) return impl_->receive_rtp(in.data, now);
    impl_->receive_rtcp(in.data, now);
  } else if (first >= 20) {
    const bool before = impl_->connected;
    impl_->dtls.handle_input(data, now);
    impl_->drain_dtls(now);
    // The last flight could only be made out of our own: the address that sent it has received.
    if (!before && impl_->connected && impl_->pair == ice::Pair{in.local, in.remote}) impl_->confirm_path(now);
  } else {
    if (!impl_->ice.accepts(data)) impl_->drops.add(Drop::stun_not_ours);
    impl_->ice.handle_input(in, now);
    impl_->drain_ice(now);
    impl_->drain_dtls(now);
  }
  return std::nullopt;
}

void Peer::handle_timeout(Time now) {
  if (impl_->ended) return;
  impl_->ice.handle_timeout(now);
  impl_->drain_ice(now);
  impl_->dtls.handle_timeout(now);
  impl_->drain_dtls(now);
  impl_->send_due_feedback(now);
}

Time Peer::next_timeout() const noexcept {
  if (!impl_->outputs.empty()) return Time{};
  if (impl_->ended) return Time::max();
  return std::min({impl_->ice.next_timeout(), impl_->dtls.next_timeout(), impl_->feedback_deadline()});
}

std::optional<Output> Peer::poll_output() { return impl_->outputs.pop(); }

void Peer::Impl::end(Error error) {
  if (ended) return;
  ended = true;
  connected = false;
  emit(Failed{std::move(error)});
}

bool Peer::Impl::takes_from(const ice::Pair& path, std::size_t bytes, Time now) {
  if (path != pair && !ice.knows(path, now)) return false;
  if (!path_open || path != pair) ice.on_received(path, bytes);
  return true;
}

bool Peer::Impl::may_send(std::size_t bytes) {
  if (path_open || ice.spend(*pair, bytes)) return true;
  drops.add(Drop::unvalidated_path);
  return false;
}

void Peer::Impl::confirm_path(Time now) {
  ice.confirm(*pair, now);
  path_open = ice.validated(*pair);
}

void Peer::Impl::on_pair_change() {
  const auto selected = ice.selected();
  path_open = selected && ice.validated(*selected);
  if (selected == pair) return;
  pair = selected;  // none: without consent nothing is sent (RFC 7675 5.1)
  if (pair && connected) emit(Connected{*pair});
}

void Peer::Impl::drain_ice(Time now) {
  while (auto output = ice.poll_output()) {
    if (auto* transmit = std::get_if<Transmit>(&*output)) {
      outputs.push(std::move(*transmit));
      continue;
    }
    switch (std::get<ice::StateChanged>(*output).state) {
      case ice::State::connected:
        if (connected && pair == ice.selected()) emit(Connected{*pair});  // back after a silence
        break;
      case ice::State::disconnected:
        if (connected) emit(Disconnected{});
        break;
      case ice::State::failed:
        emit(Failed{{ErrorCode::disconnected, "ICE: no consent from the other end (RFC 7675)"}});
        break;
      default:
        break;
    }
  }
  on_pair_change();
  start_dtls(now);
}

/// Both ends are known and can reach each other: from here on the handshake has its time.
void Peer::Impl::start_dtls(Time now) {
  if (!pair || !role || dtls.state() != dtls::State::idle) return;
  dtls.set_deadline(now);
  if (path_open) dtls.start(now);
}

void Peer::Impl::drain_dtls(Time now) {
  while (auto output = dtls.poll_output()) {
    if (auto* datagram = std::get_if<Bytes>(&*output)) {
      if (pair && may_send(datagram->size())) outputs.push(Transmit{pair->local, pair->remote, std::move(*datagram)});
    } else if (auto* up = std::get_if<dtls::Connected>(&*output)) {
      auto context = srtp::make_context(static_cast<srtp::Profile>(up->keys.profile), up->keys.local, up->keys.remote);
      if (!context) return end(context.error());
      srtp = std::move(*context);
      connected = true;
      if (pair) emit(Connected{*pair});
    } else if (auto* failed = std::get_if<dtls::Failed>(&*output)) {
      return end(failed->error);
    } else {
      return end({ErrorCode::disconnected, "the other end closed the transport"});
    }
  }
  (void)now;
}

void Peer::close(Time now) {
  if (impl_->ended) return;
  if (impl_->connected) {
    rtp::Bye bye;
    for (const auto& line : impl_->lines)
      if (line.send && line.negotiated.active) bye.ssrcs.push_back(line.send->ssrc());
    if (!bye.ssrcs.empty() && bye.ssrcs.size() < 32) {
      Bytes packet;
      rtp::append_rtcp(packet, rtp::ReceiverReport{impl_->own_ssrc, {}});
      rtp::append_rtcp(packet, bye);
      impl_->send_rtcp(std::move(packet));
    }
  }
  impl_->dtls.close(now);
  while (auto output = impl_->dtls.poll_output())
    if (auto* datagram = std::get_if<Bytes>(&*output); datagram && impl_->pair && impl_->may_send(datagram->size()))
      impl_->outputs.push(Transmit{impl_->pair->local, impl_->pair->remote, std::move(*datagram)});
  impl_->ended = true;
  impl_->connected = false;
}

LineStats Peer::line_stats(Line line) const {
  if (line >= impl_->lines.size()) return {};
  const LineState& state = impl_->lines[line];
  return state.send ? state.send->stats : state.receive ? state.receive->stats : LineStats{};
}

Stats Peer::stats() const {
  Stats stats;
  stats.round_trip = impl_->rtcp_round_trip > 0ns ? impl_->rtcp_round_trip : impl_->ice.round_trip();
  stats.estimated_bps = impl_->announced_bps;
  return stats;
}

const Counters<Drop>& Peer::drops() const { return impl_->drops; }

}  // namespace amphi::peer
