// The administrator's part of the directory: sessions and participants as lists, removal with a ban, closing, muting; and the places
// in a full session.
#include <spdlog/spdlog.h>

#include "server/session_directory.h"

namespace amphi::server {
namespace {

namespace asio = boost::asio;

Error not_there(const char* what) { return {ErrorCode::not_found, std::string("There is no such ") + what + "."}; }

}  // namespace

std::vector<SessionDirectory::SessionView> SessionDirectory::sessions() const {
  std::vector<SessionView> views;
  for (const auto& [id, session] : sessions_) {
    SessionView view{id, session->since, session->participants.size(), 0, hooks_.is_recording(id)};
    for (const auto& [who, participant] : session->participants) view.feeds += participant.feeds.size();
    views.push_back(std::move(view));
  }
  return views;
}

Result<std::vector<SessionDirectory::MemberView>> SessionDirectory::participants(const SessionId& id) const {
  const MediaSession* session = find(id);
  if (!session) return tl::unexpected(not_there("session"));
  std::vector<MemberView> views;
  for (const auto& [who, participant] : session->participants) {
    MemberView view{who, participant.identity, participant.grants, participant.since, participant.address, participant.connection != nullptr, {}};
    for (const auto& [feed, info] : participant.feeds) view.feeds.push_back(info);
    views.push_back(std::move(view));
  }
  return views;
}

void SessionDirectory::dismiss(const Member& member, const std::string& reason) {
  Participant* participant = find(member);
  if (!participant) return;
  if (participant->connection) {
    participant->connection->send(signalling::closing(reason));
    participant->connection->close();
  }
  remove(member, false);
}

Result<void> SessionDirectory::expel(const Member& member, const std::string& by) {
  const Participant* found = find(member);
  if (!found) return tl::unexpected(not_there("participant"));
  const std::string identity = found->identity;
  const std::int64_t now = runtime::wall_now().unix_ms / 1000;
  // Within the resume window a token that has expired would bring the participant back (decision 0012).
  std::int64_t until = now + signalling::kResumeWindowMs / 1000;
  std::vector<Member> all;
  for (const auto& [id, participant] : find(member.session)->participants) {
    if (participant.identity != identity) continue;
    until = std::max(until, participant.expires_at);
    all.push_back({member.session, id});
  }
  bans_.add(member.session, identity, until, now);
  spdlog::warn("participant.removed session={} participant={} participants={} by={}", member.session.value, member.participant.value, all.size(), by);
  for (const Member& one : all) dismiss(one, "You were removed from the session.");
  return {};
}

Result<void> SessionDirectory::close(const SessionId& id, const std::string& by) {
  MediaSession* session = find(id);
  if (!session) return tl::unexpected(not_there("session"));
  spdlog::warn("session.closed session={} participants={} by={}", id.value, session->participants.size(), by);
  std::vector<Member> all;
  for (const auto& [who, participant] : session->participants) all.push_back({id, who});
  hooks_.stop_recording(id);
  for (const Member& member : all) dismiss(member, "The session was closed.");
  return {};
}

asio::awaitable<Result<sfu::FeedInfo>> SessionDirectory::mute(SessionId session, FeedId feed, bool muted) {
  MediaWorker* worker = worker_of(session);
  if (!worker) co_return tl::unexpected(not_there("session"));
  auto task = [session, feed, muted](MediaWorker& there, Time now) -> Result<sfu::FeedInfo> {
    auto* media = there.find(session);
    if (!media) return tl::unexpected(not_there("session"));
    return media->mute_feed(feed, muted, now);
  };
  co_return co_await worker->call(std::move(task));
}

// --- places --------------------------------------------------------------------------------------------------------------

bool SessionDirectory::is_banned(const SessionId& session, const std::string& identity) const {
  return bans_.holds(session, identity, runtime::wall_now().unix_ms / 1000);
}

Result<void> SessionDirectory::make_room(MediaSession& session, const std::string& identity) {
  std::size_t own = session.joining.count(identity);
  for (const auto& [id, participant] : session.participants) own += participant.identity == identity;
  if (own > limits_.participants_per_identity && !yield(session, &identity))
    return fail(ErrorCode::limit_exceeded, "This identity has " + std::to_string(limits_.participants_per_identity) + " participants in the session, which is the most.");
  if (session.participants.size() + session.joining.size() > limits_.participants && !yield(session, &identity) && !yield(session, nullptr))
    return fail(ErrorCode::limit_exceeded, "The session is full: " + std::to_string(limits_.participants) + " participants.");
  return {};
}

bool SessionDirectory::yield(MediaSession& session, const std::string* identity) {
  const Participant* longest = nullptr;
  for (const auto& [id, participant] : session.participants) {
    if (!participant.away || participant.connection || (identity && participant.identity != *identity)) continue;
    if (!longest || participant.away->expiry() < longest->away->expiry()) longest = &participant;
  }
  if (!longest) return false;
  drops_.add(Drop::held_place_yielded);
  remove({session.id, ParticipantId(longest->id)}, true);
  return true;
}

}  // namespace amphi::server
