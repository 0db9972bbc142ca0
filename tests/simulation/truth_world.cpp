// The glue between the services and the recorder, as server/recordings and server/services_hub have it, and the disk's troubles.
#include "tests/simulation/truth_world.h"

#include <algorithm>

#include "recording/history.h"

namespace amphi::services::simulation {

namespace rec = amphi::recording;

TruthWorld::TruthWorld(std::uint64_t seed, Tally& tally, TruthTally& truth) : World(seed, tally, 5), truth_(truth), writer_(machine()) {
  asks_percent_ = 9;  // recordings that last for a while
  slowness_ = chance(60) ? Duration::zero() : between(1, chance(70) ? 5 : 40);
  if (chance(35)) pre_roll_ = between(500, 10'000);
  if (chance(55)) sink_limits_ = {4096, 3 + random_.below(14), 3 + random_.below(14)};
  if (chance(35)) size_disk();
  if (chance(50)) at_once_ = 1 + static_cast<int>(random_.below(20));
  start_feeds();
}

TruthWorld::~TruthWorld() = default;

testing::EmulatedWriter::Machine TruthWorld::machine() {
  return {[this](Duration delay, std::function<void()> act) { after(delay, std::move(act)); },
          [this] { return now_; },
          [this](const testing::EmulatedJob& job) {
            const Duration usual = slowness_ > Duration::zero() ? between(0, to_ms(slowness_)) : Duration::zero();
            const Duration takes = std::max(usual, stalled_until_ - now_);
            if (takes > usual) stood_still_ = now_ + takes;
            Recorded& folder = *find(job.info.id.value);
            folder.stood_still += takes - usual;
            give_room(folder);
            return takes;
          },
          [this] { return between(0, 10); },
          [this] { return wall(); },
          [this](const Job& job, const rec::Output& output) { said(job, output); },
          [this](const testing::EmulatedJob& job, Time at) { return look_at_space(job, at); },
          [this](const Job& job) {
            to_control([this, folder = find(job->info.id.value)] {
              if (!folder->over) end_recording(folder->id);
            });
          },
          [this](const Job& job, std::optional<rec::StorageWarning> warning) {
            to_control([this, folder = find(job->info.id.value), warning = std::move(warning)] {
              if (!folder->over && folder->watch.told(warning)) tell(*folder);
            });
          }};
}

TruthWorld::Recorded* TruthWorld::find(const std::string& id) {
  for (auto& folder : folders_)
    if (folder->id.value == id) return folder.get();
  return nullptr;
}

/// What control knows to run, and has not heard the end of.
TruthWorld::Recorded* TruthWorld::running() {
  for (auto& folder : folders_)
    if (folder->epoch == server_epoch_ && !folder->over) return folder.get();
  return nullptr;
}

/// From another thread, in order. A server that is gone hears nothing.
void TruthWorld::to_control(std::function<void()> act) {
  crossed_ = std::max(crossed_, now_ + between(0, 2));
  after(crossed_ - now_, [this, epoch = server_epoch_, act = std::move(act)] {
    if (server_ && epoch == server_epoch_) act();
  });
}

// ------------------------------------------------------------------------------------------------------------ the recorder

void TruthWorld::begin_recording(const RecordingId& id, const std::string& requested_by) {
  auto folder = std::make_unique<Recorded>();
  folder->id = id;
  folder->epoch = server_epoch_;
  folder->job = std::make_shared<testing::EmulatedJob>();
  folder->job->info = {id, SessionId("ses_1"), requested_by, wall(), Duration{}, RecordingId{}};
  folder->asked_at = folder->job->start = now_;
  folder->job->disk = &folder->disk;
  folder->job->space = server::SpaceWatch(reserve_);
  folder->job->at_once = at_once_;
  folder->before = server_->snapshot(now_);
  const std::uint64_t ceiling = folder->before.revision + kRevisionsPerRecording;
  folders_.push_back(std::move(folder));
  if (!std::exchange(watching_, true)) after(rec::StorageWatch::kLookEvery, [this] { watch(); });
  to_worker([this, at = folders_.back().get(), ceiling] { begin_tap(*at, ceiling); });
}

/// Its folder, and the ceiling of revisions: RecordingJob::begin.
bool TruthWorld::prepare(const Job& job, std::uint64_t ceiling) {
  Recorded& folder = *find(job->info.id.value);
  apply_fault();
  folder.free_at_begin = free_space();
  const bool room = disk_size_ == 0 || *folder.free_at_begin >= reserve_;
  if (!room || (fault_ != Fault::none && chance(60))) {
    to_control([this, &folder] { finished(folder, {Duration::zero(), {}, Error{ErrorCode::storage, "no folder"}}); });
    return false;
  }
  ceiling_ = ceiling;
  return true;
}

void TruthWorld::end_recording(const RecordingId& id) {
  Recorded* folder = find(id.value);
  if (!folder->stop_at) folder->stop_at = now_;
  to_worker([this, folder, at = now_, wall_then = wall()] {
    end_tap();
    writer_.stop(folder->job, at, wall_then);
  });
}

void TruthWorld::mark(const AddMarker& marker) {
  writer_.add_marker(find(marker.id.value)->job, marker.label, marker.by, marker.at);
}

void TruthWorld::said(const Job& job, const rec::Output& output) {
  Recorded& folder = *find(job->info.id.value);
  if (std::holds_alternative<rec::Started>(output)) {
    to_control([this, &folder] {
      folder.on = true;
      check_began(folder);
      recording_on(folder.id, folder.job->start);
    });
  } else if (const auto* changed = std::get_if<rec::MediaChanged>(&output)) {
    to_control([this, &folder, writing = changed->writing] {
      ++tally_.media_changes;
      server_->recording_media_changed(folder.id, writing, now_);
      serve_outputs();
    });
  } else if (const auto* end = std::get_if<rec::Finished>(&output)) {
    read_back(folder);
    folder.ended = folder.journal.content().end.has_value();
    to_control([this, &folder, end = *end] { finished(folder, end); });
  }
}

void TruthWorld::finished(Recorded& folder, const rec::Finished& end) {
  folder.over = true;
  folder.left_at = now_;
  to_worker([this] { end_tap(); });
  if (!folder.on) {
    ++truth_.refused;
    recording_refused(folder.id, end.error.value_or(Error{ErrorCode::internal, "never began"}));
    return check_kept_out(folder);
  }
  end.error ? ++truth_.failed : ++truth_.complete;
  if (!end.error) check_complete(folder);
  else if (disk_size_ > 0) check_full(folder, end);
  recording_over(folder.id, end.duration, end.error);
}

/// Control looks after its writer for as long as something is recorded.
void TruthWorld::watch() {
  Recorded* folder = server_ ? running() : nullptr;
  watching_ = folder != nullptr;
  if (!folder) return;
  if (folder->watch.look(writer_.busy_since(), now_)) tell(*folder);
  after(rec::StorageWatch::kLookEvery, [this] { watch(); });
}

void TruthWorld::tell(Recorded& folder) {
  std::vector<Warning> warnings;
  for (const auto& told : folder.watch.warnings()) warnings.push_back({told.code, told.message, told.minutes_left});
  ++tally_.warnings;
  server_->recording_warnings(folder.id, std::move(warnings), now_);
  serve_outputs();
}

// ------------------------------------------------------------------------------------------------------------ lives of the server

/// What the server does at its start: server/recording_repair, server/recording_catalogue.
Restored TruthWorld::restored() {
  heal();
  repair_all();
  rec::History history;
  for (const auto& folder : folders_) {
    const Bytes text = folder->disk.content("manifest.json");
    if (const auto manifest = rec::parse_manifest(as_text(text))) history.add(*manifest);
  }
  return {ceiling_, history.total_ms, history.last_recording_id};
}

void TruthWorld::repair_all() {
  for (const auto& folder : folders_) {
    testing::EmulatedDisk& disk = folder->disk;
    auto found = testing::repair_case(disk);
    require(found.has_value(), "a recording that cannot be repaired");
    if (found && *found) {
      disk.kill();
      give_room(*folder);
      rec::Repair machine(std::move(**found), disk, wall(), rec::Safekeeping{});
      testing::serve(machine, disk, now_, [](const rec::Output&) {});
      require(!machine.failure(), "a repair that fails on a disk that is well");
      ++truth_.repaired;
    }
    if (!std::exchange(folder->looked_at, true)) check_left(*folder);
    folder->sealed = disk.operations();
  }
}

void TruthWorld::kill_recorder() {
  const bool power = chance(50);
  writer_.kill(chance(50));
  for (const auto& folder : folders_) {
    if (folder->on && !folder->over) {
      folder->left_at = now_;
      ++truth_.cut;
    }
    folder->over = true;
    power ? folder->disk.cut_power(random_) : folder->disk.kill();
    folder->journal = {};
    folder->pieces.clear();
  }
  lose_feeds();
}

void TruthWorld::server_started() {
  server_->set_pre_roll(pre_roll_);
  keep_pre_roll();
}

/// A server that leaves in order ends its recordings before it goes.
void TruthWorld::close_server() {
  if (stage_ == Stage::off && writer_.jobs().empty()) {
    lose_feeds();
    return World::close_server();
  }
  server_->interrupt_recording(now_);
  serve_outputs();
}

// ------------------------------------------------------------------------------------------------------------ the disk

void TruthWorld::apply_fault() {
  for (const auto& folder : folders_) {
    if (folder->sealed) continue;
    folder->faulted = folder->faulted || fault_ != Fault::none;
    if (fault_ == Fault::failing) folder->disk.fail_from(folder->disk.operations());
    if (fault_ == Fault::full && disk_size_ == 0) folder->disk.fill_after(random_.below(3000));
  }
}

void TruthWorld::heal() {
  if (fault_ == Fault::full) others_ = 0;
  fault_ = Fault::none;
  stalled_until_ = now_;
  for (const auto& folder : folders_) folder->disk.heal();
}

void TruthWorld::disturb_recorder() {
  ++truth_.stalls;
  stalled_until_ = now_ + between(100, chance(50) ? 2'500 : 14'000);
}

void TruthWorld::fail_recorder() {
  if (fault_ != Fault::none || !chance(30)) return;
  ++truth_.faults;
  fault_ = chance(50) ? Fault::failing : Fault::full;
  if (fault_ == Fault::full && disk_size_ > 0) others_ += free_space() - std::min<std::uint64_t>(free_space(), random_.below(3000));
  apply_fault();
  after(between(0, 3'000), [this] { heal(); });
}

void TruthWorld::calm() { heal(); }

}  // namespace amphi::services::simulation
