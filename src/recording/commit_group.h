// Lets what was recorded meanwhile become durable together: of the pieces that wait to be written, all are written, then each of their
// files is synced once, then the journal tells of them, and is synced once. So a backlog costs a sync a file, not two a piece.
// Thread: the recorder's.
#pragma once

#include <cstddef>
#include <deque>

#include "recording/recorder.h"

namespace amphi::recording {

/// Puts the first outputs in that order, as far as nothing stands between them whose place matters. Returns how many at the front are in
/// their place now; 0 only where there are none.
std::size_t group_commits(std::deque<Output>& out);

}  // namespace amphi::recording
