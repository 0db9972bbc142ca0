// Amphi's errors: one enum, one std::error_category, sentences that a person can act on.
#pragma once

#include <string>
#include <system_error>
#include <type_traits>

namespace amphi {

/// What can go wrong, as a program branches on it. Zero is success and has no enumerator.
enum class Errc {
  invalidArgument = 1,   ///< The caller passed something that can never work.
  invalidState,          ///< The right call at the wrong moment (for example after `disconnect()`).
  malformed,             ///< Something received does not parse.
  unauthorized,          ///< No valid access token: absent, expired, falsified, or for another session.
  forbidden,             ///< A valid token without the grant that this needs.
  notFound,              ///< No such session, feed or file.
  limitExceeded,         ///< The server's limits do not allow more.
  unsupported,           ///< Understood, and not offered here.
  timeout,               ///< No answer in time.
  disconnected,          ///< The connection is not there, or was lost for good.
  fingerprintMismatch,   ///< The media transport's certificate is not the one that was announced.
  storage,               ///< The server cannot write: disk full or failing.
  internal,              ///< A defect.
  inputFailed,           ///< A feed's input (device, file) cannot be opened, or broke.
  codecFailed,           ///< A feed's encoder or decoder is missing, or broke.
  outputFailed,          ///< A feed's output (window, device) cannot be opened, or broke.
  mediaUnreachable,      ///< No media gets through to the server: its UDP port may be blocked by a firewall or NAT. Retried.
};

/// The category of every `std::error_code` that the SDK gives; its name is "amphi". Any thread.
const std::error_category& errorCategory() noexcept;

/// Makes `Errc` convert to `std::error_code` (found by ADL). Any thread.
std::error_code make_error_code(Errc code) noexcept;

}  // namespace amphi

template <>
struct std::is_error_code_enum<amphi::Errc> : std::true_type {};
