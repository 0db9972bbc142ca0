// Logging as an interface: above the I/O line a machine may be handed a Log; the server's writes to spdlog.
// One line a call, no secrets (no tokens, no keys), and never in a hot path.
#pragma once

#include <string_view>

namespace amphi {

enum class LogLevel { debug, info, warning, error };

class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view line) = 0;
};

class NullLog final : public Log {
 public:
  void write(LogLevel, std::string_view) override {}
};

}  // namespace amphi
