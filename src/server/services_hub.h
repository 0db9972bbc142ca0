// The session services of all sessions: a services::ServerSession for each, its WebSockets, its timer, and the recordings that it
// starts and stops. Thread: control.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>

#include "server/connection_watch.h"
#include "server/disk_reader.h"
#include "server/recordings.h"
#include "server/session_directory.h"
#include "services/messages.h"
#include "services/server.h"

namespace amphi::server {

class ServicesHub {
 public:
  using Verify = std::function<Result<AccessToken>(std::string_view token)>;
  /// All outlive the hub.
  ServicesHub(boost::asio::io_context& control, SessionDirectory& directory, const RecordingCatalogue& catalogue, DiskReader& reader,
              const Safe& safe, Recordings::Options recordings, Verify verify, Random& random, Counters<Drop>& drops);

  /// One services connection, until it ends.
  boost::asio::awaitable<void> run(std::shared_ptr<WebSocketConnection> connection, SessionId session);

  /// For other servers, over REST. Errors: not_found (nobody is in that session); of a marker: see services::ServerSession.
  boost::asio::awaitable<Result<services::RecordingSnapshot>> state(SessionId session);
  boost::asio::awaitable<Result<void>> request_recording(SessionId session, bool on, std::string identity);
  boost::asio::awaitable<Result<services::Marker>> add_marker(SessionId session, std::string label, std::string identity);

  /// A limit was reached at this moment: a warning to everybody in the session, while it is recorded. Every part of the server tells the
  /// limits that its callers reach here; those of the services protocol are told by services::ServerSession itself.
  void limit_reached(const SessionId& session, services::ReachedLimit limit);
  /// In every session that is recorded: of a limit of the whole server.
  void limit_reached(const services::ReachedLimit& limit);

  /// Called when a recording's manifest has come to say something else.
  using RecordingChanged = std::function<void(const SessionId&, const RecordingId&)>;
  void on_recording_changed(RecordingChanged changed) { recording_changed_ = std::move(changed); }

  bool is_recording(const SessionId& session) const;
  /// Asked by the server itself.
  void stop_recording(const SessionId& session);
  /// The server ends: what is being recorded is completed, and recorded on after a restart.
  void interrupt_all_recordings();
  /// Nothing is being recorded, and who has asked for an end meanwhile has been told of it.
  bool is_settled() const { return recordings_.running() == 0 && forgetting_ == 0; }
  void close_all(const std::string& reason);

  Recordings& recordings() { return recordings_; }
  const Recordings& recordings() const { return recordings_; }
  std::size_t connection_count() const { return connections_; }
  /// Of all sessions, also of those that are over.
  Counters<services::ServerDrop> protocol_drops() const;

 private:
  using Connection = std::shared_ptr<WebSocketConnection>;
  struct Link {
    Connection connection;
    ParticipantId participant;
  };
  struct Room {
    SessionId session;
    std::unique_ptr<services::ServerSession> machine;
    std::map<services::ConnectionNumber, Link> links;
    std::unique_ptr<boost::asio::steady_timer> timer;
    Time timer_at = Time::max();
  };

  Room* find(const SessionId& session) const;
  boost::asio::awaitable<Room*> find_or_create(SessionId session);
  boost::asio::awaitable<void> go_on(SessionId session, Interrupted before);
  boost::asio::awaitable<void> forget(SessionId session, RecordingId recording);
  /// nullopt: refused, and told why.
  std::optional<services::Caller> greet(WebSocketConnection& connection, const SessionId& session, const std::string& text);
  void pump(Room& room);
  void carry_out(Room& room, services::ServerOutput& output);
  void set_timer(Room& room);
  void participant_joined(const SessionId& session);
  void drop_empty(const SessionId& session);
  void participant_left(const SessionId& session, const ParticipantId& participant);
  void session_removed(const SessionId& session);
  Recordings::Events recording_events();
  SessionDirectory::Hooks hooks();

  boost::asio::io_context& control_;
  SessionDirectory& directory_;
  const RecordingCatalogue& catalogue_;
  DiskReader& reader_;
  Verify verify_;
  Random& random_;
  Counters<Drop>& drops_;
  boost::asio::awaitable<Result<Room*>> room_of(SessionId session);
  RecordingChanged recording_changed_ = [](const SessionId&, const RecordingId&) {};
  const Duration pre_roll_;
  Recordings recordings_;
  std::map<SessionId, Interrupted> interrupted_;  // by the end of the server before this one; until somebody is back
  bool ending_ = false;
  std::size_t forgetting_ = 0;  // recordings
  std::map<SessionId, std::unique_ptr<Room>> rooms_;
  Counters<services::ServerDrop> gone_drops_;
  services::ConnectionNumber next_connection_ = 1;
  std::size_t connections_ = 0;
};

}  // namespace amphi::server
