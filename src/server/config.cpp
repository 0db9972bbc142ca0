#include "server/config.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <optional>
#include <thread>
#include <toml++/toml.h>

#include "server/advertised.h"
#include "server/client_address.h"
#include "server/secret_file.h"

namespace amphi::server {
namespace {

/// Both sources fill these; what neither names keeps ServeConfig's default.
struct Options {
  std::optional<std::string> recordings, web, key_file, token_audience, tls_cert, tls_key, recording_signing_key, recording_key, ready_file, metrics_listen, metrics_token_file;
  std::optional<std::int64_t> port, media_port, workers, recording_reserve_mb, recording_pre_roll_seconds, recording_retention_days;
  std::optional<std::int64_t> connections_total, connections_per_address, connections_reserved, connections_idle_seconds, participants_per_identity, participant_mbits;
  std::optional<std::vector<std::string>> listen, media_addresses, trusted_proxies, advertise;
  std::optional<bool> dev, allow_autopublish;
};

template <class Visit>
void each_text(Options& o, Visit visit) {
  visit("recordings", o.recordings, "folder for recordings");
  visit("web", o.web, "folder of the web page to serve");
  visit("key-file", o.key_file, "file with the key of access tokens: hexadecimal, at least 32 bytes");
  visit("token-audience", o.token_audience, "name that the `aud` of access tokens must have or hold (default: a token with `aud` is refused)");
  visit("tls-cert", o.tls_cert, "certificate chain (PEM): turns TLS on");
  visit("tls-key", o.tls_key, "the certificate's private key (PEM)");
  visit("recording-signing-key", o.recording_signing_key, "Ed25519 private key (PEM) that finished recordings are signed with");
  visit("recording-key", o.recording_key, "file with the key that recordings are encrypted under: 32 bytes in hexadecimal");
  visit("metrics-listen", o.metrics_listen, "ADDRESS:PORT of /metrics by itself (default: beside everything else, for loopback only)");
  visit("metrics-token-file", o.metrics_token_file, "file with the bearer token that /metrics asks for");
  visit("ready-file", o.ready_file, "written once the server listens: JSON with its address");
}
template <class Visit>
void each_list(Options& o, Visit visit) {
  visit("listen", o.listen, "address to take HTTP and WebSocket at; repeat it for more");
  visit("media-address", o.media_addresses, "address for media; repeat it for more (default: every interface's)");
  visit("advertise", o.advertise, "ADDRESS[=LOCAL]: address or name that clients are told for media, behind a 1:1 NAT or in a container; LOCAL: only for that local address; repeat it for more");
  visit("trusted-proxy", o.trusted_proxies, "address or range (CIDR) of a reverse proxy that names the client: by the PROXY protocol, X-Forwarded-For or Forwarded; repeat it for more");
}
template <class Visit>
void each_switch(Options& o, Visit visit) {
  visit("dev", o.dev, "own key, loopback only, a ready link");
  visit("allow-autopublish", o.allow_autopublish, "kiosks: a link with ?publish=camera,microphone shares these without a click on the page");
}
template <class Visit>
void each_number(Options& o, Visit visit) {
  visit("port", o.port, 0, 65535, "port of HTTP and WebSocket; 0: any free one");
  visit("media-port", o.media_port, 0, 65535, "first UDP port (default: 7881); worker n takes the n-th after it; 0: any free ones");
  visit("workers", o.workers, 0, 256, "media workers; 0: one for each core");
  visit("connections-total", o.connections_total, 1, 1'000'000, "HTTP and WebSocket connections at most");
  visit("connections-per-address", o.connections_per_address, 1, 1'000'000, "connections of one IPv4 address or IPv6 /64 at most");
  visit("connections-reserved", o.connections_reserved, 0, 1'000'000, "how many of the total only connections with a valid token may use");
  visit("connections-idle-seconds", o.connections_idle_seconds, 1, 3600, "a connection without a request is closed after so long");
  visit("participants-per-identity", o.participants_per_identity, 1, 100, "participants that one identity may have in a session at a time");
  visit("participant-mbits", o.participant_mbits, 1, 100'000, "Mbit/s that one participant may send; the rest is dropped");
  visit("recording-reserve-mb", o.recording_reserve_mb, 0, 1'000'000'000, "a recording begins with at least so many MB free, and ends at half of it; 0: the disk may fill up");
  visit("recording-pre-roll-seconds", o.recording_pre_roll_seconds, 0, 120, "how much of its newest media each session keeps in memory; a recording begins that far back");
  visit("recording-retention-days", o.recording_retention_days, 0, 36'500, "finished recordings are deleted so many days after their end; 0: they are kept");
}

/// [recording] pre_roll_seconds is recording-pre-roll-seconds: one name for each option, however the file is laid out.
void flatten(const toml::table& table, const std::string& prefix, std::map<std::string, const toml::node*>& out) {
  for (const auto& [key, value] : table) {
    std::string name = prefix + std::string(key.str());
    std::replace(name.begin(), name.end(), '_', '-');
    if (const auto* inner = value.as_table()) flatten(*inner, name + "-", out);
    else out[name] = &value;
  }
}

std::optional<std::string> read_toml(const std::string& path, Options& o) {
  const toml::parse_result parsed = [&]() -> toml::parse_result { return toml::parse_file(path); }();
  std::map<std::string, const toml::node*> given;
  flatten(parsed, "", given);
  const auto find = [&](const char* name) {
    const auto found = given.find(name);
    return found == given.end() ? nullptr : found->second;
  };
  std::optional<std::string> mistake;
  std::vector<std::string> known;
  const auto complain = [&](const char* name, const char* expected) {
    if (!mistake) mistake = path + ": " + name + " must be " + expected;
  };
  each_text(o, [&](const char* name, auto& value, const char*) {
    known.emplace_back(name);
    const toml::node* node = find(name);
    if (node == nullptr) return;
    value = node->value_exact<std::string>();
    if (!value) complain(name, "a text");
  });
  each_number(o, [&](const char* name, auto& value, std::int64_t least, std::int64_t most, const char*) {
    known.emplace_back(name);
    const toml::node* node = find(name);
    if (node == nullptr) return;
    value = node->value_exact<std::int64_t>();
    if (!value || *value < least || *value > most) complain(name, "a number in its range");
  });
  each_switch(o, [&](const char* name, auto& value, const char*) {
    known.emplace_back(name);
    const toml::node* node = find(name);
    if (node == nullptr) return;
    value = node->value_exact<bool>();
    if (!value) complain(name, "true or false");
  });
  each_list(o, [&](const char* name, auto& value, const char*) {
    known.emplace_back(name);
    const toml::node* node = find(name);
    if (node == nullptr) return;
    value.emplace();
    if (const auto one = node->value_exact<std::string>()) value->push_back(*one);
    else if (const auto* many = node->as_array())
      for (const auto& entry : *many) value->push_back(entry.value_or(std::string()));
    else complain(name, "a text or an array of texts");
  });
  for (const auto& [name, value] : given) {
    if (!mistake && std::find(known.begin(), known.end(), name) == known.end()) mistake = path + ": unknown option " + name;
  }
  return mistake;
}

template <class T, class U>
void apply(const std::optional<T>& from, U& to) {
  if (from) to = static_cast<U>(*from);
}

void apply(const Options& o, ServeConfig& config) {
  apply(o.listen, config.listen);
  apply(o.recordings, config.recordings);
  apply(o.web, config.web);
  apply(o.key_file, config.key_file);
  apply(o.token_audience, config.token_audience);
  apply(o.tls_cert, config.tls_cert);
  apply(o.tls_key, config.tls_key);
  apply(o.recording_signing_key, config.recording_signing_key);
  apply(o.recording_key, config.recording_key);
  apply(o.ready_file, config.ready_file);
  apply(o.metrics_listen, config.metrics_listen);
  apply(o.metrics_token_file, config.metrics_token_file);
  apply(o.port, config.port);
  apply(o.media_port, config.media_port);
  apply(o.workers, config.workers);
  apply(o.recording_reserve_mb, config.recording_reserve_mb);
  apply(o.recording_pre_roll_seconds, config.recording_pre_roll_seconds);
  apply(o.recording_retention_days, config.recording_retention_days);
  apply(o.media_addresses, config.media_addresses);
  apply(o.advertise, config.advertise);
  apply(o.trusted_proxies, config.trusted_proxies);
  apply(o.participants_per_identity, config.participants_per_identity);
  apply(o.participant_mbits, config.participant_mbits);
  apply(o.connections_total, config.connections_total);
  apply(o.connections_per_address, config.connections_per_address);
  apply(o.connections_reserved, config.connections_reserved);
  apply(o.connections_idle_seconds, config.connections_idle_seconds);
  apply(o.dev, config.dev);
  apply(o.allow_autopublish, config.allow_autopublish);
}

/// The first thing that can never work; empty: none.
std::string mistake_in(const ServeConfig& config) {
  if (config.listen.empty()) return "--listen must name an IP address";
  for (const auto& address : config.listen)
    if (!Address::parse(address, 0)) return "--listen must be an IP address, not '" + address + "'";
  for (const auto& address : config.media_addresses)
    if (!Address::parse(address, 0)) return "--media-address must be an IP address, not '" + address + "'";
  if (!config.metrics_listen.empty() && !Address::parse_with_port(config.metrics_listen))
    return "--metrics-listen must be an address and a port such as 127.0.0.1:9100 or [::1]:9100, not '" + config.metrics_listen + "'";
  for (const auto& text : config.advertise)
    if (const auto parsed = parse_advertised(text); !parsed) return "--advertise takes ADDRESS or ADDRESS=LOCAL: " + parsed.error().message;
  if (config.media_port != 0 && config.media_port + worker_count(config) - 1 > 65535)
    return "--media-port " + std::to_string(config.media_port) + " leaves no ports for " + std::to_string(worker_count(config)) + " workers";
  for (const auto& range : config.trusted_proxies)
    if (!AddressRange::parse(range)) return "--trusted-proxy must be an IP address or a range such as 10.0.0.0/8, not '" + range + "'";
  if (config.connections_reserved >= config.connections_total) return "--connections-reserved must be less than --connections-total";
  if (config.tls_cert.empty() != config.tls_key.empty()) return "--tls-cert and --tls-key belong together";
  if (config.recordings.empty()) return "--recordings must name a folder";
  if (!config.dev && config.key_file.empty())
    return "There is no key for access tokens. Give one with --key-file FILE (for example: openssl rand -hex 32 > FILE),\n"
           "or use --dev for a key of its own on loopback.";
  if (config.dev)
    for (const auto& address : config.listen)
      if (!Address::parse(address, 0)->is_loopback()) return "--dev listens on loopback only";
  return {};
}

void add_serve(CLI::App& app, std::string& config_file, Options& flags) {
  app.add_option("--config", config_file, "TOML file with any of these options, named alike")->check(CLI::ExistingFile);
  each_text(flags, [&](const char* name, auto& value, const char* help) {
    app.add_option_function<std::string>(std::string("--") + name, [&value](const std::string& v) { value = v; }, help);
  });
  each_number(flags, [&](const char* name, auto& value, std::int64_t least, std::int64_t most, const char* help) {
    app.add_option_function<std::int64_t>(std::string("--") + name, [&value](const std::int64_t& v) { value = v; }, help)
        ->check(CLI::Range(least, most));
  });
  each_list(flags, [&](const char* name, auto& value, const char* help) {
    app.add_option_function<std::vector<std::string>>(std::string("--") + name, [&value](const std::vector<std::string>& v) { value = v; }, help)
        ->expected(1, 64);
  });
  each_switch(flags, [&](const char* name, auto& value, const char* help) {
    app.add_flag_function(std::string("--") + name, [&value](std::int64_t) { value = true; }, help);
  });
}

Command finish_serve(const std::string& config_file, const Options& flags) {
  ServeConfig config;
  if (!config_file.empty()) {
    Options file;
    try {
      if (const auto mistake = read_toml(config_file, file)) return Exit{*mistake, 2};
    } catch (const toml::parse_error& error) {
      return Exit{config_file + ": line " + std::to_string(error.source().begin.line) + ": " +
                      std::string(error.description()), 2};
    }
    apply(file, config);
  }
  apply(flags, config);
  if (const std::string mistake = mistake_in(config); !mistake.empty()) return Exit{mistake, 2};
  return config;
}

}  // namespace

unsigned worker_count(const ServeConfig& config) { return config.workers > 0 ? config.workers : std::max(1u, std::thread::hardware_concurrency()); }

Command parse_command(std::vector<std::string> arguments) {
  // `serve` is the default: `amphi-server --dev` is `amphi-server serve --dev`.
  const bool names_one = !arguments.empty() && (arguments[0] == "serve" || arguments[0] == "token" || arguments[0] == "verify" || arguments[0] == "export" ||
                                                arguments[0] == "--help" || arguments[0] == "-h");
  if (!names_one) arguments.insert(arguments.begin(), "serve");

  CLI::App app("Amphi media server: forwards live feeds between participants and records them.", "amphi-server");
  app.require_subcommand(1);
  std::string config_file;
  Options flags;
  auto* serve = app.add_subcommand("serve", "run the server (the default)");
  add_serve(*serve, config_file, flags);

  TokenConfig token;
  std::vector<std::string> grants{"publish", "subscribe"};
  auto* make = app.add_subcommand("token", "print an access token");
  auto* key = make->add_option_group("key")->require_option(1);
  key->add_option("--key-file", token.key_file, "file with the key, as the server has it");
  key->add_option("--key", token.key_hex, "the key in hexadecimal");
  make->add_option("--session", token.claims.session.value, "the session it is for")->required();
  make->add_option("--identity", token.claims.identity, "who it is for; people see it")->required();
  make->add_option("--name", token.claims.name, "a longer name");
  make->add_option("--grants", grants, "any of publish, subscribe, record, recordings (read recordings and exports; implied by record and admin), admin; separated by commas")->delimiter(',');
  make->add_option("--valid-seconds", token.valid_seconds, "how long it is valid")->check(CLI::Range(1L, 315360000L));

  VerifyConfig verify;
  auto* check = app.add_subcommand("verify", "check a recording: every byte, the journal, the manifest, the signature");
  check->add_option("recording", verify.folder, "its folder: <recordings>/<session>/<recording>")->required()->check(CLI::ExistingDirectory);
  check->add_option("--public-key", verify.public_key, "whose signature it must have: Ed25519 public key (PEM)");
  check->add_option("--recording-key", verify.recording_key, "the key that it is encrypted under, as the server has it");
  check->add_flag("--json", verify.json, "print the findings as JSON");

  ExportConfig exporting;
  auto* make_files = app.add_subcommand("export", "make one file to show of a recording: all its tracks, or one picture of everybody");
  make_files->add_option("recording", exporting.folder, "its folder: <recordings>/<session>/<recording>; with --session: <recordings>/<session>")
      ->required()->check(CLI::ExistingDirectory);
  auto* form = make_files->add_option_group("form")->require_option(1);
  form->add_flag("--tracks", exporting.tracks, "one Matroska file (.mkv): every track as it was received, markers as chapters");
  bool composite = false;
  form->add_flag("--composite", composite, "one MP4: everybody in a grid with their names, all sound mixed, markers as chapters");
  make_files->add_flag("--session", exporting.session, "all finished recordings of the session, one after the other");
  make_files->add_option("--of-session", exporting.of_session, "refuse what another session recorded; none: with --session the folder's name");
  make_files->add_option("--from", exporting.from_seconds, "seconds into the recording; --tracks begin at the keyframe before")->check(CLI::Range(0.0, 1e9));
  make_files->add_option("--to", exporting.to_seconds, "seconds into the recording; none: to its end")->check(CLI::Range(0.0, 1e9));
  make_files->add_option("-o,--output", exporting.output, "the file to make; none: in `exports`, beside what was recorded");
  make_files->add_option("--recording-key", exporting.recording_key, "the key that it is encrypted under, as the server has it");
  make_files->add_option("--recording-reserve-mb", exporting.reserve_mb, "so many MB stay free on the disk that it is written to; 0: it may fill up")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1'000'000'000}));
  make_files->add_flag("--json", exporting.json, "print the result as JSON");
  make_files->add_flag("--progress-json", exporting.progress_json, "print the progress, and the result, as lines of JSON");

  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, problem;
    const int status = app.exit(error, out, problem);
    return Exit{out.str() + problem.str(), status == 0 ? 0 : 2};
  }
  if (serve->parsed()) return finish_serve(config_file, flags);
  if (check->parsed()) return verify;
  if (make_files->parsed()) return exporting;
  const auto parsed = parse_grants(grants);
  if (!parsed) return Exit{parsed.error().message, 2};
  token.claims.grants = *parsed;
  return token;
}

Result<Bytes> parse_key(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  Bytes key;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    if (digit(text[i]) < 0 || digit(text[i + 1]) < 0) return fail(ErrorCode::invalid_argument, "the key is not hexadecimal");
    key.push_back(static_cast<std::byte>(digit(text[i]) << 4 | digit(text[i + 1])));
  }
  if (text.size() % 2 || key.size() < kMinKeySize)
    return fail(ErrorCode::invalid_argument, "the key must be at least 64 hexadecimal digits, two for each byte");
  return key;
}

Result<std::string> read_secret_file(const std::string& path) {
  auto text = read_secret(path, 4096);
  if (!text) return tl::unexpected(text.error());
  while (!text->empty() && std::isspace(static_cast<unsigned char>(text->back()))) text->pop_back();
  const bool plain = std::all_of(text->begin(), text->end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (text->size() < 16 || !plain) return fail(ErrorCode::invalid_argument, path + ": a token is one line of at least 16 printable characters without spaces");
  return std::move(*text);
}

Result<Bytes> read_key_file(const std::string& path) {
  const auto text = read_secret(path, 4096);
  if (!text) return tl::unexpected(text.error());
  auto key = parse_key(*text);
  if (!key) return fail(key.error().code, path + ": " + key.error().message);
  return key;
}

}  // namespace amphi::server
