// The Prometheus text of /metrics (exposition format 0.0.4): every counter that exists, every drop by its name.
// Pure. Thread: any.
#pragma once

#include <string>
#include <vector>

#include "recording/feed_status.h"
#include "server/drops.h"
#include "server/media_worker.h"
#include "services/server.h"

namespace amphi::server {

struct MetricsInput {
  std::size_t sessions = 0, participants = 0, http_connections = 0, services_connections = 0, recordings_running = 0;
  std::uint64_t recordings_finished = 0, recordings_failed = 0;
  std::size_t feeds_not_recorded = 0;
  Counters<recording::FeedReason> feed_losses;
  Counters<recording::FeedFault> feed_faults;
  recording::Drops recording_drops;
  Counters<Drop> drops;
  Counters<services::ServerDrop> services_drops;
  std::vector<WorkerReport> workers;
};

std::string metrics_text(const MetricsInput& input);

}  // namespace amphi::server
