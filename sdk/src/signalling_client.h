// The client end of signalling (docs/protocol.md) as a machine without I/O: joins, keeps the connection alive, and after a loss resumes
// within the server's window or joins as a new participant, with back-off, for as long as the owner wants the session. Only a final cause
// ends it (`is_final`, `closing` without `mayReturn`, leave(), abort()). The connection itself (a WebSocket) is the owner's.
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
#include "services/back_off.h"
#include "signalling_messages.h"

namespace amphi::sdk::signalling {

struct OpenConnection {};                      // open a fresh connection; the one before is dead
struct SendText { std::string text; };
struct CloseConnection {};                     // after what was sent before
struct Joined {                                // the first join, once
  std::string session_id, participant_id, identity;
  std::vector<std::string> grants;
};
struct Interrupted { Error why; };             // the connection was lost or not made, and is tried again; told once for each reason in a row.
                                               // Media goes on for as long as the server holds the participant
struct Lapsed {};                              // the participant and its media are gone: the resume window passed, or the server says so.
                                               // Told before the first removal that a rejoin causes
struct Resumed {};                             // the same participant; media and feeds are as they were
struct Rejoined {                              // the server knows nothing of our media. Everybody else has left, and the present have joined.
  std::string participant_id;                  // The id is the same only after a restart of the server within its window
  std::vector<std::string> grants;
};
struct PublishRefused { Error error; };        // the outstanding publish offer came to nothing
struct SubscribeRefused { Error error; };      // an answer, or the request for a restart, came to nothing
struct TransportFailed { std::string transport; Error error; };  // at the server: "publishing" or "subscribing"
struct Ended { std::optional<Error> error; };  // terminal, exactly once after connect(); empty: graceful
using Output = std::variant<OpenConnection, SendText, CloseConnection, Joined, Interrupted, Lapsed, Resumed, Rejoined, PublishAnswer, PublishRefused,
                            SubscribeOffer, SubscribeRefused, ParticipantJoined, ParticipantLeft, FeedAdded, FeedChanged, FeedRemoved, FeedUnsupported, TransportFailed, Ended>;

enum class Drop { malformed, unknown_type, unexpected, error_reported, count_ };
std::string_view counter_name(Drop drop);

/// Whether a fatal error of the server ends the session: another attempt with the same token would get the same answer.
bool is_final(ErrorCode code) noexcept;

struct Config {
  std::string token;
  std::string client;      // name and version
  bool reconnect = true;   // false: one attempt to join, and after it only resumes within the window
};

class Client {
 public:
  static constexpr Duration kPingAfter = 3s;        // of own silence
  static constexpr Duration kDeadAfter = 10s;       // of the server's silence; also how long joining may take
  static constexpr Duration kSteadyAfter = 10s;     // joined for so long: the back-off starts from its first value again
  static constexpr Duration kGoodbyeWithin = 5s;    // a connection that only leaves
  static constexpr Duration kResumeWindow = 30s;    // at most; the server may say less

  /// `random` outlives the client.
  Client(Config config, Random& random);

  void connect(Time now);
  /// Graceful end at once, connected or not. A join that is under way is taken back. Where the connection is lost and the server holds the
  /// participant, a connection behind `Ended` tells it, once.
  void leave(Time now);
  /// An end that the owner found necessary (the media was falsified): leaves as well, but with an error.
  void abort(Error error, Time now);

  /// The owner's media broke beyond repair: leaves, and joins anew as another participant. Nothing without `reconnect`.
  void rejoin(Error why, Time now);

  void connection_opened(Time now);              // answers OpenConnection
  void connection_failed(Error error, Time now); // answers OpenConnection
  void connection_closed(Time now);              // the server or the network ended it
  void handle_message(std::string_view text, Time now);

  /// One offer is outstanding at a time (the owner sees to it). An unanswered offer is sent again after a resume and dropped by a rejoin.
  void publish(std::string sdp, std::vector<OfferedFeed> feeds, Time now);
  void answer_subscribe(const std::string& offer_id_text, const std::string& sdp, Time now);
  void restart_subscribe(Time now);

  bool joined() const { return state_ == State::joined; }
  bool ended() const { return state_ == State::ended || state_ == State::leaving; }

  void handle_timeout(Time now);
  std::optional<Output> poll_output();
  Time next_timeout() const noexcept;
  const Counters<Drop>& drops() const { return drops_; }

 private:
  enum class State { idle, opening, joining, joined, waiting, leaving, ended };

  void handle(JoinedMessage& m, Time now);
  void handle(const Closing& m, Time now);
  void take_up_again(const JoinedMessage& m, Time now);
  void refused(const Error& error, Time now);
  void handle(const ErrorMessage& m, Time now);
  void reconcile(const std::vector<ParticipantDescription>& present);
  void add_participant(const ParticipantDescription& participant);
  void remove_participant(const std::string& id, bool may_return);
  void add_feed(const FeedDescription& feed);
  void change_feed(const FeedDescription& feed);
  void remove_feed(const std::string& id, bool may_return);
  void lost(Error why, Time now);
  void end(std::optional<Error> error);
  void leave_behind(Time now);
  void left();
  void send(std::string text, Time now);
  void give_up_participant(Error why, Time now);
  void lapse();
  bool was_joined() const { return !participant_id_.empty(); }

  Config config_;
  State state_ = State::idle;
  std::deque<Output> outputs_;
  Counters<Drop> drops_;

  std::string resume_token_;
  std::string participant_id_;
  Duration resume_window_ = kResumeWindow;
  bool lapsed_ = false;               // Lapsed was told since the last join
  Time resume_until_ = Time::max();   // set: lost after a join, and the window is open
  bool said_goodbye_ = false;         // the server said `closing` and may return: without `reconnect` a failed resume is a graceful end
  std::optional<ErrorCode> told_;     // the reason of the last Interrupted; empty: none since the last join
  services::BackOff back_off_;
  Time joined_at_{};
  Time retry_at_ = Time::max();
  Time joined_by_ = Time::max();      // opening and joining must be over then
  Time last_sent_{}, last_heard_{};
  std::string outstanding_offer_;     // the publishOffer without an answer; empty: none

  std::map<std::string, std::string> participants_;         // id -> identity
  std::map<std::string, FeedDescription> feeds_;            // of all others
};

}  // namespace amphi::sdk::signalling
