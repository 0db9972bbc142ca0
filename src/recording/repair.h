// Completes a recording that was cut off (a killed server, a power cut, a disk that failed), from its journal: each file is cut
// behind its last journaled piece and finished as a stop would have, the journal is ended, the manifest says what was done.
// Giving up anywhere costs nothing: the next repair begins anew. Hashes of much media take minutes: they are left for a repair of their own.
//
// It signs only behind a line `repair` of its own, which says that it is the repair that signs; an end that was signed keeps that signature,
// whichever key is here now (docs/decisions/0013).
//
// The same shape as Recorder: FileOps out, told how they went, Finished and Closed at the end. Thread: its caller's.
#pragma once

#include <deque>
#include <map>

#include "base/folder.h"
#include "recording/journal.h"
#include "recording/recorder.h"

namespace amphi::recording {

/// What a recording with this manifest wants.
enum class Lack : std::uint8_t { nothing, hashes, end };
Lack lack_of(std::string_view manifest);
/// Of whole files: all, or those of a recording that is hashed in a moment (Recorder::kHashedAtOnce).
enum class Hashes : std::uint8_t { few, all };

struct RepairCase {
  JournalContent journal;
  std::optional<Error> failed{};       // what the manifest says had gone wrong
  std::optional<Evidence> evidence{};  // that the manifest has
  Lack lack = Lack::end;
};
/// What is to be done about a recording's folder, by the texts in it (nullopt: that file is not there). nullopt: nothing; it is complete,
/// or never began. Errors: malformed (there is a manifest, and no journal that holds).
Result<std::optional<RepairCase>> repair_case(std::optional<std::string_view> manifest, std::optional<std::string_view> journal);

class Repair {
 public:
  /// `folder` is read in the constructor only. An encrypted recording needs its sealer in `safekeeping`. Where only hashes lack they are
  /// all that changes; it fails (malformed) where manifest, journal and files do not fit each other.
  Repair(RepairCase found, const FolderReader& folder, WallTime now, Safekeeping safekeeping, Hashes hashes = Hashes::all);

  std::optional<Output> poll_output();
  void handle_hash(FileNumber file, const Sha256Digest& digest, Time now);
  void handle_replaced(Time now);
  /// Ends it: nothing is given but Finished with the error, and Closed.
  void handle_storage_error(Error error, Time now);
  /// Why it could not be done; nullopt: it could.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  void keep_journal();
  bool evidence_fits() const;
  bool files_fit(const FolderReader& folder) const;
  void complete_journal(const FolderReader& folder, WallTime now);
  void drop_lost_pieces(JournalTrack& track, const FolderReader& folder);
  void finish_track(JournalTrack& track, std::int64_t duration_ms);
  void ask_for_hashes(const FolderReader& folder, Hashes hashes);
  void close();

  JournalContent content_;
  Safekeeping safekeeping_;
  std::deque<Output> out_;
  Journal journal_{out_};
  std::optional<Error> failed_;  // before
  std::optional<Evidence> evidence_;  // of before, and then what it will be
  std::optional<Error> failure_;
  std::size_t hashes_awaited_ = 0;
  bool replacing_ = false;
  bool closed_ = false;
};

/// What the manifest of a recording with this journal says; hashes of whole files apart, for a journal has none.
struct JournalManifest {
  explicit JournalManifest(const JournalContent& journal);
  ManifestContent content;  // points into the journal
};

}  // namespace amphi::recording
