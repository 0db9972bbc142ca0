// Hashes whole files of recordings that are complete and too large to be hashed in passing: one after the other, at low priority, away
// from the writers, so that neither a start of the server, nor its end, nor another recording waits for it. What is not done when the
// server ends is done after its next start. Thread: any calls; it has one of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "server/safekeeping.h"

namespace amphi::server {

class LateHashes {
 public:
  /// `safe` outlives it.
  explicit LateHashes(const Safe& safe);
  /// Gives up what it is at, within the megabyte.
  ~LateHashes();

  /// A recording's folder.
  void add(std::string folder);

 private:
  void run();
  bool stopping() const;

  const Safe& safe_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::string> folders_;
  bool stopping_ = false;
  std::thread thread_;  // last
};

}  // namespace amphi::server
