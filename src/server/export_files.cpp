#include "server/export_files.h"

#include <algorithm>
#include <filesystem>

#include "recording/recorder.h"
#include "runtime/file_writer.h"
#include "runtime/folder.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;

void add_files(std::vector<ExportFile>& files, const std::string& recording, const fs::path& folder) {
  if (!runtime::is_folder(folder.parent_path().string()) || !runtime::is_folder(folder.string())) return;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code gone;  // meanwhile
    if (!fs::is_regular_file(at->symlink_status(gone)) || !recording::is_safe_path_name(at->path().filename().string())) continue;
    const auto bytes = at->file_size(gone);
    if (!gone) files.push_back({at->path().filename().string(), recording, at->path().string(), bytes});
  }
}

}  // namespace

std::vector<ExportFile> export_files(const std::string& session_folder) {
  std::vector<ExportFile> files;
  add_files(files, "", fs::path(session_folder) / "exports");
  std::error_code error;
  for (fs::directory_iterator at(session_folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (recording::is_safe_path_name(name) && name != "exports") add_files(files, name, at->path() / "exports");
  }
  std::sort(files.begin(), files.end(), [](const ExportFile& a, const ExportFile& b) { return a.name < b.name; });
  return files;
}

Result<void> remove_export(const std::string& path) {
  std::error_code error;
  if (!runtime::is_folder(fs::path(path).parent_path().string())) return fail(ErrorCode::not_found, "The export's file is gone already.");
  if (!fs::remove(path, error) && !error) return fail(ErrorCode::not_found, "The export's file is gone already.");
  if (error) return fail(ErrorCode::storage, "The export's file cannot be removed.");
  return runtime::sync_folder(fs::path(path).parent_path());
}

}  // namespace amphi::server
