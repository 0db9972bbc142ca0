// REST for `admin`: sessions and participants are listed, participants removed, sessions closed, feeds muted. Thread: control.
#pragma once

#include "server/rest_routes.h"
#include "server/session_directory.h"

namespace amphi::server {

/// `directory` outlives the routes.
void add_session_routes(RestRoutes& routes, SessionDirectory& directory);

}  // namespace amphi::server
