#include "base/result.h"

#include <array>

namespace amphi {
namespace {

struct Name {
  ErrorCode code;
  std::string_view name;
};

constexpr std::array kNames{
    Name{ErrorCode::invalid_argument, "invalid_argument"},
    Name{ErrorCode::invalid_state, "invalid_state"},
    Name{ErrorCode::malformed, "malformed"},
    Name{ErrorCode::unauthorized, "unauthorized"},
    Name{ErrorCode::forbidden, "forbidden"},
    Name{ErrorCode::not_found, "not_found"},
    Name{ErrorCode::limit_exceeded, "limit_exceeded"},
    Name{ErrorCode::unsupported, "unsupported"},
    Name{ErrorCode::timeout, "timeout"},
    Name{ErrorCode::disconnected, "disconnected"},
    Name{ErrorCode::fingerprint_mismatch, "fingerprint_mismatch"},
    Name{ErrorCode::storage, "storage"},
    Name{ErrorCode::internal, "internal"},
};

}  // namespace

std::string_view wire_name(ErrorCode code) noexcept {
  for (const auto& entry : kNames)
    if (entry.code == code) return entry.name;
  return "internal";
}

ErrorCode error_code_from_wire(std::string_view name) noexcept {
  for (const auto& entry : kNames)
    if (entry.name == name) return entry.code;
  return ErrorCode::internal;
}

}  // namespace amphi
