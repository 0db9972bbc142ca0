#include "server/export_workshop.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "recording/recorder.h"
#include "runtime/file_writer.h"
#include "runtime/folder.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWorkshop = ".work";
constexpr int kAttempts = 10;
constexpr auto kDying = std::chrono::seconds(1);  // in all

tl::unexpected<Error> storage(const std::string& what, const std::error_code& error) { return fail(ErrorCode::storage, what + ": " + error.message()); }

Result<runtime::LockFile> lock(const std::string& folder) { return runtime::LockFile::take(folder + "/lock"); }

std::vector<fs::path> folders_in(const fs::path& path) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error))
    if (std::error_code unknown; fs::is_directory(at->symlink_status(unknown))) found.push_back(at->path());
  return found;
}

/// Tries again until then: what was killed with the server before may still be dying, and its FFmpeg after it.
template <class Try>
void try_until(std::chrono::steady_clock::time_point until, Try done) {
  while (!done() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

void sweep(const fs::path& exports, std::chrono::steady_clock::time_point until) {
  if (!runtime::is_folder(exports.string())) return;
  for (const fs::path& folder : folders_in(exports)) {
    if (folder.extension() != kWorkshop) continue;
    std::optional<runtime::LockFile> locked;
    try_until(until, [&] {
      if (auto taken = lock(folder.string())) locked.emplace(std::move(*taken));
      return locked.has_value();
    });
    if (!locked) continue;
    std::error_code error;
    try_until(until, [&] { return fs::remove_all(folder, error), !error; });
    if (error) spdlog::error("export: {} was left by one that was killed, and cannot be removed: {}", folder.string(), error.message());
    else spdlog::info("export: {} was left by one that was killed: removed", folder.string());
  }
}

}  // namespace

Result<Workshop> Workshop::open(const std::string& output) {
  const std::string path = output + std::string(kWorkshop);
  std::error_code error;
  auto locked = Result<runtime::LockFile>(fail(ErrorCode::not_found, path));
  // The process that had it may have taken the folder away meanwhile.
  for (int attempt = 0; !locked && locked.error().code == ErrorCode::not_found && attempt < kAttempts; ++attempt) {
    if (auto made = runtime::create_folders(path); !made) return tl::unexpected(made.error());
    fs::permissions(path, fs::perms::owner_all, error);
    locked = lock(path);
  }
  if (!locked && locked.error().code == ErrorCode::invalid_state)
    return fail(ErrorCode::invalid_state, "This export (" + output + ") is being made by " + locked.error().message + ". Wait for it, or cancel it.");
  if (!locked) return tl::unexpected(locked.error());
  Workshop shop(path, std::move(*locked));
  for (const auto& left : fs::directory_iterator(path, error))  // by one that was killed
    if (left.path().filename() != "lock") fs::remove_all(left.path(), error);
  if (error) return storage(path, error);
  return shop;
}

Workshop::Workshop(Workshop&& other) noexcept : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}

Workshop::~Workshop() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

Result<void> put_in_place(const std::string& made, const std::string& output) {
  const int file = ::open(made.c_str(), O_RDONLY | O_CLOEXEC);
  if (file >= 0) runtime::make_private(file);
  const bool synced = file >= 0 && ::fsync(file) == 0;
  std::error_code error(errno, std::generic_category());
  if (file >= 0) ::close(file);
  if (!synced) return storage(made, error);
  fs::rename(made, output, error);
  if (error) return storage(output, error);
  auto named = runtime::sync_folder(fs::path(output).parent_path());
  if (!named) fs::remove(output, error);
  return named;
}

void sweep_workshops(const std::string& root) {
  const auto until = std::chrono::steady_clock::now() + kDying;
  for (const fs::path& session : folders_in(root))
    for (const fs::path& folder : folders_in(session)) sweep(folder.filename() == "exports" ? folder : folder / "exports", until);
}

}  // namespace amphi::server
