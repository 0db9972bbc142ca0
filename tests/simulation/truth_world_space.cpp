// The size of a TruthWorld's disk: who fills it, and what is said of it while there is still time.
#include <algorithm>
#include <cstdlib>

#include "tests/simulation/truth_world.h"

namespace amphi::services::simulation {

namespace rec = amphi::recording;

namespace {

constexpr Duration kWindow = server::SpaceForecast::kWindow, kLeast = server::SpaceForecast::kLeast;
constexpr double kSurely = 25 * 60, kPerhaps = 35 * 60;  // seconds left: below, somebody is warned; beyond, nobody
constexpr Duration kHeard = 5ms;                         // by control

}  // namespace

/// Some of them are full within the life of a world. Half the reserve has room for all that the sink holds, as a server's has.
void TruthWorld::size_disk() {
  if (sink_limits_.chunk_bytes > 4096) sink_limits_ = {4096, 3 + random_.below(14), 3 + random_.below(14)};
  const std::size_t chunks = sink_limits_.chunks + (pre_roll_ > Duration::zero() ? sink_limits_.kept_chunks : 0);
  reserve_ = 2 * (chunks * sink_limits_.chunk_bytes + 100'000);
  disk_size_ = reserve_ / 100 * (95 + random_.below(96));
  if (chance(50)) {
    others_step_ = chance(50) ? 20'000 : 4'000;
    others_write();
  }
}

std::uint64_t TruthWorld::free_space() const {
  std::uint64_t used = others_;
  for (const auto& folder : folders_) used += folder->disk.used();
  return disk_size_ - std::min(disk_size_, used);
}

/// Before each operation.
void TruthWorld::give_room(Recorded& folder) {
  if (disk_size_ > 0) folder.disk.fill_after(free_space());
}

/// While the disk answers, and not so much that nothing could be repaired.
void TruthWorld::others_write() {
  const bool answers = fault_ == Fault::none && now_ >= stalled_until_ && !writer_.busy_since();
  if (answers && free_space() > reserve_ / 4) others_ += random_.below(others_step_);
  after(200ms, [this] { others_write(); });
}

void TruthWorld::slow_down() {
  if (!quiet_) stalled_until_ = std::max(stalled_until_, now_ + between(500, 9'000));
}

namespace {

/// By what was seen of it. nullopt: it does not shrink, or not for long enough.
template <class Looks>
std::optional<double> seconds_left(const Looks& looks, std::uint64_t reserve) {
  if (looks.empty()) return std::nullopt;
  const auto& first = looks.front();
  const auto& last = looks.back();
  if (last.free <= reserve) return 0;
  const double seconds = std::chrono::duration<double>(last.at - first.at).count();
  if (last.at - first.at < kLeast || last.free >= first.free) return std::nullopt;
  return static_cast<double>(last.free - reserve) * seconds / static_cast<double>(first.free - last.free);
}

}  // namespace

std::optional<std::uint64_t> TruthWorld::look_at_space(const testing::EmulatedJob& job, Time at) {
  if (disk_size_ == 0) return std::nullopt;
  Recorded& folder = *find(job.info.id.value);
  const std::uint64_t free = free_space();
  auto& looks = folder.looks;
  folder.low_due = seconds_left(looks, reserve_ / 2).value_or(kPerhaps) < kSurely;
  if (!looks.empty() && free > looks.back().free + looks.back().free / 8) looks.clear();
  looks.push_back({at, now_, free});
  while (looks.size() > 2 && at - looks[1].at >= kWindow) looks.pop_front();
  if (free < reserve_ && chance(10)) after(between(0, 1'500), [this] { slow_down(); });  // one that is nearly full may be slow
  return free;
}

// ------------------------------------------------------------------------------------------------------------ what is compared

/// As long before it was asked for as media was held, and with no less than the reserve.
void TruthWorld::check_began(Recorded& folder) {
  require(folder.job->start == folder.begins_at, "it begins " + std::to_string(to_ms(folder.asked_at - folder.job->start)) + " ms before it was asked for");
  require(disk_size_ == 0 || *folder.free_at_begin >= reserve_, "a recording began with less than the reserve");
}

/// A recording that never was leaves nothing behind, and nobody heard of it but who had asked.
void TruthWorld::check_kept_out(Recorded& folder) {
  const bool kept_out = disk_size_ > 0 && *folder.free_at_begin < reserve_;
  if (!kept_out && folder.disk.operations() > 0) return;  // its disk failed at once
  if (kept_out) ++truth_.kept_out;
  require(folder.disk.names().empty() && folder.disk.operations() == 0, "a recording that was refused left something on the disk");
  const RecordingSnapshot said = server_->snapshot(now_);
  require(!said.on && said.revision == folder.before.revision && said.recording_id == folder.before.recording_id && said.total_ms == folder.before.total_ms,
          "a recording that was refused changed what everybody is shown");
}

/// The disk will be full soon, as far as anybody can know, if and only if that is shown.
void TruthWorld::check_space(const RecordingState& shown, Recorded& folder) {
  const bool low = shown.warning() && shown.warning()->code == "storage_low";
  if (low) ++truth_.low;
  if (disk_size_ == 0) return require(!low, "a disk without an end is said to have one");
  if (shown.warning() && !low) return;  // what is nearer
  if (folder.looks.empty()) return require(!low, "nobody has looked, and yet the disk is said to become full");
  if (now_ - folder.looks.back().seen <= kHeard) return;
  const auto left = seconds_left(folder.looks, reserve_ / 2);
  if (left == 0) return;  // it is being ended
  require(low || !left || *left >= kSurely, "the disk will be full soon, and nobody is told");
  require(!low || (left && *left < kPerhaps), "the disk is said to become full, and does not");
  if (low && left) require(std::abs(static_cast<double>(shown.warning()->minutes_left.value_or(-100)) - *left / 60) <= 1, "another time is left than what is said");
}

/// It is not gone on with where only half the reserve is left: control is told, and asks for its end.
void TruthWorld::check_reserve(Recorded& folder) {
  if (folder.over || folder.looks.empty() || folder.looks.back().free > reserve_ / 2) return;
  require(folder.job->full_at.has_value(), "half the reserve is used up, and the recording goes on");
  require(folder.job->closed || folder.stop_at || now_ - folder.looks.back().seen <= kHeard, "half the reserve is used up, and the recording is not stopped");
}

/// Ended before the disk was full, while it could be completed, and not without a warning where there was time for one.
void TruthWorld::check_full(Recorded& folder, const rec::Finished& end) {
  const testing::EmulatedJob& job = *folder.job;
  require(job.full_at || folder.faulted, "the disk was full before the recording was ended");
  if (!job.full_at) return;
  ++truth_.full;
  require(end.error->code == ErrorCode::storage, "ended for want of space, with another error");
  require(folder.looks.back().free <= reserve_ / 2, "ended for want of space, and there was some");
  const bool stuck = stuck_at_ + rec::StorageWatch::kLookEvery + kHeard >= *job.full_at - 2s;  // something else was said
  require(folder.low_said || !folder.low_due || stuck, "the disk was full, and nobody had been warned");
  if (!folder.faulted) check_complete(folder);
}

}  // namespace amphi::services::simulation
