// The sound and the picture of a file are two pipelines. Those that begin shortly after one another begin on one clock, so that what
// belongs together in the file is captured at the same time. Thread: the session's pipeline thread.
#pragma once

#include <map>
#include <string>

#include "base/time.h"

namespace amphi::sdk {

class FileStarts {
 public:
  static constexpr Duration kTogether = 3s;

  /// When the file's first moment is, for a pipeline that is ready to play it at `now`.
  Time begin(const std::string& path, Time now) {
    Time& begun = begun_.try_emplace(path, now).first->second;
    if (now - begun > kTogether) begun = now;
    return begun;
  }

 private:
  std::map<std::string, Time> begun_;
};

}  // namespace amphi::sdk
