#include "recording/commit_group.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "recording/journal.h"

namespace amphi::recording {
namespace {

enum class Rank { wish, data, data_sync, line, line_sync, barrier };  // in the order in which a group is carried out

/// A head is written when its file is opened, and anew behind all that it points to.
Rank rank_of(const Output& output) {
  if (std::holds_alternative<KeyframeWanted>(output) || std::holds_alternative<FeedsChanged>(output)) return Rank::wish;
  const auto* op = std::get_if<FileOp>(&output);
  if (op == nullptr) return Rank::barrier;
  if (const auto* write = std::get_if<WriteFile>(op)) {
    if (write->file == kJournalFile) return Rank::line;
    return write->offset == 0 ? Rank::barrier : Rank::data;
  }
  if (const auto* sync = std::get_if<SyncFile>(op)) return sync->file == kJournalFile ? Rank::line_sync : Rank::data_sync;
  return Rank::barrier;
}

FileNumber synced(const Output& output) { return std::get<SyncFile>(std::get<FileOp>(output)).file; }

}  // namespace

std::size_t group_commits(std::deque<Output>& out) {
  const auto is_barrier = [](const Output& output) { return rank_of(output) == Rank::barrier; };
  const auto end = std::find_if(out.begin(), out.end(), is_barrier);
  const auto count = static_cast<std::size_t>(end - out.begin());
  if (count < 2) return std::min<std::size_t>(out.size(), 1);
  std::vector<Output> group(std::make_move_iterator(out.begin()), std::make_move_iterator(end));
  std::stable_sort(group.begin(), group.end(), [](const Output& a, const Output& b) { return rank_of(a) < rank_of(b); });
  std::vector<FileNumber> files;  // synced once each
  const auto last = std::remove_if(group.begin(), group.end(), [&](const Output& output) {
    const Rank rank = rank_of(output);
    if (rank != Rank::data_sync && rank != Rank::line_sync) return false;
    const bool again = std::find(files.begin(), files.end(), synced(output)) != files.end();
    if (!again) files.push_back(synced(output));
    return again;
  });
  const auto kept = static_cast<std::size_t>(last - group.begin());
  std::move(group.begin(), last, out.begin());
  out.erase(out.begin() + static_cast<std::ptrdiff_t>(kept), end);
  return kept;
}

}  // namespace amphi::recording
