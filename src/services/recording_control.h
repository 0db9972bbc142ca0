// The recording of one session, as its participants control it: in one of four stages, with the state that is confirmed to everybody.
// Requests are acted on one after the other, in order: while a recording is starting or stopping, they wait; each acts once.
// Thread: the owner's.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fair_share.h"
#include "base/random.h"
#include "services/audience.h"
#include "services/reached_limits.h"
#include "services/recording_state.h"
#include "services/request_book.h"

namespace amphi::services {

class RecordingControl {
 public:
  /// `audience` and `random` outlive it.
  RecordingControl(Restored restored, Random& random, Audience& audience);

  /// To somebody who has just connected: the state, and the newest markers of the running recording.
  void tell(ConnectionNumber number, Time now);
  /// A request that was taken before acts no more: its answer goes to whoever sent it last.
  bool is_known(const ParticipantId& participant, const std::string& id) { return book_.find(participant.value, id) != nullptr; }
  void handle(ConnectionNumber number, const Caller& caller, const RecordingRequest& request, Time now);
  void handle(ConnectionNumber number, const Caller& caller, const MarkerAdd& request, Time now);

  /// The server's own.
  void request(bool on, const std::string& identity, const RecordingId& continues, Time now);
  /// The server ends, and nobody has asked for the recording to.
  void interrupt(Time now);
  Result<Marker> add_marker(const std::string& label, const std::string& identity, Time now);

  // What came of StartRecording and StopRecording; of a recording that is not the current one nothing is heard.
  void started(const RecordingId& id, Time started_at, Time now);
  void finished(const RecordingId& id, Duration duration, std::optional<Error> error, Time now);
  void refused(const RecordingId& id, Error error, Time now);
  void forgotten(const RecordingId& id, const std::optional<Error>& error, Time now);
  void media_changed(const RecordingId& id, bool writing, Time now);
  void warn(const RecordingId& id, std::vector<Warning> warnings, Time now);
  void feeds_changed(const RecordingId& id, std::vector<FeedState> feeds, std::vector<Warning> warnings, Time now);
  /// Told while something is being recorded, and for 10 s. False: it is not told, for its identity has no place left.
  bool limit_reached(ReachedLimit limit, Time now);
  void set_pre_roll(Duration pre_roll) { confirmed_.pre_roll_ms = to_ms(pre_roll); }

  void handle_timeout(Time now);
  Time next_timeout() const noexcept;

  RecordingSnapshot snapshot(Time now) const;
  const std::optional<Error>& refusal() const { return refusal_; }
  /// Revision and total, of which nobody is told less any more.
  Beat beat(Time now);

 private:
  enum class Stage { off, starting, recording, stopping };

  bool is_current(const RecordingId& id) const { return stage_ != Stage::off && id == running_; }
  std::int64_t total_ms(Time now) const;
  void change(Phase phase, const std::string& changed_by, Time now);
  void tell_all(Time now);
  void show_warnings();
  /// False: it was answered, or will be, without acting.
  bool is_fresh(ConnectionNumber number, const Caller& caller, const std::string& id);
  /// nullptr: there are too many, and who asked knows.
  BookedRequest* book(BookedRequest request);
  void answer(BookedRequest& request, std::optional<Error> error, Time now);
  void respond(const BookedRequest& request);
  void answer_current(std::optional<Error> error, Time now);
  void add_request(BookedRequest request, Time now);
  void add_own(BookedRequest request, Time now);
  void give_up_old_requests(Time now);
  void act_on_waiting(Time now);
  void start(const BookedRequest& request);
  void stop(const BookedRequest& request, Time now);
  void forget(BookedRequest& request);

  Random& random_;
  Audience& audience_;
  Stage stage_ = Stage::off;
  RecordingSnapshot confirmed_;        // all but total_ms, which is computed
  RecordingId running_;                // while not off
  std::optional<Error> refusal_;       // of the server's own newest start that could not be, until a recording begins
  // Of the running recording, also while it is starting.
  std::vector<Warning> disk_warnings_, recorder_warnings_;
  std::vector<FeedState> feeds_;
  ReachedLimits reached_limits_;
  std::int64_t finished_ms_ = 0;
  std::int64_t frozen_ms_ = 0;         // the total, while stopping
  std::int64_t stated_ms_ = 0;         // the most that was told to anybody: never undercut
  Time started_at_{};
  RequestBook book_;
  std::deque<BookedRequest*> waiting_;
  BookedRequest* current_ = nullptr;   // what the recording is starting or stopping for; nullptr: nothing
  RecordingId interrupted_;            // which has ended, and which a restart goes on with; empty: none
  BookedRequest* forgetting_ = nullptr; // who waits for that one to be over for good; others wait for them; nullptr: nobody
  std::uint64_t own_requests_ = 0;
  std::deque<Marker> markers_;         // the newest of the running recording, for who connects later
  std::uint64_t markers_added_ = 0;    // to the running recording
  std::map<std::string, TokenBucket> marker_allowances_;  // by identity
  FairShare marker_shares_;
};

}  // namespace amphi::services
