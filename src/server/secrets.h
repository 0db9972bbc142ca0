// Every secret that the configuration names, read together: at the start, and again at SIGHUP. Thread: main, then control; reads the disk.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <optional>
#include <string>

#include "server/config.h"
#include "server/safekeeping.h"

namespace amphi::server {

struct Secrets {
  Bytes token_key;            // empty: none is configured (--dev)
  std::string metrics_token;  // empty: none is configured
  Safe safe;
  std::optional<boost::asio::ssl::context> tls;
  std::string names;          // for the log: "token key, TLS certificate and key"; empty: none is configured

  /// All or none. Errors: the first file that cannot be used, and why.
  static Result<Secrets> read(const ServeConfig& config);
};

}  // namespace amphi::server
