// The server end of the session services for ONE session: a state machine that holds the recording state and speaks the
// services protocol (docs/protocol.md) with any number of connections. It starts and stops recordings by giving Outputs and
// being told what came of them. Thread: control. Sockets, tokens and files are its owner's business.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.h"
#include "base/random.h"
#include "services/reached_limits.h"
#include "services/recording_state.h"
#include "services/server_output.h"

namespace amphi::services {

enum class ServerDrop { malformed, unknown_type, unknown_connection, too_large, rate_limited, limit_not_told, count_ };
std::string_view counter_name(ServerDrop drop);

class ServerSession {
 public:
  ServerSession(SessionId session, Restored restored, Random& random);
  ~ServerSession();

  /// An authenticated connection (its `hello` was the owner's to read): greeted with `welcome` and the snapshot.
  void connection_opened(ConnectionNumber connection, Caller caller, Time now);
  /// After CloseConnection this is not needed, and harmless.
  void connection_closed(ConnectionNumber connection, Time now);
  void handle_message(ConnectionNumber connection, std::string_view text, Time now);

  /// A graceful end: everybody is told `closing`, and every connection is closed. The recording is the owner's to finish.
  void close(std::string_view reason, Time now);

  /// What came of StartRecording and StopRecording. `started_at` is the recording's zero on the server's line.
  /// Anything about a recording that is not the current one is ignored.
  void recording_started(const RecordingId& id, Time started_at, Time now);
  /// Finished by request, or by itself with an error. `duration` is the recording's final one; the session's total never
  /// becomes less than what it was (the frozen value of `stopping`; the live value of one that ended by itself).
  void recording_finished(const RecordingId& id, Duration duration, std::optional<Error> error, Time now);
  /// It could not start. Who asked is told why, and nothing has changed for the others; where the server itself asked, refusal() says it.
  void recording_refused(const RecordingId& id, Error error, Time now);
  /// What came of ForgetRecording. Who has asked for the recording's end is told so now, or why it could not be made sure of.
  void recording_forgotten(const RecordingId& id, const std::optional<Error>& error, Time now);
  /// The server was restarted while `interrupted` was being recorded: a further recording begins, in the name of who had asked for that one.
  void go_on(const RecordingId& interrupted, const std::string& identity, Time now);
  /// The server (REST, an empty session) asks like any participant would; never refused for the number of requests. Of several of one
  /// identity that could not be acted on yet, the last counts.
  void request_recording(bool on, const std::string& identity, Time now);
  /// The server ends: what is recorded is stopped, and goes on after the restart unless somebody asks for its end before.
  void interrupt_recording(Time now);
  /// As a participant would. Errors: invalid_argument (the label), invalid_state (nothing is being recorded),
  /// limit_exceeded (of markers in this recording).
  Result<Marker> add_marker(const std::string& label, const std::string& identity, Time now);

  /// Whether media reaches the disk; a recording that has just begun waits for some. Everybody is told of a change.
  void recording_media_changed(const RecordingId& id, bool writing, Time now);
  /// What threatens or costs the recording now, by its disk; empty: nothing. Told for as long as `on` is true; of a recording that is
  /// starting: once it is.
  void recording_warnings(const RecordingId& id, std::vector<Warning> warnings, Time now);
  /// What is recorded now, and the limits that cost the recording something now. At most once a second.
  void recording_feeds(const RecordingId& id, std::vector<FeedState> feeds, std::vector<Warning> warnings, Time now);
  /// A limit was reached at this moment: a warning for 10 s, while something is being recorded. Those of this protocol are known already.
  void limit_reached(ReachedLimit limit, Time now);
  /// How much the session keeps of its newest media; said in every state.
  void set_pre_roll(Duration pre_roll);

  void handle_timeout(Time now);
  std::optional<ServerOutput> poll_output();
  Time next_timeout() const noexcept;

  RecordingSnapshot snapshot(Time now) const;
  /// Why the server's own newest request to start could not be fulfilled, until a recording begins.
  const std::optional<Error>& refusal() const;
  std::size_t connection_count() const;
  const Counters<ServerDrop>& drops() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace amphi::services
