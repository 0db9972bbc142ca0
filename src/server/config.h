// What amphi-server is told: flags and a TOML file, both the same options; a flag wins over the file. Pure but for the
// files named in it. Thread: main, before any other exists.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/net.h"
#include "base/result.h"
#include "server/access_token.h"
#include "server/export_command.h"
#include "server/verify_command.h"

namespace amphi::server {

struct ServeConfig {
  std::vector<std::string> listen{"127.0.0.1"};
  std::uint16_t port = 7880;                // at all of them; 0: any free one
  std::vector<std::string> media_addresses; // empty: every interface's; with dev those that it listens at
  std::uint16_t media_port = 7881;          // worker n takes media_port + n; 0: any free ones
  std::vector<std::string> advertise;       // ADDRESS or ADDRESS=LOCAL (advertised.h)
  unsigned workers = 0;                     // 0: one for each core
  std::string recordings = "recordings";
  std::string web;                          // empty: no page is served
  std::string key_file;
  std::string token_audience;               // the `aud` of tokens; empty: a token with one is refused
  std::string tls_cert, tls_key;
  std::string recording_signing_key, recording_key;
  std::uint64_t recording_reserve_mb = 512;
  unsigned recording_pre_roll_seconds = 0;
  unsigned recording_retention_days = 0;  // 0: kept
  std::size_t connections_total = 5000, connections_per_address = 1000, connections_reserved = 500;
  unsigned connections_idle_seconds = 30;
  std::size_t participants_per_identity = 4;  // in a session
  unsigned participant_mbits = 100;           // that one participant may send
  std::vector<std::string> trusted_proxies;  // address ranges
  std::string metrics_listen;      // ADDRESS:PORT; empty: /metrics beside everything else
  std::string metrics_token_file;  // empty: without a token
  std::string ready_file;
  bool dev = false;
  bool allow_autopublish = false;         // a link with ?publish=… shares devices without a click on the page
};

struct TokenConfig {
  std::string key_file;
  std::string key_hex;
  AccessToken claims;              // expires_at is filled in by the caller
  std::int64_t valid_seconds = 3600;
};

/// Nothing to do but print `text` and leave with `status`: --help, or a mistake.
struct Exit {
  std::string text;
  int status = 0;
};

using Command = std::variant<ServeConfig, TokenConfig, VerifyConfig, ExportConfig, Exit>;

/// Media workers: as configured, or one for each core.
unsigned worker_count(const ServeConfig& config);

/// `arguments` without the program's name.
Command parse_command(std::vector<std::string> arguments);

/// Keys are hexadecimal text of at least 32 bytes, surrounded by any white space.
Result<Bytes> parse_key(std::string_view hex);
Result<Bytes> read_key_file(const std::string& path);
/// One line of at least 16 characters.
Result<std::string> read_secret_file(const std::string& path);

}  // namespace amphi::server
