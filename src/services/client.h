// The client end of the session services: keeps one connection alive for as long as the session lives, reconnects by
// exponential back-off with full jitter (250 ms to 10 s), and turns what the server confirms into the recording state.
// The connection itself (a WebSocket) is the owner's. Thread: the owner's (in the SDK: its control thread).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "base/counters.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "services/recording_state.h"

namespace amphi::services {

/// The value behind MediaServerSession::SessionRecordingState, at one moment.
struct RecordingState {
  bool on = false;                       // the last confirmed state, never what was merely asked for
  bool update_pending = false;           // we asked; neither confirmed nor refused yet
  std::uint64_t revision = 0;
  std::string recording_id;
  std::string changed_by;
  std::optional<Error> error;            // the newer: of our last request (refused, timed out), or of the recording itself
  bool waiting_for_media = false;        // on, and nothing is being written
  std::int64_t pre_roll_ms = 0;          // what the session keeps for a recording to begin with
  std::vector<Warning> warnings;         // of the running recording, the most urgent first
  std::uint64_t warnings_not_listed = 0;
  std::vector<FeedState> feeds;          // whether each is being recorded
  std::uint64_t feeds_not_listed = 0;
  std::optional<Warning> warning() const { return warnings.empty() ? std::nullopt : std::optional(warnings.front()); }
  // The duration as a line: value at `as_of`, growing with the clock until `grows_until`.
  std::int64_t total_ms = 0;
  Time as_of{};
  Time grows_until{};
  std::int64_t total_running_duration_ms(Time now) const;
};

struct OpenConnection {};                             // open a fresh connection to the services
struct ClientSendText { std::string text; };
struct ClientCloseConnection {};
struct ServicesConnected {};
struct ServicesDisconnected { std::optional<Error> error; };   // empty: graceful
struct RecordingStateChanged { RecordingState state; };
struct MarkerAdded { Marker marker; };                         // each once, in order, whoever added it
using ClientOutput = std::variant<OpenConnection, ClientSendText, ClientCloseConnection, ServicesConnected, ServicesDisconnected,
                                  RecordingStateChanged, MarkerAdded>;

enum class ClientDrop { malformed, unknown_type, stale_revision, unexpected, count_ };
std::string_view counter_name(ClientDrop drop);

struct ClientConfig {
  std::string token;               // the access token, sent in `hello`
  std::string participant_id;
  bool may_record = false;         // the token's `record` grant, to refuse at once what the server would refuse
};

class Client {
 public:
  Client(ClientConfig config, Random& random);
  ~Client();

  /// The media session connected, for the first time or again: services follow, at once where they were waiting to.
  void session_connected(std::string participant_id, Time now);
  /// The session is over: close gracefully, nothing is reconnected. Pending requests resolve as errors first.
  void session_closed(Time now);
  /// A token renewed in the meantime is used from the next connection on.
  void set_token(std::string token);

  void connection_opened(Time now);                              // answers OpenConnection
  void connection_failed(Error error, Time now);                 // answers OpenConnection
  void connection_closed(std::optional<Error> error, Time now);  // the peer or the network ended it
  void handle_message(std::string_view text, Time now);

  /// Returns at once: success, or the error known here and now (invalid_state, forbidden, disconnected,
  /// unsupported, limit_exceeded).
  Result<void> request_recording(bool on, Time now);
  /// Marks now on the running recording's time line. As above, and invalid_argument (the label). Everybody hears of it by
  /// MarkerAdded; a refusal is the state's error.
  Result<void> add_marker(std::string label, Time now);
  bool connected() const;
  RecordingState state(Time now) const;

  void handle_timeout(Time now);
  std::optional<ClientOutput> poll_output();
  Time next_timeout() const noexcept;
  const Counters<ClientDrop>& drops() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace amphi::services
