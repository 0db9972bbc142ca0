#include "amphi/error.h"

#include "error_map.h"

namespace amphi {
namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "amphi"; }
  std::string message(int value) const override {
    switch (static_cast<Errc>(value)) {
      case Errc::invalidArgument: return "An argument can never work";
      case Errc::invalidState: return "The call does not fit the present state";
      case Errc::malformed: return "Something received could not be understood";
      case Errc::unauthorized: return "The access token is not valid for this session";
      case Errc::forbidden: return "The access token does not grant this";
      case Errc::notFound: return "There is no such thing";
      case Errc::limitExceeded: return "A limit does not allow more";
      case Errc::unsupported: return "This is not supported here";
      case Errc::timeout: return "No answer came in time";
      case Errc::disconnected: return "There is no connection";
      case Errc::fingerprintMismatch: return "The media transport's certificate is not the announced one";
      case Errc::storage: return "The recording cannot be stored";
      case Errc::internal: return "An internal error";
      case Errc::inputFailed: return "The feed's input failed";
      case Errc::codecFailed: return "The feed's encoder or decoder failed";
      case Errc::outputFailed: return "The feed's output failed";
      case Errc::mediaUnreachable: return "No media gets through to the server; a firewall or NAT may block its UDP port";
    }
    return "Unknown error " + std::to_string(value);
  }
};

}  // namespace

const std::error_category& errorCategory() noexcept {
  static const Category category;
  return category;
}

std::error_code make_error_code(Errc code) noexcept { return {static_cast<int>(code), errorCategory()}; }

namespace sdk {

Errc errc_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument: return Errc::invalidArgument;
    case ErrorCode::invalid_state: return Errc::invalidState;
    case ErrorCode::malformed: return Errc::malformed;
    case ErrorCode::unauthorized: return Errc::unauthorized;
    case ErrorCode::forbidden: return Errc::forbidden;
    case ErrorCode::not_found: return Errc::notFound;
    case ErrorCode::limit_exceeded: return Errc::limitExceeded;
    case ErrorCode::unsupported: return Errc::unsupported;
    case ErrorCode::timeout: return Errc::timeout;
    case ErrorCode::disconnected: return Errc::disconnected;
    case ErrorCode::fingerprint_mismatch: return Errc::fingerprintMismatch;
    case ErrorCode::storage: return Errc::storage;
    case ErrorCode::internal: return Errc::internal;
  }
  return Errc::internal;
}

std::error_code to_error_code(const std::optional<Error>& error) noexcept {
  return error ? make_error_code(errc_of(error->code)) : std::error_code{};
}

}  // namespace sdk
}  // namespace amphi
