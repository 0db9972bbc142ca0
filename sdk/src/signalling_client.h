// The client end of signalling (docs/protocol.md) as a machine without I/O: joins, keeps the connection alive, resumes it within the
// server's window when it is lost, joins anew where the server was started anew meanwhile, and tells what the server says. The connection itself (a WebSocket) is the owner's.
// Contract: architecture's state machine; outputs are polled. Thread: the owner's (in the SDK: its control thread).
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/counters.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "signalling_messages.h"

namespace amphi::sdk::signalling {

struct OpenConnection {};                      // open a fresh connection; the one before is dead
struct SendText { std::string text; };
struct CloseConnection {};                     // after what was sent before
struct Joined {                                // once; a resume is not told, for nothing changed
  std::string session_id, participant_id, identity;
  std::vector<std::string> grants;
};
struct Interrupted {};                         // the connection was lost and is being resumed; media goes on
struct Resumed {};
struct Rejoined {                              // the server was started anew: it knows nothing of our media. Everybody else has left, and
  std::string participant_id;                  // those who are back have joined; the id is the same where the server could tell
  std::vector<std::string> grants;
};
struct PublishRefused { Error error; };        // the outstanding publish offer came to nothing
struct SubscribeRefused { Error error; };      // an answer, or the request for a restart, came to nothing
struct Ended { std::optional<Error> error; };  // terminal, exactly once after connect(); empty: graceful
using Output = std::variant<OpenConnection, SendText, CloseConnection, Joined, Interrupted, Resumed, Rejoined, PublishAnswer, PublishRefused,
                            SubscribeOffer, SubscribeRefused, ParticipantJoined, ParticipantLeft, FeedAdded, FeedChanged, FeedRemoved, Ended>;

enum class Drop { malformed, unknown_type, unexpected, error_reported, count_ };
std::string_view counter_name(Drop drop);

struct Config {
  std::string token;
  std::string client;   // name and version
};

class Client {
 public:
  static constexpr Duration kPingAfter = 3s;        // of own silence
  static constexpr Duration kDeadAfter = 10s;       // of the server's silence; also how long joining may take
  static constexpr Duration kFirstBackoff = 250ms;
  static constexpr Duration kLastBackoff = 5s;
  static constexpr Duration kResumeWindow = 30s;    // at most; the server may say less

  /// `random` outlives the client.
  Client(Config config, Random& random);

  void connect(Time now);
  /// Graceful end at once, connected or not.
  void leave(Time now);
  /// An end that the owner found necessary (the media was falsified): leaves as well, but with an error.
  void abort(Error error, Time now);

  void connection_opened(Time now);              // answers OpenConnection
  void connection_failed(Error error, Time now); // answers OpenConnection
  void connection_closed(Time now);              // the server or the network ended it
  void handle_message(std::string_view text, Time now);

  /// One offer is outstanding at a time (the owner sees to it); an unanswered one is sent again after a resume.
  void publish(std::string sdp, std::vector<OfferedFeed> feeds, Time now);
  void answer_subscribe(const std::string& offer_id_text, const std::string& sdp, Time now);
  void restart_subscribe(Time now);

  bool joined() const { return state_ == State::joined; }
  bool ended() const { return state_ == State::ended; }

  void handle_timeout(Time now);
  std::optional<Output> poll_output();
  Time next_timeout() const noexcept;
  const Counters<Drop>& drops() const { return drops_; }

 private:
  enum class State { idle, opening, joining, joined, waiting, ended };

  void handle(JoinedMessage& m, Time now);
  void handle(const Closing& m, Time now);
  void take_up_again(const JoinedMessage& m, Time now);
  void handle(const ErrorMessage& m, Time now);
  void reconcile(const std::vector<ParticipantDescription>& present);
  void add_participant(const ParticipantDescription& participant);
  void remove_participant(const std::string& id);
  void add_feed(const FeedDescription& feed);
  void change_feed(const FeedDescription& feed);
  void remove_feed(const std::string& id);
  void lost(Error why, Time now);
  void end(std::optional<Error> error);
  void send(std::string text, Time now);
  bool resuming() const { return resume_until_ != Time::max(); }

  Config config_;
  Random& random_;
  State state_ = State::idle;
  std::deque<Output> outputs_;
  Counters<Drop> drops_;

  std::string resume_token_;
  std::string participant_id_;
  Duration resume_window_ = kResumeWindow;
  Time resume_until_ = Time::max();   // set: joined once, and lost since
  bool said_goodbye_ = false;         // the server did, and may return: not to find it again is no error
  Duration backoff_ = kFirstBackoff;
  Time retry_at_ = Time::max();
  Time joined_by_ = Time::max();      // opening and joining must be over then
  Time last_sent_{}, last_heard_{};
  std::string outstanding_offer_;     // the publishOffer without an answer; empty: none

  std::map<std::string, std::string> participants_;         // id -> identity
  std::map<std::string, FeedDescription> feeds_;            // of all others
};

}  // namespace amphi::sdk::signalling
