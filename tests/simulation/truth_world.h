// A World of services (services_world.h) that records for real: the recorder works on an emulated disk that is slow, stands still,
// fills up, fails and loses its power, and feeds come, go, lose packets and fall silent, on their way through the real sink, which drops
// what a disk that stands still keeps it from passing on, and which may keep a pre-roll. After every step what each client shows is
// compared with the bytes that are durable on the disk, read back by the parsers that have no part in writing them.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "recording/journal.h"
#include "recording/storage_watch.h"
#include "tests/simulation/emulated_writer.h"
#include "tests/simulation/media_ledger.h"
#include "tests/simulation/recording_rig.h"
#include "tests/simulation/services_world_parts.h"

namespace amphi::services::simulation {

/// What was compared, over all seeds.
struct TruthTally {
  std::uint64_t writing = 0, waiting = 0, off = 0, slow = 0, errors = 0;  // states compared with the disk
  std::uint64_t pieces = 0, markers = 0, complete = 0, failed = 0, cut = 0, repaired = 0, refused = 0;
  std::uint64_t stalls = 0, faults = 0, frames = 0, gaps = 0;
  std::uint64_t dropped = 0, overflowed = 0, pre_rolls = 0;       // packets, recordings that lost some, recordings that began with one
  std::uint64_t low = 0, full = 0, kept_out = 0;                  // warnings compared, recordings ended for want of space, and not begun
};

class TruthWorld final : public World {
 public:
  TruthWorld(std::uint64_t seed, Tally& tally, TruthTally& truth);
  ~TruthWorld() override;

 private:
  struct Recorded;
  struct Source;
  using Job = testing::EmulatedWriter::Job;

  // The recorder's side: truth_world.cpp.
  Restored restored() override;
  void server_started() override;
  void begin_recording(const RecordingId& id, const std::string& requested_by) override;
  void end_recording(const RecordingId& id) override;
  void mark(const AddMarker& marker) override;
  void kill_recorder() override;
  void close_server() override;
  void fail_recorder() override;
  void disturb_recorder() override;
  void calm() override;
  testing::EmulatedWriter::Machine machine();
  void to_control(std::function<void()> act);
  void said(const Job& job, const recording::Output& output);
  void finished(Recorded& folder, const recording::Finished& end);
  bool prepare(const Job& job, std::uint64_t ceiling);
  void watch();
  void apply_fault();
  void heal();
  void repair_all();
  void tell(Recorded& folder);
  WallTime wall() const { return {1'700'000'000'000 + to_ms(now_ - Time{})}; }
  Recorded* find(const std::string& id);
  Recorded* running();

  // Feeds, and the worker: truth_world_feeds.cpp.
  void start_feeds();
  void tick(std::size_t source);
  void change(std::size_t source);
  void arrive(std::size_t source, std::uint32_t frame, rtp::WireTimestamp timestamp);
  void tapped(std::size_t payload);
  void to_worker(std::function<void()> act);
  void set_tap(std::shared_ptr<server::RecordingSink> sink, Time at);
  void keep_pre_roll();
  void look_after_keeper();
  void begin_tap(Recorded& folder, std::uint64_t ceiling);
  void end_tap();
  void lose_feeds();
  void check_pre_roll(Recorded& folder, Duration pre_roll);
  void check_dropped();

  // How large the disk is: truth_world_space.cpp.
  void size_disk();
  std::uint64_t free_space() const;
  std::optional<std::uint64_t> look_at_space(const testing::EmulatedJob& job, Time at);
  void give_room(Recorded& folder);
  void others_write();
  void slow_down();
  void check_began(Recorded& folder);
  void check_kept_out(Recorded& folder);
  void check_space(const RecordingState& shown, Recorded& folder);
  void check_reserve(Recorded& folder);
  void check_full(Recorded& folder, const recording::Finished& end);

  // What is compared: truth_world_checks.cpp.
  void stepped() override;
  void look_back() override;
  void hear_marker(const Marker& marker) override;
  void read_back(Recorded& folder);
  void seal(Recorded& folder);
  void read_pieces(Recorded& folder, std::size_t track);
  void check_shown(const Member& member, const RecordingSnapshot& said);
  void check_on(const RecordingState& shown, const RecordingSnapshot& said, Recorded& folder);
  void check_off(const RecordingState& shown, const RecordingSnapshot& said);
  void check_complete(Recorded& folder);
  void check_sound(Recorded& folder);
  void check_markers(Recorded& folder);
  void check_left(Recorded& folder);
  Duration lag() const;

  // ... and in the files: truth_world_media.cpp.
  void check_media(Recorded& folder);
  void check_counts(Recorded& folder, const Source& source, const testing::MediaLedger::Recorded& file, const nlohmann::json& track);

  enum class Fault { none, failing, full };
  static constexpr std::size_t kLargestRecord = 1024;  // of a sink
  static constexpr Duration kKept = 2s;                // MediaWorker looks after its keepers so often

  TruthTally& truth_;
  Duration slowness_{};  // the most that an operation takes when all is well
  Fault fault_ = Fault::none;
  Time stalled_until_{};
  Duration pre_roll_{};                // that is kept; zero: none
  server::RecordingSink::Limits sink_limits_;
  int at_once_ = recording::Take::kAtOnce;  // the writer takes of a sink
  std::uint64_t disk_size_ = 0, reserve_ = 0, others_ = 0;  // bytes; 0: without an end; what others have there
  std::uint64_t others_step_ = 0;                           // bytes; the most that others write at once
  testing::EmulatedWriter writer_;
  std::shared_ptr<server::RecordingSink> tap_;            // the session's
  Recorded* tapping_ = nullptr;                           // whose it is
  std::deque<std::pair<Time, std::uint64_t>> in_tap_;     // what came to a keeper, and its weight
  std::uint64_t given_ = 0;                               // to tap_ since it is a recording's
  Time at_worker_{};                                      // the newest message to the worker
  Time stuck_at_{};              // the writer, when last seen to be
  Time stood_still_{};           // the disk, until then
  Time crossed_{};               // the newest message from another thread to control
  std::uint64_t ceiling_ = 0;    // services.json
  bool watching_ = false;
  std::vector<std::unique_ptr<Recorded>> folders_;
  std::vector<std::unique_ptr<Source>> sources_;
};

/// One recording: its folder, and what was read back from it.
struct TruthWorld::Recorded {
  RecordingId id;
  testing::EmulatedDisk disk;
  Job job;                        // of this server's life
  recording::StorageWatch watch;  // of control
  std::uint64_t epoch = 0;
  Time asked_at{}, begins_at{};   // before it by the pre-roll
  std::optional<Time> tap_ended_at;
  bool short_of_memory = false;   // where it begins, something was forgotten
  bool dropped = false;           // packets, by its sink
  RecordingSnapshot before;       // what was said then
  bool on = false, over = false;  // as control knows

  struct Look {
    Time at{}, seen{};  // by the writer's time, and when
    std::uint64_t free = 0;
  };
  std::deque<Look> looks;                     // at the space, as far back as the forecast goes
  std::optional<std::uint64_t> free_at_begin;
  bool low_due = false, low_said = false;     // before the newest look it had to be foreseen; somebody was warned
  bool faulted = false;                       // its disk, at some time

  std::uint64_t read_at = 0;      // the disk's syncs
  recording::JournalReader journal;
  std::vector<std::size_t> pieces;  // read, by track
  std::optional<Time> piece_at;     // when the newest became durable
  std::int64_t media_end_ms = -1;   // the newest durable moment
  bool manifest_seen = false;

  std::vector<Marker> told;
  std::optional<std::size_t> sealed;  // operations of the disk: there will be no more
  Duration stood_still{};             // its operations, beyond what is usual
  std::optional<Time> stop_at, left_at;  // asked to stop; over, or killed
  bool looked_at = false;             // after its end
  std::string state;                  // what its manifest says in the end
  bool error = false;                 // and whether it tells of one
  bool ended = false;                 // what failed came after the journal's end
};

/// A participant's feed.
struct TruthWorld::Source {
  explicit Source(recording::test::Sender s) : sender(std::move(s)), ledger(static_cast<std::uint32_t>(sender.keyframe_every)) {}
  sfu::FeedInfo info() const {
    const recording::FeedInfo feed = sender.info();
    return {feed.id, feed.participant, feed.participant_identity, feed.label, feed.codec};
  }

  recording::test::Sender sender;
  testing::MediaLedger ledger;
  bool present = false, silent = false;
  std::uint32_t frame = 0, first = 0;  // the next, and the first since it came
  Time since{};
};

}  // namespace amphi::services::simulation
