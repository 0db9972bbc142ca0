#include "server/recorded_file.h"

#include <algorithm>

#include "runtime/file_writer.h"
#include "server/recording_place.h"

namespace amphi::server {

const SealedFiles::Known* SealedFiles::look_at(const std::string& folder) {
  const std::string name(recording::kJournalName);
  const runtime::Folder reader(folder);
  const std::uint64_t size = reader.size(name).value_or(0);
  const auto found = std::find_if(known_.begin(), known_.end(), [&](const Known& k) { return k.folder == folder; });
  if (found != known_.end() && (found->journal_size == size || !found->journal)) {
    known_.splice(known_.begin(), known_, found);
    return &known_.front();
  }
  if (found != known_.end()) known_.erase(found);
  // The first line says whether it is encrypted; most are not, and are then never read to the end.
  constexpr std::uint64_t kFirstLine = 16 * 1024;
  const auto begin = reader.read(name, 0, std::min(size, kFirstLine));
  const auto first = begin ? recording::parse_journal(as_text(*begin).substr(0, as_text(*begin).find('\n') + 1)) : tl::unexpected(begin.error());
  if (!first) return nullptr;  // not yet
  Known known{folder, size, first->info, nullptr};
  if (first->key) {
    const auto text = reader.read(name, 0, size);
    auto journal = text ? recording::parse_journal(as_text(*text)) : tl::unexpected(text.error());
    if (journal) known.journal = std::make_shared<const recording::JournalContent>(std::move(*journal));
  }
  known_.push_front(std::move(known));
  if (known_.size() > kKept) known_.pop_back();
  return &known_.front();
}

Result<void> SealedFiles::check_place(const std::string& folder, const SessionId& session, const RecordingId& id) {
  const Known* known = look_at(folder);
  return known != nullptr ? server::check_place(known->info, session, id) : Result<void>{};
}

Result<std::shared_ptr<const SealedFile>> SealedFiles::open(const std::string& folder, const std::string& name) {
  const Known* known = look_at(folder);
  if (known == nullptr || !known->journal) return nullptr;
  const auto journal = known->journal;
  for (const recording::JournalTrack& track : journal->tracks) {
    if (track.record.summary.path != name) continue;
    auto keeping = safe_.for_existing(journal->key, journal->info);
    if (!keeping) return tl::unexpected(keeping.error());
    return std::make_shared<const SealedFile>(folder, track, *keeping->sealer);
  }
  return nullptr;
}

}  // namespace amphi::server
