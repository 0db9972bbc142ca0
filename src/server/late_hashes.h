// What recordings of before still need: whole files' hashes of those that are complete and too large to be hashed in passing, and the
// repair of those that the disk did not let be repaired at the start, which is tried again until it does. One after the other, at low
// priority, away from the writers, so that neither a start of the server, nor its end, nor another recording waits for it. What is not
// done when the server ends is done after its next start. Thread: any calls; it has one of its own.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "server/safekeeping.h"

namespace amphi::server {

class LateHashes {
 public:
  static constexpr Duration kAgain = 10s, kAgainAtMost = std::chrono::minutes(10);

  /// `safe` outlives it. `repaired` is called on its thread with the folder of a recording that had been cut off, and is complete now.
  explicit LateHashes(const Safe& safe, std::function<void(const std::string& folder)> repaired = {}, Duration again = kAgain);
  /// Gives up what it is at, within the megabyte.
  ~LateHashes();

  /// A recording's folder.
  void add(std::string folder);

 private:
  struct Work {
    std::string folder;
    Time due{};
    Duration wait;  // until it is tried again, should the disk not let it
  };
  void run();
  /// nullopt: the end.
  std::optional<Work> next();
  bool stopping() const;

  const Safe& safe_;
  const std::function<void(const std::string&)> repaired_;
  const Duration again_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Work> work_;
  bool stopping_ = false;
  std::thread thread_;  // last
};

}  // namespace amphi::server
