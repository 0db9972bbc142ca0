#include "server/application.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "runtime/socket.h"
#include "server/export_workshop.h"
#include "server/folder_lock.h"
#include "server/http_server.h"
#include "server/metrics.h"
#include "server/recording_repair.h"
#include "server/recording_routes.h"
#include "server/secrets.h"
#include "server/services_hub.h"
#include "server/session_routes.h"
#include "server/signalling.h"
#include "server/token_keys.h"

// GCC 12 inlines the allocation of a coroutine's frame here and not its deallocation, and takes Asio's two for a mismatch.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace amphi::server {
namespace {

namespace asio = boost::asio;

constexpr Duration kRecordingsLimit = 10s;
constexpr Duration kFarewellLimit = 2s;
constexpr std::size_t kOtherDescriptors = 1024;  // sockets of media, and files of recordings
constexpr std::int64_t kDevTokenSeconds = 24 * 3600;

class Application {
 public:
  explicit Application(const ServeConfig& config)
      : config_(config), catalogue_(std::filesystem::absolute(config.recordings).lexically_normal().string()) {}

  Result<void> start();
  void run();

 private:
  Result<void> prepare_secrets();
  Result<void> listen();
  Result<void> open_recordings();
  Result<void> start_workers();
  std::vector<Address> listen_addresses() const;
  std::vector<Address> media_addresses() const;
  HttpRoutes::Parts routes();
  Result<void> listen_for_metrics();
  HttpLimits http_limits() const;
  TrustedProxies trusted_proxies() const;
  Result<void> announce();
  asio::awaitable<std::string> metrics();
  asio::awaitable<void> wait_for_signal();
  asio::awaitable<void> reload_on_signal();
  asio::awaitable<void> resolve_again();
  std::vector<Advertised> advertised() const;
  void tell_candidates(const std::vector<OuterAddress>& outer) const;
  Result<std::string> reload();
  asio::awaitable<void> go_down();
  template <class Done>
  asio::awaitable<void> wait_until(Duration limit, Done done);

  const ServeConfig config_;
  std::optional<FolderLock> lock_;  // released last
  asio::io_context control_{1};
  asio::signal_set signals_{control_, SIGINT, SIGTERM, SIGQUIT};
  asio::signal_set reload_signal_{control_, SIGHUP};
  asio::thread_pool resolver_{1};
  std::vector<OuterAddress> outer_;
  runtime::SystemRandom random_;
  Counters<Drop> drops_;
  TokenKeys keys_{config_.token_audience};
  std::optional<asio::ssl::context> tls_;  // until listen()
  const RestRoutes::Verify verify_ = [this](std::string_view text) -> Result<AccessToken> {
    auto token = keys_.verify(text, runtime::wall_now());
    if (token && !token->grants.admin && directory_->is_banned(token->session, token->identity))
      return fail(ErrorCode::forbidden, "The identity was removed from this session.");
    return token;
  };
  const RestRoutes::Verify verify_for_return_ = [this](std::string_view token) { return keys_.verify_for_return(token, runtime::wall_now()); };
  RestRoutes rest_{verify_, drops_};
  RecordingCatalogue catalogue_;
  Safe safe_;
  SealedFiles sealed_files_{safe_};
  DiskReader reader_{control_, "disk-list"};
  std::vector<std::unique_ptr<MediaWorker>> workers_;
  std::unique_ptr<SessionDirectory> directory_;
  std::unique_ptr<Signalling> signalling_;
  std::unique_ptr<ServicesHub> services_;
  std::unique_ptr<CatalogueService> index_;
  std::unique_ptr<ExportJobs> exports_;
  std::unique_ptr<HttpRoutes> routes_;
  std::unique_ptr<HttpServer> http_;
  std::string metrics_token_;
  std::unique_ptr<HttpRoutes> metrics_routes_;
  std::unique_ptr<HttpServer> metrics_http_;
};

Result<void> Application::prepare_secrets() {
  auto secrets = Secrets::read(config_);
  if (!secrets) return tl::unexpected(secrets.error());
  if (secrets->token_key.empty()) {  // --dev: config.cpp takes nothing else without a key
    secrets->token_key.resize(32);
    random_.fill(secrets->token_key);
  }
  keys_.replace(std::move(secrets->token_key));
  tls_ = std::move(secrets->tls);
  metrics_token_ = std::move(secrets->metrics_token);
  safe_ = std::move(secrets->safe);
  return {};
}

std::vector<Address> Application::listen_addresses() const {
  std::vector<Address> addresses;
  for (const auto& text : config_.listen) addresses.push_back(*Address::parse(text, config_.port));
  return addresses;
}

std::vector<Address> Application::media_addresses() const {
  std::vector<Address> addresses;
  for (const auto& text : config_.media_addresses) addresses.push_back(*Address::parse(text, 0));
  if (!addresses.empty()) return addresses;
  addresses = listen_addresses();
  if (config_.dev) return addresses;
  // Where HTTP is on loopback, so are some of the clients.
  return runtime::interface_addresses(std::any_of(addresses.begin(), addresses.end(), [](const Address& a) { return a.is_loopback(); }));
}

std::vector<Advertised> Application::advertised() const {
  std::vector<Advertised> all;
  for (const auto& text : config_.advertise) all.push_back(*parse_advertised(text));
  return all;
}

void Application::tell_candidates(const std::vector<OuterAddress>& outer) const {
  if (outer.empty()) return;
  for (const auto& worker : workers_)
    for (const auto& address : worker->candidates(outer)) spdlog::info("media advertised as {}", address.text());
}

Result<void> Application::start_workers() {
  auto certificate = dtls::Certificate::generate();
  if (!certificate) return tl::unexpected(certificate.error());
  auto outer = resolve(advertised());
  if (!outer) return tl::unexpected(outer.error());
  if (auto used = check_advertised(*outer, media_addresses()); !used) return used;
  const unsigned count = worker_count(config_);
  sfu::Limits limits;
  limits.participant_bits_per_second = config_.participant_mbits * 1e6;
  for (unsigned i = 0; i < count; ++i) {
    auto addresses = media_addresses();
    if (addresses.empty()) return fail(ErrorCode::invalid_argument, "no network interface is up: name one with --media-address");
    for (auto& address : addresses)
      address.port = config_.media_port == 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(config_.media_port + i);
    auto worker = MediaWorker::create(i, addresses, *certificate, control_, [this](const SessionId& session, sfu::Event event) {
      directory_->handle_event(session, std::move(event));
    }, std::chrono::seconds(config_.recording_pre_roll_seconds), *outer, limits);
    if (!worker && config_.media_port != 0)
      return fail(worker.error().code, worker.error().message + "\nMedia use the UDP ports " + std::to_string(config_.media_port) + " to " + std::to_string(config_.media_port + count - 1) +
                                           ", one for each worker. Another server may have them: choose others with --media-port N (0: any free ones).");
    if (!worker) return tl::unexpected(worker.error());
    workers_.push_back(std::move(*worker));
  }
  outer_ = std::move(*outer);
  return {};
}

HttpRoutes::Parts Application::routes() {
  HttpRoutes::Parts parts;
  parts.web = config_.web;
  parts.allow_autopublish = config_.allow_autopublish;
  parts.rest = &rest_;
  parts.drops = &drops_;
  if (config_.metrics_listen.empty()) parts.metrics = [this] { return metrics(); };
  parts.metrics_token = metrics_token_;
  parts.signalling = [this](std::shared_ptr<WebSocketConnection> connection, SessionId session) {
    return signalling_->run(std::move(connection), std::move(session));
  };
  parts.services = [this](std::shared_ptr<WebSocketConnection> connection, SessionId session) {
    return services_->run(std::move(connection), std::move(session));
  };
  return parts;
}

/// Nothing is written before this has succeeded, but the lock file: a server that cannot listen leaves the recordings alone.
Result<void> Application::listen() {
  SessionDirectory::Limits limits;
  limits.participants_per_identity = config_.participants_per_identity;
  directory_ = std::make_unique<SessionDirectory>(control_, workers_, keys_.current(), random_, drops_, limits);
  if (auto ready = start_workers(); !ready) return ready;
  routes_ = std::make_unique<HttpRoutes>(routes());
  auto http = HttpServer::listen(control_, listen_addresses(), std::exchange(tls_, std::nullopt), *routes_, drops_, http_limits(), trusted_proxies());
  if (!http) return tl::unexpected(http.error());
  http_ = std::move(*http);
  return listen_for_metrics();
}

Result<void> Application::open_recordings() {
  const RepairSummary repaired = repair_recordings(catalogue_.root(), safe_);
  sweep_workshops(catalogue_.root());
  const unsigned writers = std::max(1u, std::min(4u, std::thread::hardware_concurrency()));
  const Recordings::Options recordings{writers, config_.recording_reserve_mb * 1'000'000, std::chrono::seconds(config_.recording_pre_roll_seconds)};
  services_ = std::make_unique<ServicesHub>(control_, *directory_, catalogue_, reader_, safe_, recordings, verify_for_return_, random_, drops_);
  for (const auto& folder : repaired.incomplete) services_->recordings().complete_later(folder);
  auto index = CatalogueIndex::open(catalogue_.root());
  if (!index) return tl::unexpected(index.error());
  index_ = std::make_unique<CatalogueService>(control_, std::move(*index), CatalogueService::RetentionOptions{catalogue_.root(), config_.recording_retention_days, random_.token(16)},
                                              CatalogueService::Clock{runtime::wall_now, runtime::now});
  services_->on_recording_changed([this](const SessionId& session, const RecordingId& id) { index_->refresh(session, id); });
  return {};
}

Result<void> Application::start() {
  if (auto ready = prepare_secrets(); !ready) return ready;
  if (!config_.web.empty() && !std::filesystem::is_regular_file(config_.web + "/index.html"))
    return fail(ErrorCode::not_found, "--web " + config_.web + " has no index.html");
  if (auto ready = runtime::create_folders(catalogue_.root()); !ready) return fail(ready.error().code, "--recordings " + catalogue_.root() + ": " + ready.error().message);
  auto lock = FolderLock::take(catalogue_.root());
  if (!lock) return tl::unexpected(lock.error());
  lock_.emplace(std::move(*lock));
  if (auto ready = listen(); !ready) return ready;
  if (auto ready = open_recordings(); !ready) return ready;
  exports_ = std::make_unique<ExportJobs>(control_, random_, std::filesystem::read_symlink("/proc/self/exe").string(), config_.recording_key, config_.recording_reserve_mb);
  const RecordingParts parts{catalogue_, *index_, sealed_files_, reader_, *services_, *exports_};
  add_recording_routes(rest_, parts);
  add_live_routes(rest_, parts);
  add_export_routes(rest_, parts);
  add_session_routes(rest_, *directory_);
  rest_.on_limit_reached([this](const SessionId& session, const AccessToken& token, const std::string& what) {
    services_->limit_reached(session, {token.identity, what, {}});
  });
  http_->on_limit_reached([this](const char* what) { services_->limit_reached({{}, what, {}}); });
  signalling_ = std::make_unique<Signalling>(*directory_, verify_for_return_, drops_);
  http_->start();
  if (metrics_http_) metrics_http_->start();
  return announce();
}

/// Only where they have an address of their own.
Result<void> Application::listen_for_metrics() {
  if (config_.metrics_listen.empty()) return {};
  HttpRoutes::Parts parts;
  parts.drops = &drops_;
  parts.metrics = [this] { return metrics(); };
  parts.metrics_token = metrics_token_;
  parts.metrics_for_all = metrics_token_.empty();
  metrics_routes_ = std::make_unique<HttpRoutes>(std::move(parts));
  auto http = HttpServer::listen(control_, {*Address::parse_with_port(config_.metrics_listen)}, std::nullopt, *metrics_routes_, drops_);
  if (!http) return tl::unexpected(http.error());
  metrics_http_ = std::move(*http);
  spdlog::info("metrics at {}:{}", Address::parse_with_port(config_.metrics_listen)->ip_text(), metrics_http_->port());
  return {};
}

HttpLimits Application::http_limits() const {
  const std::size_t descriptors = runtime::raise_descriptor_limit();
  HttpLimits limits;
  limits.loopback_hosts_only = config_.dev;
  limits.next_request = std::chrono::seconds(config_.connections_idle_seconds);
  limits.connections.total = config_.connections_total;
  limits.connections.per_address = config_.connections_per_address;
  limits.connections.reserved = config_.connections_reserved;
  const std::size_t most = descriptors > 2 * kOtherDescriptors ? descriptors - kOtherDescriptors : descriptors / 2;
  if (limits.connections.total > most) {
    spdlog::warn("connections.limited total={} configured={} reason=open_files limit={}", most, limits.connections.total, descriptors);
    limits.connections.total = most;
    limits.connections.reserved = std::min(limits.connections.reserved, most / 10);
  }
  return limits;
}

TrustedProxies Application::trusted_proxies() const {
  std::vector<AddressRange> ranges;
  for (const auto& text : config_.trusted_proxies) ranges.push_back(*AddressRange::parse(text));
  return TrustedProxies(std::move(ranges));
}

Result<void> Application::announce() {
  std::vector<std::string> urls;
  for (Address at : listen_addresses()) {
    at.port = http_->port();
    urls.push_back((config_.tls_cert.empty() ? "http://" : "https://") + at.text());
    spdlog::info("listening at {}", urls.back());
  }
  const std::string& url = urls.front();
  nlohmann::json ready{{"url", url}, {"port", http_->port()}, {"pid", ::getpid()}, {"recordings", catalogue_.root()}};
  for (const auto& worker : workers_)
    for (const auto& address : worker->addresses()) spdlog::info("media at {}", address.text());
  tell_candidates(outer_);
  if (config_.dev) {
    AccessToken guest{SessionId("demo"), "guest", {true, true, true}, runtime::wall_now().unix_ms / 1000 + kDevTokenSeconds, "", 0, {}};
    const auto token = make_token(guest, keys_.current());
    if (!token) return tl::unexpected(token.error());
    const std::string link = url + "/s/demo#token=" + *token;
    ready["link"] = link;
    ready["key"] = to_hex(keys_.current());
    std::cout << "Ready: " << link << std::endl;
  }
  if (config_.ready_file.empty()) return {};
  if (const auto written = runtime::replace_file(config_.ready_file, as_bytes(ready.dump() + "\n")); !written)
    return fail(written.error().code, "--ready-file " + config_.ready_file + ": " + written.error().message);
  return {};
}

asio::awaitable<std::string> Application::metrics() {
  MetricsInput input;
  for (auto& worker : workers_) {
    auto task = [](MediaWorker& there, Time) { return there.report(); };
    auto report = co_await worker->call(std::move(task));
    input.workers.push_back(std::move(report));
  }
  input.sessions = directory_->session_count();
  input.participants = directory_->participant_count();
  input.http_connections = http_->connections();
  input.services_connections = services_->connection_count();
  input.recordings_running = services_->recordings().running();
  input.recordings_finished = services_->recordings().finished();
  input.feeds_not_recorded = services_->recordings().feeds_not_recorded();
  input.feed_losses = services_->recordings().feed_losses();
  input.feed_faults = services_->recordings().feed_faults();
  input.recording_drops = services_->recordings().drops();
  input.recordings_failed = services_->recordings().failed();
  input.drops = drops_;
  input.services_drops = services_->protocol_drops();
  co_return metrics_text(input);
}

/// All of it or nothing. Returns the names of what was read. Connections and recordings go on as they are: new secrets are for new ones.
Result<std::string> Application::reload() {
  auto secrets = Secrets::read(config_);
  if (!secrets) return tl::unexpected(secrets.error());
  if (!secrets->token_key.empty()) keys_.replace(std::move(secrets->token_key));
  if (secrets->tls) http_->replace_tls(std::move(*secrets->tls));
  safe_.replace_by(secrets->safe);
  for (HttpRoutes* routes : {routes_.get(), metrics_routes_.get()})
    if (routes) routes->replace_metrics_token(secrets->metrics_token);
  return secrets->names;
}

namespace {
asio::awaitable<Result<std::vector<OuterAddress>>> resolving(std::vector<Advertised> advertised) { co_return resolve(advertised); }
}  // namespace

/// Resolves the names of `--advertise` again, on a thread of its own. Where that fails, clients are told the addresses of before.
asio::awaitable<void> Application::resolve_again() {
  if (config_.advertise.empty()) co_return;
  auto outer = co_await asio::co_spawn(resolver_, resolving(advertised()), asio::use_awaitable);
  if (outer)
    if (auto used = check_advertised(*outer, media_addresses()); !used) outer = tl::unexpected(used.error());
  if (!outer) {
    spdlog::error("the advertised addresses stay as they were: {}", outer.error().message);
    co_return;
  }
  outer_ = std::move(*outer);
  for (const auto& worker : workers_)
    worker->post([candidates = worker->candidates(outer_)](MediaWorker& here, Time) { here.set_candidates(candidates); });
  tell_candidates(outer_);
}

asio::awaitable<void> Application::reload_on_signal() {
  boost::system::error_code error;
  while (true) {
    co_await reload_signal_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    if (const auto names = reload()) spdlog::info("reloaded: {}", names->empty() ? "nothing, because no key or certificate is configured" : *names);
    else spdlog::error("the reload has failed, and all keys and certificates stay as they were: {}", names.error().message);
    co_await resolve_again();
  }
}

asio::awaitable<void> Application::wait_for_signal() {
  boost::system::error_code error;
  co_await signals_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return;
  signals_.async_wait([](boost::system::error_code again, int) {
    if (!again) ::_exit(1);
  });
  co_await go_down();
}

template <class Done>
asio::awaitable<void> Application::wait_until(Duration limit, Done done) {
  asio::steady_timer timer(control_);
  const Time deadline = runtime::now() + limit;
  while (!done() && runtime::now() < deadline) {
    timer.expires_after(std::chrono::milliseconds(10));
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

asio::awaitable<void> Application::go_down() {
  spdlog::info("going down");
  http_->stop_accepting();
  services_->interrupt_all_recordings();
  co_await wait_until(kRecordingsLimit, [this] { return services_->is_settled(); });
  if (services_->recordings().running() > 0) spdlog::error("{} recordings were not completed in time", services_->recordings().running());
  services_->close_all("The server is going down.");
  directory_->close_all("The server is going down.");
  const auto farewell = [this] { return http_->websockets() == 0; };
  co_await wait_until(kFarewellLimit, farewell);
  control_.stop();
}

void Application::run() {
  asio::co_spawn(control_, wait_for_signal(), asio::detached);
  asio::co_spawn(control_, reload_on_signal(), asio::detached);
  control_.run();
  for (auto& worker : workers_) worker->stop();
  services_->recordings().stop_writers();
  spdlog::info("down");
}

}  // namespace

int serve(const ServeConfig& config) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGIO, SIG_IGN);  // sent where somebody opens a file that is_open_for_writing looks at
  Application application(config);
  if (const auto started = application.start(); !started) {
    std::cerr << "amphi-server: " << started.error().message << std::endl;
    return 1;
  }
  application.run();
  return 0;
}

}  // namespace amphi::server
