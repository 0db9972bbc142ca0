// The bodies and queries of REST requests (docs/protocol.md, "REST"), read into values. Every field has the type and the range that the
// protocol gives; an error says which. Pure. Thread: any.
#pragma once

#include <string>

#include "server/catalogue_index.h"
#include "server/export_jobs.h"
#include "server/rest_routes.h"

namespace amphi::server {

/// GET /v1/recordings. A token without `admin` sees its own session only. Errors: invalid_argument, forbidden (another session).
Result<CatalogueQuery> catalogue_query(const RestCall& call);
/// GET /v1/sessions/*/recordings. Errors: invalid_argument.
Result<CatalogueQuery> session_catalogue_query(const RestCall& call);

/// POST /v1/sessions/*/recording: on or off. Errors: malformed.
Result<bool> requested_recording(const RestCall& call);
/// POST /v1/sessions/*/recording/markers: the label as sent. Errors: malformed.
Result<std::string> requested_marker(const RestCall& call);
/// POST /v1/sessions/*/feeds/*: muted or not. Errors: malformed.
Result<bool> requested_mute(const RestCall& call);
/// POST /v1/sessions/*/exports and /v1/sessions/*/recordings/*/exports. The folder stays empty. Errors: malformed.
Result<ExportRequest> requested_export(const RestCall& call);

}  // namespace amphi::server
