// Which sessions exist, at which media worker each is pinned, who is in them, and over which connection each participant
// speaks now. Tells everybody what happens to the others.
//
// Lifetimes: a session is made by its first join and goes when its last participant has gone for good and nothing of it is being
// recorded. A participant whose connection is lost stays, with its media, for the resume window. A recording without
// participants goes on for 30 s (they may come back) and is then stopped. A participant that is only waited for yields its place in a full
// session.
//
// Thread: control.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "server/access_token.h"
#include "server/bans.h"
#include "server/media_worker.h"
#include "server/resume_token.h"
#include "server/signalling_messages.h"
#include "server/websocket_connection.h"
#include "services/reached_limits.h"

namespace amphi::server {

struct Member {
  SessionId session;
  ParticipantId participant;
};

class SessionDirectory {
 public:
  struct Hooks {                                          // the session services' part, on control
    std::function<bool(const SessionId&)> is_recording;
    std::function<void(const SessionId&)> stop_recording;
    std::function<void(const SessionId&)> participant_joined;
    std::function<void(const SessionId&, const ParticipantId&)> participant_left;
    std::function<void(const SessionId&)> session_removed;
    /// Every limit that somebody reaches is told here, or to ServicesHub::limit_reached itself.
    std::function<void(const SessionId&, services::ReachedLimit)> limit_reached = [](const auto&, auto) {};
  };
  struct Limits {
    std::size_t sessions = 10'000;
    std::size_t participants = sfu::Limits{}.participants;  // of a session
    std::size_t participants_per_identity = 4;              // in a session
  };
  /// All outlive the directory.
  SessionDirectory(boost::asio::io_context& control, std::vector<std::unique_ptr<MediaWorker>>& workers, Bytes key, Random& random,
                   Counters<Drop>& drops, Limits limits);
  void set_hooks(Hooks hooks) { hooks_ = std::move(hooks); }

  /// A new participant, or, with a resume token that is still good, the one that it stands for. One that a server before this one gave
  /// brings back the participant's id and nothing else. On success `joined` has been sent, and everything after it goes to this
  /// connection. A token that has expired brings back who is in, and lets nobody in (decision 0012). A superseded one does so only for the
  /// participant that came with it. Errors: unauthorized (it has expired, or is superseded), forbidden (removed), disconnected (the token's participant is no longer waited for; the server is going down), limit_exceeded.
  boost::asio::awaitable<Result<Member>> join(AccessToken token, std::string resume_token,
                                              std::shared_ptr<WebSocketConnection> connection);
  /// Whether this connection still speaks for its participant.
  bool speaks_for(const Member& member, const WebSocketConnection& connection) const;
  /// At once and for good. `may_return`: the client says that it joins again as another participant.
  void leave(const Member& member, bool may_return);
  /// The participant has received `joined`: its first message shows that.
  void acknowledge(const Member& member);
  /// The resume window begins, unless another connection speaks for the participant already. A participant that never acknowledged
  /// `joined` leaves at once: nobody holds its resume token.
  void connection_lost(const Member& member, const WebSocketConnection& connection);

  // --- the administrator's -------------------------------------------------------------------------------------------
  struct SessionView {
    SessionId id;
    WallTime since;
    std::size_t participants = 0, feeds = 0;
    bool recording = false;
  };
  std::vector<SessionView> sessions() const;
  struct MemberView {
    ParticipantId id;
    std::string identity;
    Grants grants;
    WallTime since;
    Address address;
    bool present = false;  // false: waited for
    std::vector<sfu::FeedInfo> feeds;
  };
  /// Errors: not_found.
  Result<std::vector<MemberView>> participants(const SessionId& session) const;
  /// Removes the participant, and every other of its identity from the session. The identity is refused there until its tokens have
  /// expired. Errors: not_found.
  Result<void> expel(const Member& member, const std::string& by);
  /// Everybody leaves for good, and a running recording is completed. Errors: not_found.
  Result<void> close(const SessionId& session, const std::string& by);
  /// See sfu::Session::mute_feed. Errors: not_found.
  boost::asio::awaitable<Result<sfu::FeedInfo>> mute(SessionId session, FeedId feed, bool muted);
  bool is_banned(const SessionId& session, const std::string& identity) const;

  /// Tells everybody in the session that a limit was reached.
  void limit_reached(const SessionId& session, services::ReachedLimit limit) { hooks_.limit_reached(session, std::move(limit)); }

  void handle_event(const SessionId& session, sfu::Event event);
  /// Nothing of this session is being recorded any more.
  void recording_ended(const SessionId& session);

  MediaWorker* worker_of(const SessionId& session) const;
  /// nullptr: not in the session.
  const std::string* identity_of(const SessionId& session, const ParticipantId& participant) const;
  const Grants* grants_of(const Member& member) const;
  /// Whether the participant came in, or back, with this very token.
  bool came_with(const Member& member, const AccessToken& token) const;

  std::size_t session_count() const { return sessions_.size(); }
  std::size_t participant_count() const;
  /// Tells everybody that the server goes away, and closes their peers. Nobody gets in any more, nor those who are on their way.
  void close_all(const std::string& reason);
  bool is_closed() const { return closed_; }

 private:
  struct Participant {
    ParticipantId id;
    std::string identity;
    Grants grants;
    std::int64_t expires_at = 0;  // of its token
    std::string token_signature;  // of the token that it came in, or back, with
    WallTime since;
    Address address;
    std::string resume_token;
    std::string spent_token;  // the one before: its successor may have been lost on the way
    bool acknowledged = false;  // it has sent a message since it joined, or resumed: it has received `joined`
    std::shared_ptr<WebSocketConnection> connection;  // nullptr: away
    std::unique_ptr<boost::asio::steady_timer> away;
    std::map<FeedId, sfu::FeedInfo> feeds;
    std::map<sfu::Which, Error> broken;  // transports that failed while nobody could be told
  };
  struct MediaSession {
    SessionId id;
    MediaWorker* worker = nullptr;
    WallTime since;
    std::map<ParticipantId, Participant> participants;
    std::unique_ptr<boost::asio::steady_timer> empty;
    std::multiset<std::string> joining;  // identities on their way in
  };

  MediaSession* find(const SessionId& session) const;
  Participant* find(const Member& member) const;
  MediaSession& find_or_create(const SessionId& session);
  Participant* by_resume_token(MediaSession& session, const AccessToken& token, const std::string& resume_token);
  bool may_come_in(const AccessToken& token, const std::string& resume_token) const;
  Result<ParticipantId> new_id(const MediaSession& session, const AccessToken& token, const std::string& resume_token);
  void come_in(MediaSession& session, const Member& member, const AccessToken& token, std::shared_ptr<WebSocketConnection> connection);
  void take_over(MediaSession& session, Participant& participant, std::shared_ptr<WebSocketConnection> connection);
  void greet(MediaSession& session, Participant& participant, bool resumed);
  /// A place for the newest of `joining`. Errors: limit_exceeded.
  Result<void> make_room(MediaSession& session, const std::string& identity);
  /// Of those that are waited for (with `identity`: of its own) the one that has been away for longest leaves. False: there is none.
  bool yield(MediaSession& session, const std::string* identity);
  void stop_joining(MediaSession& session, const std::string& identity);
  void dismiss(const Member& member, const std::string& reason);
  /// `may_return`: the participant was lost, and its client may join again as another one. The others are told.
  void remove(const Member& member, bool may_return);
  void remove_if_over(MediaSession& session);
  void tell(MediaSession& session, const std::string& text, const ParticipantId& except = {});
  void transport_failed(MediaSession& session, const sfu::TransportFailed& failed);
  static signalling::ParticipantView view_of(const Participant& participant);

  boost::asio::io_context& control_;
  std::vector<std::unique_ptr<MediaWorker>>& workers_;
  Random& random_;
  ResumeTokens resume_tokens_;
  Counters<Drop>& drops_;
  const Limits limits_;
  Bans bans_;
  Hooks hooks_;
  std::map<SessionId, std::unique_ptr<MediaSession>> sessions_;
  std::size_t next_worker_ = 0;
  bool closed_ = false;
  const Time started_ = runtime::now();
};

}  // namespace amphi::server
