// From the core's errors to the SDK's std::error_code. Any thread.
#pragma once

#include <optional>

#include "amphi/error.h"
#include "base/result.h"

namespace amphi::sdk {

Errc errc_of(ErrorCode code) noexcept;
/// nullopt gives the empty code.
std::error_code to_error_code(const std::optional<Error>& error) noexcept;

}  // namespace amphi::sdk
