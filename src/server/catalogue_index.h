// Every recording in one table: by session, time and state. An index only: the folders and their manifests are what is true, and it is
// brought in line with them when it is opened, and made anew where it is missing, broken or of another version. What was deleted is remembered
// here and in <root>/deletions.jsonl, which outlives the index. SQLite; everything blocks. Thread: one at a time (see catalogue_service.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace amphi::server {

struct CatalogueEntry {
  std::string session, id, state, requested_by;
  std::int64_t started_ms = 0;  // since 1970
  std::int64_t stopped_ms = 0;  // 0: it runs
  std::int64_t duration_ms = 0;
  std::int64_t tracks = 0;
  bool operator==(const CatalogueEntry&) const = default;
};

/// Empty or absent: any. Newest first.
struct CatalogueQuery {
  std::string session, state;
  std::optional<std::int64_t> from_ms, to_ms;  // of the beginning: from <= it < to
  std::size_t limit = 100;
  std::string cursor;  // of the page before
};
struct CataloguePage {
  std::vector<CatalogueEntry> entries;
  std::string next;  // empty: that was all
};
/// The cursor of what follows that entry.
std::string cursor_behind(const CatalogueEntry& entry);

struct Deletion {
  std::string session, id, by;
  std::int64_t at_ms = 0;
  bool operator==(const Deletion&) const = default;
};

class CatalogueIndex {
 public:
  /// Opens <root>/catalogue.sqlite, or makes it, and brings it in line with the folders. Never fails for what is in the file: that is moved
  /// aside; nor for a folder that cannot be written: it is then kept in memory.
  static Result<CatalogueIndex> open(const std::string& root);
  CatalogueIndex(CatalogueIndex&&) noexcept;
  ~CatalogueIndex();

  /// Reads the recording's manifest again; one that is no more is taken out.
  void refresh(const std::string& session, const std::string& id);
  /// Errors: invalid_argument (a cursor that was not given).
  Result<CataloguePage> list(const CatalogueQuery& query) const;
  /// Finished, and ended before that.
  std::vector<CatalogueEntry> ended_before(std::int64_t ms) const;

  struct Newest {
    std::string recording;  // <session>/<id>; empty: there is none
    std::int64_t ms = 0;    // by its manifest, or the time of that file
  };
  /// The recording with the newest time, in whatever state.
  Newest newest() const;
  std::size_t finished_count() const;

  /// With everything in its folder, said durably in deletions.jsonl. After a crash in between, the next `open` completes what was said, and puts back what was not.
  /// The caller knows that it does not run: one that nobody can repair goes too. Errors: not_found, storage, invalid_state (another process writes it).
  Result<void> remove(const std::string& session, const std::string& id, const std::string& by, WallTime now);
  std::optional<Deletion> deletion_of(const std::string& session, const std::string& id) const;

 private:
  struct Impl;
  explicit CatalogueIndex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace amphi::server
