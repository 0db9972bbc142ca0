#include "server/recording_repair.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>

#include "runtime/clock.h"
#include "runtime/folder.h"
#include "server/file_ops.h"
#include "server/folder_lock.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxJournal = std::size_t{4} * 1024 * 1024 * 1024;

std::vector<fs::path> folders_in(const fs::path& path) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error))
    if (std::error_code unknown; fs::is_directory(at->symlink_status(unknown)) && recording::is_safe_path_name(at->path().filename().string())) found.push_back(at->path());
  std::sort(found.begin(), found.end());
  return found;
}

std::string journal_of(const std::string& folder) { return folder + "/" + std::string(recording::kJournalName); }

bool is_written_elsewhere(const std::string& folder, const RepairOptions& options) {
  return is_open_for_writing(journal_of(folder)) || (!options.growth_checked && !being_written({journal_of(folder)}).empty());
}

tl::unexpected<Error> still_written() { return fail(ErrorCode::invalid_state, "another process still writes this recording; it is left alone"); }

}  // namespace

Result<RepairResult> repair_recording(const std::string& folder, const Safe& safe, const RepairOptions& options) {
  const auto manifest = runtime::read_file(folder + "/manifest.json", recording::kMaxManifest);
  if (!manifest && manifest.error().code != ErrorCode::not_found) return tl::unexpected(manifest.error());
  const recording::Lack lack = manifest ? recording::lack_of(*manifest) : recording::Lack::end;
  if (lack == recording::Lack::nothing) return RepairResult{};
  if (lack == recording::Lack::hashes && options.hashes == recording::Hashes::few) return RepairResult{false, true};
  if (lack == recording::Lack::end && is_written_elsewhere(folder, options)) return still_written();
  const auto journal = runtime::read_file(journal_of(folder), kMaxJournal);
  if (manifest && !journal) return tl::unexpected(journal.error());
  const auto text = [](const Result<std::string>& file) { return file ? std::optional<std::string_view>(*file) : std::nullopt; };
  auto found = recording::repair_case(text(manifest), text(journal));
  if (!found) return tl::unexpected(found.error());
  if (!*found) return RepairResult{};
  auto keeping = safe.for_existing((*found)->journal.key, (*found)->journal.info);
  if (!keeping) return tl::unexpected(keeping.error());
  if (!(*found)->failed) (*found)->failed = options.failed;
  // Lines whose sync failed may be what the system remembers, and not what the disk holds (fsync(2)).
  if ((*found)->failed && journal)
    if (auto again = runtime::write_again(journal_of(folder), *journal); !again) return tl::unexpected(again.error());

  const runtime::Folder reader(folder);
  runtime::FileWriter files(folder);
  RepairResult result{lack == recording::Lack::end, false};
  recording::Repair machine(std::move(**found), reader, runtime::wall_now(), std::move(*keeping), options.hashes);
  while (auto output = machine.poll_output()) {
    if (const auto* op = std::get_if<recording::FileOp>(&*output)) carry_out(*op, files, machine, runtime::now(), options.stopped);
    else if (const auto* finished = std::get_if<recording::Finished>(&*output)) result.hashes_missing = !finished->is_hashed();
  }
  if (machine.failure()) return tl::unexpected(*machine.failure());
  return result;
}

bool may_be_repaired_later(const Error& error) { return error.code == ErrorCode::storage || error.code == ErrorCode::invalid_state; }

RepairSummary repair_recordings(const std::string& root, const Safe& safe) {
  RepairSummary summary;
  std::vector<std::string> journals;
  for (const fs::path& session : folders_in(root))
    for (const fs::path& folder : folders_in(session)) journals.push_back(journal_of(folder.string()));
  const auto growing = being_written(journals);
  RepairOptions options;
  options.growth_checked = true;
  for (const fs::path& session : folders_in(root)) {
    for (const fs::path& folder : folders_in(session)) {
      ++summary.looked_at;
      const bool grows = std::find(growing.begin(), growing.end(), journal_of(folder.string())) != growing.end();
      const auto repaired = grows ? still_written() : repair_recording(folder.string(), safe, options);
      if (!repaired) {
        spdlog::error("{} could not be repaired: {}", folder.string(), repaired.error().message);
        if (may_be_repaired_later(repaired.error())) summary.incomplete.push_back(folder.string());
        continue;
      }
      if (repaired->hashes_missing) summary.incomplete.push_back(folder.string());
      if (!repaired->completed) continue;
      spdlog::warn("{} was cut off, and is repaired", folder.string());
      ++summary.repaired;
    }
  }
  return summary;
}

}  // namespace amphi::server
