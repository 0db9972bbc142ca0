#include "server/recording_place.h"

#include <algorithm>
#include <filesystem>

#include "recording/journal.h"
#include "runtime/folder.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kFirstLine = 16 * 1024;

}  // namespace

Result<recording::RecordingInfo> recorded_as(const std::string& folder) {
  const runtime::Folder reader(folder);
  const std::string name(recording::kJournalName);
  const auto size = reader.size(name);
  if (!size) return fail(ErrorCode::not_found, folder + " has no " + name);
  const auto data = reader.read(name, 0, std::min(*size, kFirstLine));
  if (!data) return tl::unexpected(data.error());
  auto journal = recording::parse_journal(as_text(*data).substr(0, as_text(*data).find('\n') + 1));
  if (!journal) return tl::unexpected(journal.error());
  return std::move(journal->info);
}

Result<void> check_place(const recording::RecordingInfo& info, const SessionId& session, const RecordingId& id) {
  if (info.session == session && info.id == id) return {};
  return fail(ErrorCode::forbidden, "By its journal it is the recording " + info.id.value + " of the session " + info.session.value + ", not " + id.value + " of " + session.value + ".");
}

bool is_misplaced(const std::string& folder, const recording::RecordingInfo& info) {
  const fs::path place = fs::absolute(folder + "/.").lexically_normal().parent_path();
  std::error_code error;
  const bool in_session = fs::exists(place.parent_path() / "services.json", error);
  return in_session && !check_place(info, SessionId(place.parent_path().filename().string()), RecordingId(place.filename().string()));
}

}  // namespace amphi::server
