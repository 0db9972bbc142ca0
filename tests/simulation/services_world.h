// A world in virtual time: one services server that crashes and restarts, its recorder that starts slowly, fails to start and
// fails later, and up to 50 clients, over streams with delay that stall, break (noticed or not), and repeat requests.
// Everything follows from the seed. After each step the rules of docs/protocol.md are checked; the first that is broken ends the world.
// Its recorder is made up; truth_world.h puts the real one in its place.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/random.h"
#include "services/client.h"
#include "services/server.h"

namespace amphi::services::simulation {

/// What happened, over all seeds: a world in which nothing happens proves nothing.
struct Tally {
  std::uint64_t requests = 0, refused_at_once = 0, timeouts = 0, other_request_errors = 0, changes = 0;
  std::uint64_t losses = 0, repeated_requests = 0, server_crashes = 0, server_closings = 0, client_restarts = 0;
  std::uint64_t starts = 0, stops = 0, forgets = 0, failed_starts = 0, failed_recordings = 0, messages = 0;
  std::uint64_t markers = 0, markers_told = 0, media_changes = 0, warnings = 0;
};

class World {
 public:
  /// `most_clients` 0: by the seed.
  World(std::uint64_t seed, Tally& tally, std::size_t most_clients = 0);
  virtual ~World();
  /// The first broken rule, or empty.
  std::string run();

 protected:
  struct Connection;
  struct Member;
  struct Event {
    Time at;
    std::uint64_t order;
    std::function<void()> act;
    bool operator<(const Event& other) const { return std::tie(other.at, other.order) < std::tie(at, order); }
  };
  enum class Stage { off, starting, running, stopping };

  // The network.
  void connect(std::size_t member);
  void to_server(const std::shared_ptr<Connection>& connection, std::string text);
  void to_client(const std::shared_ptr<Connection>& connection, std::string text);
  void deliver_to_server(Connection& connection, const std::string& text);
  void end_towards_client(const std::shared_ptr<Connection>& connection, bool orderly);
  void end_towards_server(const std::shared_ptr<Connection>& connection);
  Time arrival(Connection& connection, int direction);
  void break_connection(const std::shared_ptr<Connection>& connection);

  // The server.
  void start_server();
  virtual void server_started() {}
  void crash_server();
  virtual void close_server();
  void server_left();
  void serve_outputs();
  void start_recording(const StartRecording& order);
  void stop_recording(const StopRecording& order);
  void forget_recording(const ForgetRecording& order);
  void observe_server();

  // Its recorder: what it is asked, ...
  virtual Restored restored();
  virtual void begin_recording(const RecordingId& id, const std::string& requested_by);
  virtual void end_recording(const RecordingId& id);
  virtual void mark(const AddMarker& marker);
  virtual void kill_recorder();
  virtual void fail_recorder();
  virtual void disturb_recorder();
  void disturb_recorded_media();
  // ... and what it says.
  void recording_on(const RecordingId& id, Time zero);
  void recording_refused(const RecordingId& id, Error error);
  void recording_over(const RecordingId& id, Duration duration, std::optional<Error> error);
  void finish_recording(bool failed);

  /// After every step.
  virtual void stepped() {}
  /// All trouble is over.
  virtual void calm() {}
  /// At the end, when all rules have held.
  virtual void look_back() {}

  // The clients.
  void start_member(std::size_t member, bool first);
  void touch(std::size_t member, const std::function<void(Client&)>& act);
  void handle_output(std::size_t member, const ClientOutput& output);
  void check_member(Member& member);
  virtual void hear_marker(const Marker& marker);
  /// It shows all that the server has said, and nothing newer is on its way.
  bool is_current(const Member& member) const;

  void trouble();
  void ask_and_break();
  void check_agreement();
  void step_until(Time end);
  void after(Duration delay, std::function<void()> act);
  void require(bool holds, const char* rule);
  void require(bool holds, const std::string& rule) { require(holds, rule.c_str()); }
  Duration between(std::int64_t least_ms, std::int64_t most_ms);
  bool chance(int percent) { return random_.below(100) < static_cast<std::uint64_t>(percent); }

  SeededRandom random_;
  Tally& tally_;
  Time now_ = Time{} + 1000h;
  bool quiet_ = false;
  bool settled_ = false;  // quiet for long enough that nothing may time out any more
  int steps_here_ = 0;    // without time moving
  std::string broken_;
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0;

  const std::size_t most_clients_;
  std::uint64_t asks_percent_ = 50;  // of all trouble: somebody asks for a recording, or for its end
  std::unique_ptr<ServerSession> server_;
  std::uint64_t server_epoch_ = 0;
  std::map<ConnectionNumber, std::shared_ptr<Connection>> server_side_;
  ConnectionNumber next_number_ = 1;
  std::uint64_t last_revision_ = 0;
  std::map<std::uint64_t, bool> confirmed_;  // revision -> on, as the recorder knew it
  std::int64_t peak_total_ms_ = 0;
  std::int64_t last_total_ms_ = 0;
  bool resume_recording_ = false;

  Stage stage_ = Stage::off;
  RecordingId recording_;
  Time recording_zero_{};
  Time stop_asked_at_{};
  std::int64_t on_disk_ms_ = 0;
  std::map<std::string, std::vector<std::string>> marked_;  // recording -> labels in the order that its recorder was given
  std::map<std::string, std::uint64_t> starts_by_;    // in this server's life
  std::map<std::string, std::set<std::string>> asked_on_by_;  // ids with `on` that this server received

  std::vector<std::unique_ptr<Member>> members_;
};

}  // namespace amphi::services::simulation
