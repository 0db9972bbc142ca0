// REST for recordings (docs/protocol.md, "REST"): adds its routes to the table. Thread: control.
#pragma once

#include "server/recording_catalogue.h"
#include "server/rest_routes.h"

namespace amphi::server {

/// What is given outlives the routes.
void add_recording_routes(RestRoutes& routes, const RecordingCatalogue& catalogue, SealedFiles& sealed_files);

}  // namespace amphi::server
