#include "server/signalling.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

namespace amphi::server {
namespace {

namespace asio = boost::asio;

constexpr double kMessagesPerSecond = 100, kMessageBurst = 200;

Error no_session() { return {ErrorCode::not_found, "The session is over."}; }

}  // namespace

void Signalling::refuse(WebSocketConnection& connection, Drop why, const Error& error, bool fatal,
                        std::string_view in_reply_to) {
  drops_.add(why);
  connection.send_error(error, fatal, in_reply_to);
}

asio::awaitable<void> Signalling::run(Connection connection, SessionId session) {
  const auto state = std::make_shared<ConnectionWatch>();
  state->sends_pings = true;
  asio::co_spawn(co_await asio::this_coro::executor, watch(connection, state, drops_), asio::detached);
  RateLimit limit(kMessagesPerSecond, kMessageBurst);

  auto first = co_await read_limited(connection, limit, drops_);
  if (!first || !connection->is_open()) co_return;
  const auto member = co_await greet(connection, session, std::move(*first));
  if (!member) co_return;
  state->greeted = true;

  bool more = true;
  while (more) {
    auto text = co_await read_limited(connection, limit, drops_);
    if (!text) break;
    more = co_await handle(connection, *member, std::move(*text));
  }
  directory_.connection_lost(*member, *connection);
}

asio::awaitable<std::optional<Member>> Signalling::greet(Connection connection, SessionId session, std::string text) {
  auto message = signalling::decode(text);
  if (!message) {
    refuse(*connection, Drop::ws_malformed, message.error().error, true, message.error().type);
    co_return std::nullopt;
  }
  auto* join = std::get_if<signalling::Join>(&*message);
  if (!join) {
    refuse(*connection, Drop::ws_unauthorized, {ErrorCode::unauthorized, "The first message must be `join`."}, true, "");
    co_return std::nullopt;
  }
  auto token = verify_(join->token);
  if (token && token->session != session)
    token = fail(ErrorCode::unauthorized, "The token is for another session.");
  if (!token) {
    refuse(*connection, Drop::ws_unauthorized, token.error(), true, "join");
    co_return std::nullopt;
  }
  connection->authenticated(identity_key(*token));
  const auto tell_limits_of = [&](const ParticipantId& participant) {
    connection->on_limit_reached([&directory = directory_, session, identity = token->identity, who = participant.value](const std::string& what) {
      directory.limit_reached(session, {identity, what, who});
    });
  };
  tell_limits_of({});
  if (!joins_.allow(*token, runtime::now())) {
    refuse(*connection, Drop::ws_join_rate_limited, {ErrorCode::limit_exceeded, "This identity joins too often in too short a time."}, true, "join");
    co_return std::nullopt;
  }
  auto member = co_await directory_.join(*token, join->resume_token, connection);
  if (!member && directory_.is_closed() && !join->resume_token.empty()) {  // who was here comes back after the restart
    connection->send(signalling::closing_for_now(member.error().message));
    connection->close();
    co_return std::nullopt;
  }
  if (!member) {
    const bool unauthorized = member.error().code == ErrorCode::unauthorized;
    refuse(*connection, unauthorized ? Drop::ws_unauthorized : Drop::ws_refused, member.error(), true, "join");
    co_return std::nullopt;
  }
  tell_limits_of(member->participant);
  co_return *member;
}

asio::awaitable<bool> Signalling::handle(Connection connection, Member member, std::string text) {
  if (!directory_.speaks_for(member, *connection)) co_return false;
  directory_.acknowledge(member);
  auto message = signalling::decode(text);
  if (!message) {
    const auto& refused = message.error();
    refuse(*connection, refused.unknown_type ? Drop::ws_unknown_type : Drop::ws_malformed, refused.error, false, refused.type);
    co_return true;
  }
  if (const auto* leave = std::get_if<signalling::Leave>(&*message)) {
    directory_.leave(member, leave->may_return);
    connection->close();
    co_return false;
  }
  if (auto* offer = std::get_if<signalling::PublishOffer>(&*message)) co_await publish(connection, member, std::move(*offer));
  else if (auto* given = std::get_if<signalling::SubscribeAnswer>(&*message)) co_await answer(connection, member, std::move(*given));
  else if (std::holds_alternative<signalling::RestartSubscribe>(*message)) co_await restart(connection, member);
  else if (std::holds_alternative<signalling::Ping>(*message)) connection->send(signalling::pong());
  else if (std::holds_alternative<signalling::Join>(*message))
    refuse(*connection, Drop::ws_refused, {ErrorCode::invalid_state, "This connection has joined already."}, false, "join");
  co_return true;
}

/// By identity: a participant that joins anew has no new allowance.
bool Signalling::may_offer(const Member& member) {
  const std::string* identity = directory_.identity_of(member.session, member.participant);
  return identity != nullptr && offers_.allow(identity_key(member.session, *identity), runtime::now());
}

asio::awaitable<void> Signalling::publish(Connection connection, Member member, signalling::PublishOffer offer) {
  const Grants* grants = directory_.grants_of(member);
  if (!grants || !grants->publish) {
    refuse(*connection, Drop::ws_forbidden, {ErrorCode::forbidden, "The token has no `publish` grant."}, false, "publishOffer");
    co_return;
  }
  if (!may_offer(member)) {
    refuse(*connection, Drop::ws_offer_rate_limited, {ErrorCode::limit_exceeded, "Too many offers in too short a time. Join changes in one offer, or wait."}, false, "publishOffer");
    co_return;
  }
  MediaWorker* worker = directory_.worker_of(member.session);
  auto task = [member, offer = std::move(offer)](MediaWorker& there, Time now) -> Result<sfu::PublishAnswer> {
    auto* media = there.find(member.session);
    if (!media) return tl::unexpected(no_session());
    return media->publish_offer(member.participant, offer.sdp, offer.feeds, now);
  };
  const auto answered = co_await worker->call(std::move(task));
  if (answered) {
    for (const auto& refused : answered->refused)
      if (refused.error.code == ErrorCode::limit_exceeded) connection->limit_reached(refused.error.message);
    connection->send(signalling::publish_answer(*answered));
  } else {
    refuse(*connection, Drop::ws_refused, answered.error(), false, "publishOffer");
  }
}

asio::awaitable<void> Signalling::answer(Connection connection, Member member, signalling::SubscribeAnswer given) {
  const Grants* grants = directory_.grants_of(member);
  if (!grants || !grants->subscribe) {
    refuse(*connection, Drop::ws_forbidden, {ErrorCode::forbidden, "The token has no `subscribe` grant."}, false, "subscribeAnswer");
    co_return;
  }
  MediaWorker* worker = directory_.worker_of(member.session);
  auto task = [member, given = std::move(given)](MediaWorker& there, Time now) -> Result<void> {
    auto* media = there.find(member.session);
    if (!media) return tl::unexpected(no_session());
    return media->subscribe_answer(member.participant, given.offer_id, given.sdp, now);
  };
  const auto done = co_await worker->call(std::move(task));
  if (!done) refuse(*connection, Drop::ws_refused, done.error(), false, "subscribeAnswer");
}

asio::awaitable<void> Signalling::restart(Connection connection, Member member) {
  const Grants* grants = directory_.grants_of(member);
  if (!grants || !grants->subscribe) {
    refuse(*connection, Drop::ws_forbidden, {ErrorCode::forbidden, "The token has no `subscribe` grant."}, false, "restartSubscribe");
    co_return;
  }
  if (!may_offer(member)) {
    refuse(*connection, Drop::ws_offer_rate_limited, {ErrorCode::limit_exceeded, "Too many restarts and offers in too short a time."}, false, "restartSubscribe");
    co_return;
  }
  MediaWorker* worker = directory_.worker_of(member.session);
  auto task = [member](MediaWorker& there, Time now) -> Result<void> {
    auto* media = there.find(member.session);
    if (!media) return tl::unexpected(no_session());
    return media->restart_subscribe(member.participant, true, now);
  };
  const auto done = co_await worker->call(std::move(task));
  if (!done) refuse(*connection, Drop::ws_refused, done.error(), false, "restartSubscribe");
}

}  // namespace amphi::server
