// Everything that the Amphi SDK offers.
#pragma once

#include "amphi/audio_components.h"        // IWYU pragma: export
#include "amphi/error.h"                   // IWYU pragma: export
#include "amphi/feed.h"                    // IWYU pragma: export
#include "amphi/media_server_session.h"    // IWYU pragma: export
#include "amphi/video_components.h"        // IWYU pragma: export
