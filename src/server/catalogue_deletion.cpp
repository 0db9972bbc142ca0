#include "server/catalogue_deletion.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "runtime/file_writer.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;

std::string shown(const std::string& root, const std::string& session, const std::string& id) { return root + "/" + session + "/" + id; }
std::string hidden(const std::string& root, const std::string& session, const std::string& id) { return shown(root, session, std::string(kGoing) + id); }

Result<void> move(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) return fail(ErrorCode::storage, "The recording cannot be moved: " + error.message() + ".");
  auto synced = runtime::sync_folder(fs::path(from).parent_path());
  if (!synced) fs::rename(to, from, error);
  return synced;
}

/// An export that is being cancelled tidies up in there at the same time: what it takes away meanwhile is no failure.
bool remove_all(const std::string& folder) {
  std::error_code error;
  for (int attempt = 0; attempt < 10; ++attempt) {
    fs::remove_all(folder, error);
    if (!error) return true;
  }
  return false;
}

}  // namespace

Result<void> hide_recording(const std::string& root, const std::string& session, const std::string& id) {
  return move(shown(root, session, id), hidden(root, session, id));
}

Result<void> show_recording(const std::string& root, const std::string& session, const std::string& id) {
  return move(hidden(root, session, id), shown(root, session, id));
}

Result<void> say_deletion(const std::string& root, std::string_view line) {
  const std::string path = root + "/deletions.jsonl";
  struct stat before {};
  const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
  const bool open = file >= 0 && ::fstat(file, &before) == 0;
  if (open) runtime::make_private(file);
  errno = open ? ENOSPC : errno;  // of a write that is short nothing else tells why
  const bool said = open && ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && ::fsync(file) == 0;
  const std::string why = std::strerror(errno);
  // Half a line would swallow the next one.
  if (open && !said && ::ftruncate(file, before.st_size) == 0) ::fsync(file);
  if (file >= 0) ::close(file);
  if (!said) return fail(ErrorCode::storage, "deletions.jsonl: " + why + ".");
  return before.st_size == 0 ? runtime::sync_folder(root) : Result<void>{};
}

Result<void> erase_recording(const std::string& root, const std::string& session, const std::string& id) {
  // What is hidden goes last: as long as it is there, the next start goes on.
  if (!remove_all(shown(root, session, "exports")) || !remove_all(hidden(root, session, id)))
    return fail(ErrorCode::storage, "The recording is deleted, but its files could not all be removed; the next start of the server tries again.");
  return runtime::sync_folder(root + "/" + session);
}

}  // namespace amphi::server
