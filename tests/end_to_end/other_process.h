// A participant in a process of its own, which a signal can stop and continue as a closed lid does. Shares a picture ("scope") and a tone.
// Thread: the test's.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>

#include "server_process.h"

namespace amphi::end_to_end {

class OtherProcess {
 public:
  OtherProcess(const std::string& url, const std::string& token);
  ~OtherProcess();
  OtherProcess(const OtherProcess&) = delete;
  OtherProcess& operator=(const OtherProcess&) = delete;

  void freeze();
  void wake();
  void kill_now();
  /// What it wrote last, about every 100 ms: `participantId`, `connected`, `reconnected`, `disconnected` (how often each was told), `on`,
  /// `updatePending`, `totalMs`, `recordingId`, `error`; empty at first.
  nlohmann::json status() const;

 private:
  TemporaryFolder folder_;
  pid_t pid_ = -1;
};

}  // namespace amphi::end_to_end
