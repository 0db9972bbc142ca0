// Result<T>: a value, or an error with a code a program can branch on and a sentence a person can act on.
// For our own callers' mistakes and for outcomes; hostile network bytes are counted and dropped instead.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace amphi {

/// The codes are part of the wire protocol (see docs/protocol.md): `wire_name` gives the spelling there.
enum class ErrorCode {
  invalid_argument,   // the caller passed something that can never work
  invalid_state,      // right call, wrong moment
  malformed,          // does not parse
  unauthorized,       // no valid token
  forbidden,          // a valid token without the grant
  not_found,
  limit_exceeded,
  unsupported,        // understood, and not offered here
  timeout,
  disconnected,
  fingerprint_mismatch,
  storage,            // disk full, failing, not writable
  internal,
};

std::string_view wire_name(ErrorCode code) noexcept;
/// nullopt-like: unknown names map to ErrorCode::internal.
ErrorCode error_code_from_wire(std::string_view name) noexcept;

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  bool operator==(const Error&) const = default;
};

template <class T = void>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

}  // namespace amphi
