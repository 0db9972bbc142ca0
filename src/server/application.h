// The server as a whole: makes the parts, connects them, and takes them down in order. Thread: main, which becomes control.
//
// SIGHUP reads every secret of the configuration again (secrets.h), and resolves the names of --advertise again; a reload that fails keeps
// all of the old ones and logs the reason.
// Going down on SIGTERM, SIGINT or SIGQUIT: no further connections; every recording is stopped and completed (within 10 s); everybody is
// told `closing`; peers, workers and writers end. A second signal ends the process at once.
#pragma once

#include "server/config.h"

namespace amphi::server {

/// Runs until a signal. Returns the process's status; what went wrong is on standard error.
int serve(const ServeConfig& config);

}  // namespace amphi::server
