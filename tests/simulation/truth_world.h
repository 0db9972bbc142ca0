// A World of services (services_world.h) that records for real: the recorder works on an emulated disk that is slow, stands still,
// fills up, fails and loses its power, and feeds come, go, lose packets and fall silent. After every step what each client shows is
// compared with the bytes that are durable on the disk, read back by the parsers that have no part in writing them.
#pragma once

#include "recording/journal.h"
#include "recording/storage_watch.h"
#include "tests/simulation/emulated_writer.h"
#include "tests/simulation/recording_rig.h"
#include "tests/simulation/services_world_parts.h"

namespace amphi::services::simulation {

/// What was compared, over all seeds.
struct TruthTally {
  std::uint64_t writing = 0, waiting = 0, off = 0, slow = 0, errors = 0;  // states compared with the disk
  std::uint64_t pieces = 0, markers = 0, complete = 0, failed = 0, cut = 0, repaired = 0, refused = 0;
  std::uint64_t stalls = 0, faults = 0, frames = 0, gaps = 0;
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

  // Feeds: truth_world_feeds.cpp.
  void start_feeds();
  void tick(std::size_t source);
  void change(std::size_t source);
  void see(const testing::SeenItem& item);
  void join(Recorded& folder);

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

  enum class Fault { none, failing, full };

  TruthTally& truth_;
  Duration slowness_{};  // the most that an operation takes when all is well
  Fault fault_ = Fault::none;
  Time stalled_until_{};
  testing::EmulatedWriter writer_;
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
  bool attached = false;          // the tap is its
  recording::StorageWatch watch;  // of control
  std::uint64_t epoch = 0;
  bool on = false, over = false;  // as control knows

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
  recording::test::Sender sender;
  bool present = false, silent = false;
  std::uint32_t frame = 0;
  Time since{};
};

}  // namespace amphi::services::simulation
