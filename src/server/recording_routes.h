// REST for recordings (docs/protocol.md, "REST"): adds its routes to the table. Thread: control.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "server/catalogue_service.h"
#include "server/disk_reader.h"
#include "server/export_jobs.h"
#include "server/recording_catalogue.h"
#include "server/rest_routes.h"
#include "server/services_hub.h"

namespace amphi::server {

/// All outlive the routes.
struct RecordingParts {
  const RecordingCatalogue& catalogue;
  CatalogueService& index;
  SealedFiles& sealed_files;  // the reader's
  DiskReader& reader;
  ServicesHub& services;
  ExportJobs& exports;
};

/// What there is: listed, played back, deleted.
void add_recording_routes(RestRoutes& routes, RecordingParts parts);
/// What happens now: the state, start and stop, markers.
void add_live_routes(RestRoutes& routes, RecordingParts parts);
void add_export_routes(RestRoutes& routes, RecordingParts parts);

/// One line; text that is no UTF-8 is repaired.
std::string text_of(const nlohmann::ordered_json& json);
/// 410 with who and when, where somebody deleted the recording; else `otherwise`.
boost::asio::awaitable<HttpAnswer> gone_or(RecordingParts parts, std::string session, std::string id, Error otherwise);

}  // namespace amphi::server
