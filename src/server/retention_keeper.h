// Carries out the retention (retention.h): collects what the recordings' files tell, keeps the marks in <root>/retention.json, logs each mark
// before any deletion. Everything blocks. Thread: the catalogue index's.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "server/catalogue_index.h"
#include "server/retention.h"

namespace amphi::server {

class RetentionKeeper {
 public:
  using Remove = std::function<Result<void>(const std::string& session, const std::string& id, const std::string& by)>;

  /// `days`: at least one. `run`: see Retention. `started`: the monotonic time of the process's start.
  RetentionKeeper(std::string root, unsigned days, std::string run, Time started);
  /// One look at all recordings. `remove` deletes one.
  void look(const CatalogueIndex& index, WallTime wall, Time now, const Remove& remove);

 private:
  RetentionView view_of(const CatalogueIndex& index, WallTime wall) const;
  void tell(const RetentionPlan& plan, WallTime wall);

  const std::string root_;
  const unsigned days_;
  Retention retention_;
  std::optional<RetentionState> state_;  // as stored, with this process's own marks; nullopt: not read yet
  std::string paused_;                   // the reason that was told last
};

}  // namespace amphi::server
