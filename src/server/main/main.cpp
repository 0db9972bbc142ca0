// amphi-server: `serve` (the default), `token`, `verify` and `export`. What it is told is in server/config.h.
#include <iostream>

#include "runtime/clock.h"
#include "server/application.h"
#include "server/config.h"

namespace {

int print_token(amphi::server::TokenConfig config) {
  using namespace amphi::server;
  const auto key = config.key_file.empty() ? parse_key(config.key_hex) : read_key_file(config.key_file);
  if (!key) {
    std::cerr << "amphi-server token: " << key.error().message << std::endl;
    return 2;
  }
  config.claims.expires_at = amphi::runtime::wall_now().unix_ms / 1000 + config.valid_seconds;
  const auto token = make_token(config.claims, *key);
  if (!token) {
    std::cerr << "amphi-server token: " << token.error().message << std::endl;
    return 2;
  }
  std::cout << *token << std::endl;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace amphi::server;
  const Command command = parse_command({argv + 1, argv + argc});
  if (const auto* exit = std::get_if<Exit>(&command)) {
    (exit->status == 0 ? std::cout : std::cerr) << exit->text << std::endl;
    return exit->status;
  }
  if (const auto* token = std::get_if<TokenConfig>(&command)) return print_token(*token);
  if (const auto* check = std::get_if<VerifyConfig>(&command)) return verify_recording(*check);
  if (const auto* exporting = std::get_if<ExportConfig>(&command)) return export_recording(*exporting);
  return serve(std::get<ServeConfig>(command));
}
