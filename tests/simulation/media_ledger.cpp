#include "tests/simulation/media_ledger.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace amphi::testing {
namespace {

// What comes so long after a frame that was sent later may be refused: recording/reorder, with something to spare.
constexpr Duration kLate = 350ms, kLateAtFirst = 45ms, kFirst = 1s;
constexpr Duration kUnheard = 5ms;  // what is worked off before the writer has heard of the end
constexpr std::int64_t kPlaced = 800;  // ms between its arrival and where it lies; the network delays by 500 at most
constexpr std::int64_t kRounded = 3;   // ms
constexpr std::uint32_t kBefore = 6;   // frames that a gap's reason may depend on

}  // namespace

void MediaLedger::offer(std::uint32_t frame, std::uint32_t first, Time at, bool dropped) {
  if (offered_.size() <= frame) offered_.resize(frame + 1);
  offered_[frame] = {at, first, dropped};
}

/// Those that were taken in the recording's time, and early enough.
std::vector<bool> MediaLedger::in_time(Time start, Time end) const {
  const auto taken = [&](const Offered& o) { return o.at >= start && o.at <= end && !o.dropped; };
  std::vector<Time> begun(offered_.size(), Time::max());  // of each run, at its first frame
  for (const Offered& o : offered_)
    if (taken(o)) begun[o.first] = std::min(begun[o.first], o.at);
  std::vector<bool> good(offered_.size(), false);
  Time newer = Time::max();  // the earliest of those behind it, of its run
  std::uint32_t run = 0;
  for (std::size_t i = offered_.size(); i-- > 0;) {
    const Offered& o = offered_[i];
    if (!taken(o)) continue;
    if (std::exchange(run, o.first) != o.first) newer = Time::max();
    const Duration may = o.at < begun[o.first] + kFirst ? kLateAtFirst : kLate;
    good[i] = o.at > start && (newer == Time::max() || o.at - newer <= may);  // what came at the start itself may have been forgotten
    newer = std::min(newer, o.at);
  }
  return good;
}

std::vector<bool> MediaLedger::owed(Time start, Time end) const {
  std::vector<bool> owes = in_time(start, end);
  bool decodable = false;
  for (std::size_t i = 0; i < owes.size(); ++i) {
    const bool builds_on = i % keyframe_every_ != 0;
    decodable = owes[i] && (decodable || !builds_on);
    owes[i] = decodable;
  }
  return owes;
}

std::string MediaLedger::compare(const Recorded& file) const {
  std::string broken = compare_frames(file);
  return broken.empty() ? compare_gaps(file) : broken;
}

std::string MediaLedger::compare_frames(const Recorded& file) const {
  std::vector<bool> there(offered_.size(), false);
  std::uint32_t next = 0;
  for (const FileFrame& frame : file.frames) {
    const std::string which = "frame " + std::to_string(frame.number);
    if (frame.number < next) return which + " lies behind a later one";
    next = frame.number + 1;
    if (frame.number >= offered_.size() || offered_[frame.number].at == Time::max()) return which + " never came";
    const Offered& o = offered_[frame.number];
    if (o.dropped) return which + " was dropped, and is in the file";
    if (o.at < file.start || o.at > file.end + kUnheard) return which + " came at " + std::to_string(to_ms(o.at - file.start)) + " ms, outside the recording";
    if (std::abs(frame.at_ms - to_ms(o.at - file.start)) > kPlaced) return which + " came at " + std::to_string(to_ms(o.at - file.start)) + " ms and lies at " + std::to_string(frame.at_ms);
    there[frame.number] = true;
  }
  const std::vector<bool> owes = owed(file.start, file.end);
  const std::size_t until = file.whole ? owes.size() : next;
  for (std::size_t i = 0; i < until; ++i)
    if (owes[i] && !there[i]) return "frame " + std::to_string(i) + " came at " + std::to_string(to_ms(offered_[i].at - file.start)) + " ms, was not dropped, and is missing";
  return {};
}

bool MediaLedger::all_came(std::uint32_t from, std::uint32_t to) const {
  for (std::uint32_t i = from; i <= to; ++i)
    if (offered_[i].at == Time::max() || offered_[i].dropped) return false;
  return true;
}

bool MediaLedger::any_dropped(std::uint32_t from, std::uint32_t to, Time start, Time end) const {
  for (std::uint32_t i = from; i < to && i < offered_.size(); ++i)
    if (offered_[i].dropped && offered_[i].at > start && offered_[i].at <= end) return true;
  return false;
}

std::string MediaLedger::compare_gaps(const Recorded& file) const {
  for (std::size_t next = 1; next < file.frames.size(); ++next)
    if (std::string broken = compare_gap(file, next); !broken.empty()) return broken;
  if (!file.whole || file.frames.empty()) return {};
  const FileFrame& last = file.frames.back();
  if (!any_dropped(last.number + 1, static_cast<std::uint32_t>(offered_.size()), file.start, file.end)) return {};
  const bool told = std::any_of(file.gaps.begin(), file.gaps.end(), [&](const recording::Gap& gap) { return gap.from_ms >= last.at_ms - kRounded; });
  return told ? "" : "what was dropped behind frame " + std::to_string(last.number) + " lies in no gap";
}

/// Between a frame and the one before it in the file.
std::string MediaLedger::compare_gap(const Recorded& file, std::size_t next) const {
  const FileFrame& before = file.frames[next - 1];
  const FileFrame& behind = file.frames[next];
  if (!any_dropped(before.number + 1, behind.number, file.start, file.end)) return {};
  const std::string which = "what was dropped between frames " + std::to_string(before.number) + " and " + std::to_string(behind.number);
  const auto gap = std::find_if(file.gaps.begin(), file.gaps.end(), [&](const recording::Gap& g) { return std::abs(g.to_ms - behind.at_ms) <= kRounded; });
  if (gap == file.gaps.end() || gap->from_ms < before.at_ms - kRounded) return which + " lies in no gap";
  // Nothing else was missing for some time: then it is also called by its name.
  const std::uint32_t first = before.number + 1;
  const Offered& o = offered_[first];
  const bool plain = o.dropped && o.first == offered_[behind.number].first && o.first + kBefore < first && all_came(first - kBefore, before.number);
  for (std::size_t i = first + 1; plain && i < offered_.size(); ++i)
    if (offered_[i].first == o.first && offered_[i].at < o.at) return {};
  return !plain || gap->reason == "overflow" ? "" : which + " is called " + std::string(gap->reason);
}

MediaLedger::Count MediaLedger::count(Time start, Time end, std::uint32_t from) const {
  Count count;
  const std::uint32_t first = from < offered_.size() ? offered_[from].first : 0;
  for (const Offered& o : offered_)
    if (o.at > start && o.at <= end && o.first >= first) ++(o.dropped ? count.dropped : count.accepted);
  return count;
}

}  // namespace amphi::testing
