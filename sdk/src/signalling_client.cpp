#include "signalling_client.h"

#include <algorithm>
#include <set>
#include <utility>

namespace amphi::sdk::signalling {

std::string_view counter_name(Drop drop) {
  switch (drop) {
    case Drop::malformed: return "malformed";
    case Drop::unknown_type: return "unknown_type";
    case Drop::unexpected: return "unexpected";
    case Drop::error_reported: return "error_reported";
    case Drop::count_: break;
  }
  return "";
}

bool is_final(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::unauthorized:
    case ErrorCode::forbidden:
    case ErrorCode::not_found:
    case ErrorCode::unsupported:
    case ErrorCode::invalid_argument:
    case ErrorCode::malformed:
    case ErrorCode::fingerprint_mismatch: return true;
    default: return false;
  }
}

Client::Client(Config config, Random& random) : config_(std::move(config)), back_off_(random) {}

void Client::connect(Time now) {
  if (state_ != State::idle) return;
  state_ = State::opening;
  joined_by_ = now + kDeadAfter;
  outputs_.push_back(OpenConnection{});
}

void Client::leave(Time now) {
  if (ended()) return;
  if (state_ == State::idle) {  // connect() was never called: nothing to end, and nothing will begin
    state_ = State::ended;
    return;
  }
  if (state_ == State::joined || state_ == State::joining) send(write_leave(false), now);
  else if (!resume_token_.empty() && !lapsed_) return leave_behind(now);
  end(std::nullopt);
}

void Client::leave_behind(Time now) {
  if (std::exchange(state_, State::leaving) != State::opening) outputs_.push_back(OpenConnection{});
  joined_by_ = now + kGoodbyeWithin;
  outputs_.push_back(Ended{std::nullopt});
}

void Client::left() {
  state_ = State::ended;
  outputs_.push_back(CloseConnection{});
}

void Client::abort(Error error, Time now) {
  if (ended() || state_ == State::idle) return;
  if (state_ == State::joined || state_ == State::joining) send(write_leave(false), now);
  end(std::move(error));
}

void Client::connection_opened(Time now) {
  if (state_ == State::leaving) {
    send(write_join(config_.token, resume_token_, config_.client), now);
    send(write_leave(false), now);
    return left();
  }
  if (state_ != State::opening) return;
  state_ = State::joining;
  last_heard_ = now;
  joined_by_ = now + kDeadAfter;
  send(write_join(config_.token, resume_token_, config_.client), now);
}

void Client::connection_failed(Error error, Time now) {
  if (state_ == State::leaving) return left();
  if (state_ == State::opening) lost(std::move(error), now);
}

void Client::connection_closed(Time now) {
  if (state_ == State::opening || state_ == State::joining || state_ == State::joined)
    lost({ErrorCode::disconnected, "the connection to the server was lost"}, now);
}

void Client::handle_message(std::string_view text, Time now) {
  if (state_ != State::joining && state_ != State::joined) return drops_.add(Drop::unexpected);
  last_heard_ = now;
  auto message = parse(text);
  if (!message) return drops_.add(Drop::malformed);
  if (std::holds_alternative<UnknownMessage>(*message)) return drops_.add(Drop::unknown_type);
  if (std::holds_alternative<Ping>(*message)) return send(write_bare("pong"), now);
  if (std::holds_alternative<Pong>(*message)) return;
  if (auto* m = std::get_if<Closing>(&*message)) return handle(*m, now);
  if (auto* m = std::get_if<ErrorMessage>(&*message)) return handle(*m, now);
  if (auto* m = std::get_if<JoinedMessage>(&*message)) return handle(*m, now);
  if (state_ != State::joined) return drops_.add(Drop::unexpected);

  if (auto* m = std::get_if<PublishAnswer>(&*message)) {
    if (outstanding_offer_.empty()) return drops_.add(Drop::unexpected);
    outstanding_offer_.clear();
    outputs_.push_back(std::move(*m));
  } else if (auto* offer = std::get_if<SubscribeOffer>(&*message)) {
    outputs_.push_back(std::move(*offer));
  } else if (auto* come = std::get_if<ParticipantJoined>(&*message)) {
    add_participant(come->participant);
  } else if (auto* gone = std::get_if<ParticipantLeft>(&*message)) {
    remove_participant(gone->participant_id, gone->may_return);
  } else if (auto* added = std::get_if<FeedAdded>(&*message)) {
    add_feed(added->feed);
  } else if (auto* changed = std::get_if<FeedChanged>(&*message)) {
    change_feed(changed->feed);
  } else if (auto* removed = std::get_if<FeedRemoved>(&*message)) {
    remove_feed(removed->feed_id, removed->may_return);
  } else if (auto* unsupported = std::get_if<FeedUnsupported>(&*message)) {
    if (feeds_.contains(unsupported->feed_id)) outputs_.push_back(std::move(*unsupported));
    else drops_.add(Drop::unexpected);
  }
}

void Client::handle(JoinedMessage& m, Time now) {
  if (state_ != State::joining) return drops_.add(Drop::unexpected);
  if (was_joined() && m.resumed && m.participant_id != participant_id_) {
    send(write_leave(false), now);
    return refused({ErrorCode::disconnected, "the server resumed another participant"}, now);
  }
  state_ = State::joined;
  joined_at_ = now;
  joined_by_ = resume_until_ = Time::max();
  told_.reset();
  resume_token_ = m.resume_token;
  resume_window_ = std::clamp<Duration>(milliseconds(m.resume_window_ms), 0ms, kResumeWindow);
  send(write_bare("ping"), now);  // acknowledges `joined`: from now on the server holds the participant over a loss
  if (was_joined()) {
    take_up_again(m, now);
  } else {
    participant_id_ = m.participant_id;
    outputs_.push_back(Joined{m.session_id, m.participant_id, m.identity, m.grants});
  }
  reconcile(m.participants);
}

void Client::take_up_again(const JoinedMessage& m, Time now) {
  said_goodbye_ = false;
  if (m.resumed) {
    outputs_.push_back(Resumed{});
    lapsed_ = false;
    if (!outstanding_offer_.empty()) send(outstanding_offer_, now);
    return;
  }
  lapse();
  lapsed_ = false;
  reconcile({});
  outstanding_offer_.clear();  // of a transport that this server never saw
  participant_id_ = m.participant_id;
  outputs_.push_back(Rejoined{m.participant_id, m.grants});
}

void Client::handle(const Closing& m, Time now) {
  if (!m.may_return || (!was_joined() && !config_.reconnect)) return end(std::nullopt);
  said_goodbye_ = true;
  lost({ErrorCode::disconnected, "the server went away"}, now);
}

void Client::handle(const ErrorMessage& m, Time now) {
  if (m.fatal || state_ == State::joining) return refused(m.error, now);
  if (m.in_reply_to == "publishOffer" && !outstanding_offer_.empty()) {
    outstanding_offer_.clear();
    outputs_.push_back(PublishRefused{m.error});
    return;
  }
  if (m.in_reply_to == "subscribeAnswer" || m.in_reply_to == "restartSubscribe") {
    outputs_.push_back(SubscribeRefused{m.error});
    return;
  }
  if (!m.transport.empty()) return outputs_.push_back(TransportFailed{m.transport, m.error});
  drops_.add(Drop::error_reported);
}

void Client::refused(const Error& error, Time now) {
  if (is_final(error.code)) return end(error);
  // A timeout is a silence that the server noticed first (a machine that slept, a join that stalled on its way): it can be resumed.
  if (!config_.reconnect && error.code != ErrorCode::timeout) return end(error);
  // The participant is removed, or another connection speaks for it.
  if (error.code == ErrorCode::disconnected) return give_up_participant(error, now);
  lost(error, now);
}

void Client::rejoin(Error why, Time now) {
  if (state_ != State::joined || !config_.reconnect) return;
  send(write_leave(true), now);
  give_up_participant(std::move(why), now);
}

void Client::give_up_participant(Error why, Time now) {
  lost(std::move(why), now);
  resume_token_.clear();
  lapse();
}

void Client::lapse() {
  resume_until_ = Time::max();
  if (!was_joined() || std::exchange(lapsed_, true)) return;
  outputs_.push_back(Lapsed{});
}

void Client::reconcile(const std::vector<ParticipantDescription>& present) {
  std::set<std::string> ids, feed_ids;
  for (const auto& p : present) {
    ids.insert(p.id);
    for (const auto& f : p.feeds) feed_ids.insert(f.id);
  }
  // Nothing tells why an absent participant left, so it may return. An absent feed of a present participant was ended by its owner.
  std::vector<std::string> gone;
  for (const auto& [id, identity] : participants_)
    if (!ids.contains(id)) gone.push_back(id);
  for (const auto& id : gone) remove_participant(id, true);
  gone.clear();
  for (const auto& [id, feed] : feeds_)
    if (!feed_ids.contains(id)) gone.push_back(id);
  for (const auto& id : gone) remove_feed(id, false);
  for (const auto& p : present) add_participant(p);
}

void Client::add_participant(const ParticipantDescription& participant) {
  if (participant.id == participant_id_) return drops_.add(Drop::unexpected);
  if (participants_.emplace(participant.id, participant.identity).second)
    outputs_.push_back(ParticipantJoined{{participant.id, participant.identity, {}}});
  for (const auto& feed : participant.feeds) add_feed(feed);
}

void Client::remove_participant(const std::string& id, bool may_return) {
  if (!participants_.contains(id)) return drops_.add(Drop::unexpected);
  std::vector<std::string> theirs;
  for (const auto& [feed_id, feed] : feeds_)
    if (feed.participant_id == id) theirs.push_back(feed_id);
  for (const auto& feed_id : theirs) remove_feed(feed_id, may_return);
  participants_.erase(id);
  outputs_.push_back(ParticipantLeft{id, may_return});
}

void Client::add_feed(const FeedDescription& feed) {
  if (feed.participant_id == participant_id_) return drops_.add(Drop::unexpected);
  const auto [it, fresh] = feeds_.emplace(feed.id, feed);
  if (fresh) return outputs_.push_back(FeedAdded{feed});
  if (it->second != feed) change_feed(feed);  // while the connection was lost
}

/// Of its own feeds the client keeps no list.
void Client::change_feed(const FeedDescription& feed) {
  const auto known = feeds_.find(feed.id);
  if (known == feeds_.end() && feed.participant_id != participant_id_) return drops_.add(Drop::unexpected);
  if (known != feeds_.end()) known->second = feed;
  outputs_.push_back(FeedChanged{feed});
}

void Client::remove_feed(const std::string& id, bool may_return) {
  if (feeds_.erase(id) == 0) return drops_.add(Drop::unexpected);
  outputs_.push_back(FeedRemoved{id, may_return});
}

void Client::publish(std::string sdp, std::vector<OfferedFeed> feeds, Time now) {
  if (ended() || state_ == State::idle) return;
  outstanding_offer_ = write_publish_offer(sdp, feeds);
  if (state_ == State::joined) send(outstanding_offer_, now);  // otherwise: with the resume
}

void Client::answer_subscribe(const std::string& offer_id_text, const std::string& sdp, Time now) {
  if (state_ == State::joined) send(write_subscribe_answer(offer_id_text, sdp), now);
}

void Client::restart_subscribe(Time now) {
  if (state_ == State::joined) send(write_bare("restartSubscribe"), now);
}

void Client::lost(Error why, Time now) {
  if (state_ != State::opening) outputs_.push_back(CloseConnection{});
  if (!was_joined() && !config_.reconnect) return end(std::move(why));
  if (state_ == State::joined) {
    if (now >= joined_at_ + kSteadyAfter) back_off_.succeeded();
    resume_until_ = now + resume_window_;
  }
  state_ = State::waiting;
  joined_by_ = Time::max();
  retry_at_ = now + back_off_.next();
  if (told_ == why.code) return;
  told_ = why.code;
  outputs_.push_back(Interrupted{std::move(why)});
}

void Client::end(std::optional<Error> error) {
  if (ended()) return;
  state_ = State::ended;
  joined_by_ = retry_at_ = resume_until_ = Time::max();
  outputs_.push_back(CloseConnection{});
  outputs_.push_back(Ended{std::move(error)});
}

void Client::send(std::string text, Time now) {
  last_sent_ = now;
  outputs_.push_back(SendText{std::move(text)});
}

void Client::handle_timeout(Time now) {
  if (state_ == State::ended || state_ == State::idle) return;
  if (state_ == State::leaving) {
    if (now >= joined_by_) left();
    return;
  }
  if (now >= resume_until_) {
    if (!config_.reconnect && said_goodbye_) return end(std::nullopt);
    if (!config_.reconnect) return end(Error{ErrorCode::disconnected, "the connection could not be resumed in time"});
    lapse();
  }
  if (state_ == State::waiting && now >= retry_at_) {
    retry_at_ = Time::max();
    state_ = State::opening;
    joined_by_ = now + kDeadAfter;
    outputs_.push_back(OpenConnection{});
  } else if ((state_ == State::opening || state_ == State::joining) && now >= joined_by_) {
    outputs_.push_back(CloseConnection{});
    lost({ErrorCode::timeout, "the server did not answer in time"}, now);
  } else if (state_ == State::joined) {
    if (now >= last_heard_ + kDeadAfter) return lost({ErrorCode::timeout, "the server is silent"}, now);
    if (now >= last_sent_ + kPingAfter) send(write_bare("ping"), now);
  }
}

std::optional<Output> Client::poll_output() {
  if (outputs_.empty()) return std::nullopt;
  Output out = std::move(outputs_.front());
  outputs_.pop_front();
  return out;
}

Time Client::next_timeout() const noexcept {
  switch (state_) {
    case State::idle:
    case State::ended: return Time::max();
    case State::waiting: return std::min(retry_at_, resume_until_);
    case State::leaving: return joined_by_;
    case State::opening:
    case State::joining: return std::min(joined_by_, resume_until_);
    case State::joined: return std::min(last_sent_ + kPingAfter, last_heard_ + kDeadAfter);
  }
  return Time::max();
}

}  // namespace amphi::sdk::signalling
