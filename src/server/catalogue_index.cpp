#include "server/catalogue_index.h"

#include <spdlog/spdlog.h>
#include <sqlite3.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "recording/journal.h"
#include "recording/recorder.h"
#include "runtime/file_writer.h"
#include "runtime/folder.h"
#include "server/catalogue_deletion.h"
#include "server/folder_lock.h"
#include "server/manifest_file.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr std::size_t kMaxDeletions = 1024 * 1024 * 1024;
constexpr const char* kTables =
    "CREATE TABLE recordings (session TEXT, id TEXT, state TEXT, requested_by TEXT, started_ms INTEGER, stopped_ms INTEGER, duration_ms INTEGER,"
    " tracks INTEGER, manifest_size INTEGER, manifest_time INTEGER, PRIMARY KEY (session, id)) WITHOUT ROWID;"
    "CREATE INDEX by_time ON recordings (started_ms, session, id);"
    "CREATE TABLE deletions (session TEXT, id TEXT, at_ms INTEGER, by TEXT, PRIMARY KEY (session, id)) WITHOUT ROWID;";
constexpr const char* kColumns = "session, id, state, requested_by, started_ms, stopped_ms, duration_ms, tracks";

struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

/// One statement with its values, stepped through.
class Statement {
 public:
  Statement(sqlite3* db, const std::string& sql) {
    if (sqlite3_prepare_v2(db, sql.c_str(), -1, &statement_, nullptr) != SQLITE_OK) spdlog::error("catalogue: {}", sqlite3_errmsg(db));
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(const std::string& text) {
    sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    return *this;
  }
  Statement& bind(std::int64_t value) {
    sqlite3_bind_int64(statement_, ++bound_, value);
    return *this;
  }
  bool step() { return sqlite3_step(statement_) == SQLITE_ROW; }
  std::string text(int column) const {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return data != nullptr ? std::string(data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))) : std::string();
  }
  std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }

 private:
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

CatalogueEntry entry_of(const Statement& row) {
  return {row.text(0), row.text(1), row.text(2), row.text(3), row.number(4), row.number(5), row.number(6), row.number(7)};
}

bool run(sqlite3* db, const char* sql) { return sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK; }

/// SQLite gives its other files the mode of the first.
void make_private(const std::string& path) {
  const int file = path == ":memory:" ? -1 : ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (file < 0) return;
  runtime::make_private(file);
  ::close(file);
}

/// nullptr: what is there is no index of this version, or cannot be written.
Database open_database(const std::string& path) {
  sqlite3* raw = nullptr;
  make_private(path);
  const int opened = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  Database db(raw);
  // One server owns the folder. The exclusive mode keeps the WAL index in memory, so that a list does not wait for a disk that takes no writes.
  if (opened != SQLITE_OK || sqlite3_db_readonly(db.get(), "main") != 0 ||
      !run(db.get(), "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")) return nullptr;
  std::int64_t version = -1;
  if (Statement asked(db.get(), "PRAGMA user_version"); asked.step()) version = asked.number(0);
  if (version == 0 && run(db.get(), kTables)) return run(db.get(), ("PRAGMA user_version = " + std::to_string(kVersion)).c_str()) ? std::move(db) : nullptr;
  if (version != kVersion) return nullptr;
  Statement check(db.get(), "PRAGMA quick_check(1)");
  return check.step() && check.text(0) == "ok" ? std::move(db) : nullptr;
}

void put_aside(const std::string& path) {
  std::error_code ignored;
  fs::rename(path, path + ".broken", ignored);
  fs::remove(path + "-wal", ignored);
  fs::remove(path + "-shm", ignored);
}

/// A line of deletions.jsonl; nullopt: it is none.
std::optional<Deletion> deletion_in(std::string_view line) {
  const Json json = Json::parse(line, nullptr, false);
  const auto has_text = [&](const char* name) { return json.contains(name) && json[name].is_string(); };
  if (!json.is_object() || !has_text("session") || !has_text("recording") || !has_text("by") || !json.contains("atMs") || !json["atMs"].is_number_integer())
    return std::nullopt;
  return Deletion{json["session"], json["recording"], json["by"], json["atMs"].get<std::int64_t>()};
}

/// None of what is no folder, or cannot be read.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) names.push_back(at->path().filename());
  return names;
}

struct Stamp {
  std::int64_t size = 0, time = 0;
  bool operator==(const Stamp&) const = default;
};
std::optional<Stamp> stamp_of(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return Stamp{info.st_size, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec};
}

}  // namespace

struct CatalogueIndex::Impl {
  std::string root;
  Database db;

  std::string folder(const std::string& session, const std::string& id) const { return root + "/" + session + "/" + id; }

  void put(const std::string& session, const std::string& id) {
    const std::string path = folder(session, id) + "/manifest.json";
    const auto stamp = stamp_of(path);
    const auto file = read_manifest(root, SessionId(session), RecordingId(id));
    if (!stamp || !file) return drop(session, id);
    const recording::Manifest* manifest = &file->manifest;
    Statement(db.get(), std::string("INSERT OR REPLACE INTO recordings (") + kColumns + ", manifest_size, manifest_time) VALUES (?,?,?,?,?,?,?,?,?,?)")
        .bind(session).bind(id).bind(manifest->state).bind(manifest->requested_by).bind(manifest->started_at.unix_ms).bind(manifest->stopped_at.unix_ms)
        .bind(manifest->duration_ms).bind(static_cast<std::int64_t>(manifest->tracks.size())).bind(stamp->size).bind(stamp->time).step();
  }
  void drop(const std::string& session, const std::string& id) {
    Statement(db.get(), "DELETE FROM recordings WHERE session = ? AND id = ?").bind(session).bind(id).step();
  }
  void remember(const Deletion& deletion) {
    Statement(db.get(), "INSERT OR REPLACE INTO deletions (session, id, at_ms, by) VALUES (?,?,?,?)")
        .bind(deletion.session).bind(deletion.id).bind(deletion.at_ms).bind(deletion.by).step();
  }

  void read_deletions() {
    const std::string path = root + "/deletions.jsonl";
    const auto text = runtime::read_file(path, kMaxDeletions);
    if (!text || text->empty()) return;
    for (std::size_t begin = 0, end = 0; begin < text->size(); begin = end + 1) {
      end = std::min(text->find('\n', begin), text->size());
      if (const auto deletion = deletion_in(std::string_view(*text).substr(begin, end - begin))) remember(*deletion);
    }
    if (text->back() != '\n') (void)say_deletion(root, "\n");  // torn by a crash: the next line is one of its own
  }

  /// A crash in the middle of a deletion: one that was said is completed, one that was not never was.
  void complete_deletion(const std::string& session, const std::string& id) {
    Statement said(db.get(), "SELECT 1 FROM deletions WHERE session = ? AND id = ?");
    const auto done = said.bind(session).bind(id).step() ? erase_recording(root, session, id) : show_recording(root, session, id);
    if (!done) spdlog::error("catalogue: recording {}: {}", id, done.error().message);
  }

  void align() {
    run(db.get(), "BEGIN");
    read_deletions();
    std::map<std::pair<std::string, std::string>, Stamp> known;
    Statement all(db.get(), "SELECT session, id, manifest_size, manifest_time FROM recordings");
    while (all.step()) known[{all.text(0), all.text(1)}] = {all.number(2), all.number(3)};
    std::size_t read = 0;
    for (const std::string& name : names_in(root)) {
      if (!recording::is_safe_path_name(name) || !runtime::is_folder(root + "/" + name)) continue;
      for (std::string id : names_in(root + "/" + name)) {
        if (id.starts_with(kGoing)) complete_deletion(name, id = id.substr(kGoing.size()));
        if (!recording::is_safe_path_name(id) || !runtime::is_folder(folder(name, id))) continue;
        const auto stamp = stamp_of(folder(name, id) + "/manifest.json");
        if (!stamp) continue;
        const auto found = known.find({name, id});
        if (found == known.end() || found->second != *stamp) put(name, id), ++read;
        if (found != known.end()) known.erase(found);
        if (read > 0 && read % 1000 == 0) spdlog::info("catalogue: {} recordings read", read);
      }
    }
    for (const auto& [gone, stamp] : known) drop(gone.first, gone.second);
    run(db.get(), "COMMIT");
    if (read > 0 || !known.empty()) spdlog::info("catalogue: {} recordings read anew, {} are gone", read, known.size());
  }
};

std::string cursor_behind(const CatalogueEntry& entry) { return std::to_string(entry.started_ms) + "/" + entry.session + "/" + entry.id; }

CatalogueIndex::CatalogueIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CatalogueIndex::CatalogueIndex(CatalogueIndex&&) noexcept = default;
CatalogueIndex::~CatalogueIndex() = default;

Result<CatalogueIndex> CatalogueIndex::open(const std::string& root) {
  const std::string path = root + "/catalogue.sqlite";
  auto impl = std::make_unique<Impl>();
  impl->root = root;
  impl->db = open_database(path);
  if (!impl->db) {
    spdlog::warn("catalogue: {} is broken or of another version: it is put aside and made anew", path);
    put_aside(path);
    impl->db = open_database(path);
  }
  if (!impl->db) {
    // A disk that takes nothing keeps nobody out of a session.
    spdlog::error("catalogue: {} cannot be written. Is the disk full, or read-only? It is kept in memory until the next start", path);
    impl->db = open_database(":memory:");
  }
  if (!impl->db) return fail(ErrorCode::internal, "There is no memory for the catalogue.");
  impl->align();
  return CatalogueIndex(std::move(impl));
}

void CatalogueIndex::refresh(const std::string& session, const std::string& id) {
  if (recording::is_safe_path_name(session) && recording::is_safe_path_name(id)) impl_->put(session, id);
}

Result<CataloguePage> CatalogueIndex::list(const CatalogueQuery& query) const {
  constexpr std::string_view kStates[] = {"", "recording", "complete", "failed", "repaired"};
  if (std::find(std::begin(kStates), std::end(kStates), query.state) == std::end(kStates))
    return fail(ErrorCode::invalid_argument, "`state` is one of recording, complete, failed, repaired.");
  std::string sql = std::string("SELECT ") + kColumns + " FROM recordings WHERE 1";
  if (!query.session.empty()) sql += " AND session = ?";
  if (!query.state.empty()) sql += " AND state = ?";
  if (query.from_ms) sql += " AND started_ms >= ?";
  if (query.to_ms) sql += " AND started_ms < ?";
  // A page ends behind an entry, not after so many: what comes meanwhile moves nothing.
  std::int64_t after_ms = 0;
  std::string after_session, after_id;
  if (!query.cursor.empty()) {
    const auto one = query.cursor.find('/'), two = query.cursor.find('/', one + 1);
    const bool complete = one != std::string::npos && two != std::string::npos;
    const char* end = query.cursor.data() + (complete ? one : 0);
    const auto read = std::from_chars(query.cursor.data(), end, after_ms);
    if (!complete || read.ec != std::errc() || read.ptr != end)
      return fail(ErrorCode::invalid_argument, "The cursor is none that was given: take `next` of the page before.");
    after_session = query.cursor.substr(one + 1, two - one - 1);
    after_id = query.cursor.substr(two + 1);
    sql += " AND (started_ms, session, id) < (?, ?, ?)";
  }
  sql += " ORDER BY started_ms DESC, session DESC, id DESC LIMIT ?";
  Statement rows(impl_->db.get(), sql);
  if (!query.session.empty()) rows.bind(query.session);
  if (!query.state.empty()) rows.bind(query.state);
  if (query.from_ms) rows.bind(*query.from_ms);
  if (query.to_ms) rows.bind(*query.to_ms);
  if (!query.cursor.empty()) rows.bind(after_ms).bind(after_session).bind(after_id);
  rows.bind(static_cast<std::int64_t>(query.limit) + 1);
  CataloguePage page;
  while (rows.step()) {
    if (page.entries.size() == query.limit) {
      if (page.entries.empty()) break;
      page.next = cursor_behind(page.entries.back());
      break;
    }
    page.entries.push_back(entry_of(rows));
  }
  return page;
}

std::vector<CatalogueEntry> CatalogueIndex::ended_before(std::int64_t ms) const {
  Statement rows(impl_->db.get(), std::string("SELECT ") + kColumns + " FROM recordings WHERE state IN ('complete', 'repaired') AND stopped_ms > 0 AND stopped_ms < ?");
  rows.bind(ms);
  std::vector<CatalogueEntry> entries;
  while (rows.step()) entries.push_back(entry_of(rows));
  return entries;
}

CatalogueIndex::Newest CatalogueIndex::newest() const {
  Statement row(impl_->db.get(), "SELECT session, id, max(started_ms, stopped_ms, manifest_time / 1000000) AS newest FROM recordings ORDER BY newest DESC LIMIT 1");
  return row.step() ? Newest{row.text(0) + "/" + row.text(1), row.number(2)} : Newest{};
}

std::size_t CatalogueIndex::finished_count() const {
  Statement row(impl_->db.get(), "SELECT COUNT(*) FROM recordings WHERE state IN ('complete', 'repaired')");
  return row.step() ? static_cast<std::size_t>(row.number(0)) : 0;
}

Result<void> CatalogueIndex::remove(const std::string& session, const std::string& id, const std::string& by, WallTime now) {
  if (!recording::is_safe_path_name(session) || !recording::is_safe_path_name(id)) return fail(ErrorCode::not_found, "There is no such recording.");
  impl_->put(session, id);
  Statement row(impl_->db.get(), "SELECT 1 FROM recordings WHERE session = ? AND id = ?");
  if (!row.bind(session).bind(id).step()) return fail(ErrorCode::not_found, "There is no such recording.");
  if (!being_written({impl_->folder(session, id) + "/" + std::string(recording::kJournalName)}).empty())
    return fail(ErrorCode::invalid_state, "Another process still writes this recording.");
  const Json line{{"atMs", now.unix_ms}, {"session", session}, {"recording", id}, {"by", by}};
  const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace);
  // Out of everybody's sight at once, then said, then gone.
  const std::string& root = impl_->root;
  if (auto moved = hide_recording(root, session, id); !moved) return fail(ErrorCode::storage, moved.error().message + " Nothing was deleted.");
  if (auto said = say_deletion(root, text + "\n"); !said) {
    const bool back = show_recording(root, session, id).has_value();
    return fail(ErrorCode::storage, said.error().message + (back ? " Nothing was deleted." : " Nothing was deleted; the recording is there again from the server's next start on."));
  }
  spdlog::warn("deleted: {}", text);
  impl_->remember({session, id, by, now.unix_ms});
  impl_->drop(session, id);
  return erase_recording(root, session, id);
}

std::optional<Deletion> CatalogueIndex::deletion_of(const std::string& session, const std::string& id) const {
  Statement row(impl_->db.get(), "SELECT session, id, by, at_ms FROM deletions WHERE session = ? AND id = ?");
  if (!row.bind(session).bind(id).step()) return std::nullopt;
  return Deletion{row.text(0), row.text(1), row.text(2), row.number(3)};
}

}  // namespace amphi::server
