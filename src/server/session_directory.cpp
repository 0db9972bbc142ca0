#include "server/session_directory.h"

#include <spdlog/spdlog.h>

#include "base/digest.h"

namespace amphi::server {
namespace {

namespace asio = boost::asio;

constexpr auto kResumeWindow = std::chrono::milliseconds(signalling::kResumeWindowMs);
constexpr std::int64_t kLongestStaySeconds = 24 * 60 * 60;  // past the expiry: an old resume token is no key to the house
constexpr auto kRecordingWithoutAnybody = std::chrono::seconds(30);

tl::unexpected<Error> removed() { return fail(ErrorCode::forbidden, "You were removed from this session."); }
tl::unexpected<Error> going_down() { return fail(ErrorCode::disconnected, "The server is going down."); }

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

SessionDirectory::SessionDirectory(asio::io_context& control, std::vector<std::unique_ptr<MediaWorker>>& workers, Bytes key,
                                   Random& random, Counters<Drop>& drops, Limits limits)
    : control_(control), workers_(workers), random_(random), resume_tokens_(std::move(key), random), drops_(drops), limits_(limits) {}

// --- finding -----------------------------------------------------------------------------------------------------------

SessionDirectory::MediaSession* SessionDirectory::find(const SessionId& session) const {
  const auto found = sessions_.find(session);
  return found == sessions_.end() ? nullptr : found->second.get();
}

SessionDirectory::Participant* SessionDirectory::find(const Member& member) const {
  MediaSession* session = find(member.session);
  if (!session) return nullptr;
  const auto found = session->participants.find(member.participant);
  return found == session->participants.end() ? nullptr : &found->second;
}

SessionDirectory::MediaSession& SessionDirectory::find_or_create(const SessionId& session) {
  auto& entry = sessions_[session];
  if (!entry) {
    entry = std::make_unique<MediaSession>();
    entry->id = session;
    entry->since = runtime::wall_now();
    entry->worker = workers_[next_worker_++ % workers_.size()].get();
    spdlog::info("session {} begins", session.value);
  }
  return *entry;
}

MediaWorker* SessionDirectory::worker_of(const SessionId& session) const {
  const MediaSession* found = find(session);
  return found ? found->worker : nullptr;
}

const std::string* SessionDirectory::identity_of(const SessionId& session, const ParticipantId& participant) const {
  const Participant* found = find(Member{session, participant});
  return found ? &found->identity : nullptr;
}

const Grants* SessionDirectory::grants_of(const Member& member) const {
  const Participant* found = find(member);
  return found ? &found->grants : nullptr;
}

bool SessionDirectory::came_with(const Member& member, const AccessToken& token) const {
  const Participant* found = find(member);
  return found && !token.signature.empty() && equal_constant_time(as_bytes(found->token_signature), as_bytes(token.signature));
}

std::size_t SessionDirectory::participant_count() const {
  std::size_t count = 0;
  for (const auto& [id, session] : sessions_) count += session->participants.size();
  return count;
}

bool SessionDirectory::speaks_for(const Member& member, const WebSocketConnection& connection) const {
  const Participant* found = find(member);
  return found && found->connection.get() == &connection;
}

SessionDirectory::Participant* SessionDirectory::by_resume_token(MediaSession& session, const AccessToken& token,
                                                                 const std::string& resume_token) {
  if (resume_token.empty()) return nullptr;
  for (auto& [id, participant] : session.participants)
    if (participant.identity == token.identity && (equal_constant_time(as_bytes(participant.resume_token), as_bytes(resume_token)) ||
                                                   equal_constant_time(as_bytes(participant.spent_token), as_bytes(resume_token))))
      return &participant;
  return nullptr;
}

/// Whoever was in when the server before this one ended may come back as if it had not, for as long as they would be waited for.
bool SessionDirectory::may_come_in(const AccessToken& token, const std::string& resume_token) const {
  const WallTime now = runtime::wall_now();
  if (!has_expired(token, now)) return true;
  if (runtime::now() - started_ > kResumeWindow || token.expires_at < now.unix_ms / 1000 - kLongestStaySeconds) return false;
  const auto known = resume_tokens_.read(resume_token, token.session, token.identity);
  return known && !known->of_this_life;
}

Result<ParticipantId> SessionDirectory::new_id(const MediaSession& session, const AccessToken& token, const std::string& resume_token) {
  const auto known = resume_tokens_.read(resume_token, token.session, token.identity);
  if (known && known->of_this_life) return fail(ErrorCode::disconnected, "The participant is no longer waited for; join anew.");
  if (known && !session.participants.contains(known->participant)) return known->participant;
  return ParticipantId("par_" + random_.token(16));
}

// --- coming ------------------------------------------------------------------------------------------------------------

asio::awaitable<Result<Member>> SessionDirectory::join(AccessToken token, std::string resume_token,
                                                       std::shared_ptr<WebSocketConnection> connection) {
  if (closed_) co_return going_down();
  if (is_banned(token.session, token.identity)) co_return removed();
  if (MediaSession* there = find(token.session)) {
    Participant* back = by_resume_token(*there, token, resume_token);
    if (back && (!token.superseded || came_with({there->id, back->id}, token))) {
      const Member member{there->id, back->id};
      back->token_signature = token.signature;
      back->grants = token.grants;
      back->expires_at = std::max(back->expires_at, token.expires_at);
      take_over(*there, *back, std::move(connection));
      co_return member;
    }
  }
  if (token.superseded) co_return tl::unexpected(invalid_signature());
  if (!may_come_in(token, resume_token)) co_return tl::unexpected(expired());
  if (!find(token.session) && sessions_.size() >= limits_.sessions)
    co_return fail(ErrorCode::limit_exceeded, "The server has too many sessions.");
  MediaSession& session = find_or_create(token.session);  // until the next co_await
  const auto id = new_id(session, token, resume_token);
  if (!id) {
    remove_if_over(session);
    co_return tl::unexpected(id.error());
  }
  const Member member{session.id, *id};
  session.joining.insert(token.identity);
  if (const auto room = make_room(session, token.identity); !room) {
    stop_joining(session, token.identity);
    co_return tl::unexpected(room.error());
  }
  auto add = [member, token](MediaWorker& worker, Time now) -> Result<void> {
    const auto media = worker.find_or_create(member.session);
    if (!media) return tl::unexpected(media.error());
    return (*media)->add_participant(member.participant, token.identity, token.grants.publish, token.grants.subscribe, now);
  };
  const auto added = co_await session.worker->call(std::move(add));
  MediaSession* there = find(member.session);  // everything may have been closed meanwhile
  if (!there) co_return going_down();
  if (!added) {
    stop_joining(*there, token.identity);
    // Two connections brought the same resume token of the server before this one: the later of them is another participant.
    if (added.error().code == ErrorCode::invalid_argument) co_return fail(ErrorCode::disconnected, "Another connection has resumed this participant.");
    co_return tl::unexpected(added.error());
  }
  there->joining.erase(there->joining.find(token.identity));
  come_in(*there, member, token, std::move(connection));
  if (!is_banned(member.session, token.identity)) co_return member;
  dismiss(member, removed().value().message);  // while it was on its way in
  co_return removed();
}

void SessionDirectory::stop_joining(MediaSession& session, const std::string& identity) {
  session.joining.erase(session.joining.find(identity));
  remove_if_over(session);
}

void SessionDirectory::come_in(MediaSession& session, const Member& member, const AccessToken& token,
                               std::shared_ptr<WebSocketConnection> connection) {
  if (session.empty) session.empty->cancel();
  session.empty.reset();
  Participant& participant = session.participants[member.participant];
  participant.id = member.participant;
  participant.identity = token.identity;
  participant.grants = token.grants;
  participant.expires_at = token.expires_at;
  participant.token_signature = token.signature;
  participant.since = runtime::wall_now();
  participant.connection = std::move(connection);
  participant.address = participant.connection->client();
  greet(session, participant, false);
  tell(session, signalling::participant_joined(view_of(participant)), participant.id);
  hooks_.participant_joined(session.id);
  spdlog::info("session {}: {} joins", session.id.value, member.participant.value);
}

void SessionDirectory::take_over(MediaSession& session, Participant& participant,
                                 std::shared_ptr<WebSocketConnection> connection) {
  if (participant.connection)
    participant.connection->send_error({ErrorCode::disconnected, "Another connection has resumed this participant."}, true);
  if (participant.away) participant.away->cancel();
  participant.away.reset();
  participant.connection = std::move(connection);
  participant.address = participant.connection->client();
  participant.acknowledged = true;  // its resume token came with a `joined` before
  participant.spent_token = participant.resume_token;
  greet(session, participant, true);
  for (const auto& [which, error] : std::exchange(participant.broken, {})) participant.connection->send(signalling::transport_error(error, false, which));
  session.worker->post([id = session.id, who = participant.id](MediaWorker& worker, Time now) {
    // An offer may have been lost with the old connection.
    if (auto* media = worker.find(id)) (void)media->restart_subscribe(who, false, now);
  });
  spdlog::info("session {}: {} resumes", session.id.value, participant.id.value);
}

signalling::ParticipantView SessionDirectory::view_of(const Participant& participant) {
  signalling::ParticipantView view{participant.id, participant.identity, {}};
  for (const auto& [id, feed] : participant.feeds) view.feeds.push_back(feed);
  return view;
}

void SessionDirectory::greet(MediaSession& session, Participant& participant, bool resumed) {
  participant.resume_token = resume_tokens_.make(session.id, participant.identity, participant.id);
  signalling::Joined joined;
  joined.session = session.id;
  joined.participant = participant.id;
  joined.identity = participant.identity;
  joined.grants = participant.grants;
  joined.resume_token = participant.resume_token;
  joined.resumed = resumed;
  for (const auto& [id, other] : session.participants)
    if (id != participant.id) joined.participants.push_back(view_of(other));
  participant.connection->send(signalling::encode(joined));
}

// --- going -------------------------------------------------------------------------------------------------------------

void SessionDirectory::leave(const Member& member, bool may_return) { remove(member, may_return); }

void SessionDirectory::acknowledge(const Member& member) {
  if (Participant* participant = find(member)) participant->acknowledged = true;
}

void SessionDirectory::connection_lost(const Member& member, const WebSocketConnection& connection) {
  if (!speaks_for(member, connection)) return;
  Participant& participant = *find(member);
  if (!participant.acknowledged) return remove(member, true);
  participant.connection.reset();
  participant.away = std::make_unique<asio::steady_timer>(control_, kResumeWindow);
  participant.away->async_wait([this, member](boost::system::error_code error) {
    if (error) return;
    const Participant* still = find(member);
    if (still && !still->connection) remove(member, true);
  });
}

void SessionDirectory::remove(const Member& member, bool may_return) {
  MediaSession* session = find(member.session);
  Participant* participant = find(member);
  if (!participant) return;
  const auto feeds = std::move(participant->feeds);
  session->participants.erase(member.participant);
  for (const auto& [id, feed] : feeds) tell(*session, signalling::feed_removed(id, may_return));
  tell(*session, signalling::participant_left(member.participant, may_return));
  session->worker->post([member](MediaWorker& worker, Time now) {
    if (auto* media = worker.find(member.session)) media->remove_participant(member.participant, now);
  });
  spdlog::info("session {}: {} has left", member.session.value, member.participant.value);
  hooks_.participant_left(member.session, member.participant);
  remove_if_over(*session);
}

void SessionDirectory::remove_if_over(MediaSession& session) {
  if (!session.participants.empty() || !session.joining.empty()) return;
  if (hooks_.is_recording(session.id)) {
    if (session.empty) return;
    session.empty = std::make_unique<asio::steady_timer>(control_, kRecordingWithoutAnybody);
    session.empty->async_wait([this, id = session.id](boost::system::error_code error) {
      MediaSession* still = find(id);
      if (error || !still || !still->participants.empty()) return;
      still->empty.reset();
      hooks_.stop_recording(id);
    });
    return;
  }
  session.worker->post([id = session.id](MediaWorker& worker, Time now) { worker.remove_session(id, now); });
  const SessionId id = session.id;
  sessions_.erase(id);
  spdlog::info("session {} is over", id.value);
  hooks_.session_removed(id);
}

void SessionDirectory::recording_ended(const SessionId& session) {
  if (MediaSession* found = find(session)) remove_if_over(*found);
}

void SessionDirectory::close_all(const std::string& reason) {
  closed_ = true;
  for (auto& [id, session] : sessions_) {
    for (auto& [who, participant] : session->participants) {
      if (participant.away) participant.away->cancel();
      if (participant.connection) {
        participant.connection->send(signalling::closing_for_now(reason));
        participant.connection->close();
      }
      session->worker->post([id = id, who = who](MediaWorker& worker, Time now) {
        if (auto* media = worker.find(id)) media->remove_participant(who, now);
      });
    }
    if (session->empty) session->empty->cancel();
  }
  sessions_.clear();
}

// --- what the media side tells -------------------------------------------------------------------------------------------

void SessionDirectory::tell(MediaSession& session, const std::string& text, const ParticipantId& except) {
  for (auto& [id, participant] : session.participants)
    if (participant.connection && id != except) participant.connection->send(text);
}

void SessionDirectory::handle_event(const SessionId& id, sfu::Event event) {
  MediaSession* session = find(id);
  if (!session) return;
  std::visit(Overloaded{
                 [&](sfu::FeedAdded& e) {
                   Participant* owner = find(Member{id, e.feed.participant});
                   if (!owner) return;
                   owner->feeds[e.feed.id] = e.feed;
                   tell(*session, signalling::feed_added(e.feed), e.feed.participant);
                 },
                 [&](sfu::FeedRemoved& e) {
                   Participant* owner = find(Member{id, e.participant});
                   if (!owner || owner->feeds.erase(e.feed) == 0) return;
                   tell(*session, signalling::feed_removed(e.feed, e.may_return), e.participant);
                 },
                 [&](sfu::FeedMuted& e) {
                   Participant* owner = find(Member{id, e.feed.participant});
                   if (!owner || owner->feeds.count(e.feed.id) == 0) return;
                   owner->feeds[e.feed.id] = e.feed;
                   tell(*session, signalling::feed_changed(e.feed));
                 },
                 [&](sfu::SubscribeOffer& e) {
                   Participant* to = find(Member{id, e.participant});
                   if (to && to->connection) to->connection->send(signalling::subscribe_offer(e));
                 },
                 [&](sfu::FeedUnsupported& e) {
                   Participant* to = find(Member{id, e.participant});
                   if (to && to->connection) to->connection->send(signalling::feed_unsupported(e));
                 },
                 [&](sfu::TransportConnected& e) { spdlog::debug("{}: a transport is connected", e.participant.value); },
                 [&](sfu::TransportDisconnected& e) { spdlog::debug("{}: a transport is silent", e.participant.value); },
                 [&](sfu::LimitReached& e) {
                   const Participant* who = find(Member{id, e.participant});
                   hooks_.limit_reached(id, {who ? who->identity : std::string(), std::move(e.what), e.participant.value});
                 },
                 [&](sfu::TransportFailed& e) { transport_failed(*session, e); },
                 [&](sfu::SourcesCompete& e) {
                   spdlog::warn("session {}: feed {} of {} has several sources at the same time: ssrc {} is forwarded and recorded, ssrc {} is dropped",
                                id.value, e.feed.value, e.participant.value, e.selected, e.refused);
                 },
             },
             event);
}

void SessionDirectory::transport_failed(MediaSession& session, const sfu::TransportFailed& failed) {
  const Member member{session.id, failed.participant};
  Participant* participant = find(member);
  if (!participant) return;
  // A wrong fingerprint means that somebody else is at the other end of the media: that participant does not stay.
  const bool fatal = failed.error.code == ErrorCode::fingerprint_mismatch;
  drops_.add(fatal ? Drop::fingerprint_mismatch : Drop::transport_failed);
  spdlog::warn("session {}: a transport of {} failed: {}", session.id.value, failed.participant.value, failed.error.message);
  if (participant->connection) participant->connection->send(signalling::transport_error(failed.error, fatal, failed.which));
  else if (failed.error.code != ErrorCode::disconnected) participant->broken[failed.which] = failed.error;  // an ICE restart revives the others
  if (!fatal) return;
  if (participant->connection) participant->connection->close();
  remove(member, false);
}

}  // namespace amphi::server
