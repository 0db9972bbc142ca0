#include "server/application.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "server/export_workshop.h"
#include "server/http_server.h"
#include "server/metrics.h"
#include "server/recording_repair.h"
#include "server/recording_routes.h"
#include "server/services_hub.h"
#include "server/signalling.h"

namespace amphi::server {
namespace {

namespace asio = boost::asio;

constexpr Duration kRecordingsLimit = 10s;
constexpr Duration kFarewellLimit = 2s;
constexpr std::int64_t kDevTokenSeconds = 24 * 3600;

class Application {
 public:
  explicit Application(const ServeConfig& config)
      : config_(config), catalogue_(std::filesystem::absolute(config.recordings).lexically_normal().string()) {}

  Result<void> start();
  void run();

 private:
  Result<void> prepare_key();
  Result<void> start_workers();
  std::vector<Address> listen_addresses() const;
  std::vector<Address> media_addresses() const;
  HttpRoutes::Parts routes();
  Result<void> announce();
  asio::awaitable<std::string> metrics();
  asio::awaitable<void> wait_for_signal();
  asio::awaitable<void> go_down();
  template <class Done>
  asio::awaitable<void> wait_until(Duration limit, Done done);

  const ServeConfig config_;
  asio::io_context control_{1};
  asio::signal_set signals_{control_, SIGINT, SIGTERM};
  runtime::SystemRandom random_;
  Counters<Drop> drops_;
  Bytes key_;
  const RestRoutes::Verify verify_ = [this](std::string_view token) { return verify_token(token, key_, runtime::wall_now()); };
  const RestRoutes::Verify verify_but_expiry_ = [this](std::string_view token) { return read_token(token, key_); };
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
};

Result<void> Application::prepare_key() {
  if (config_.key_file.empty()) {  // --dev: config.cpp takes nothing else without a key
    key_.resize(32);
    random_.fill(key_);
    return {};
  }
  auto key = read_key_file(config_.key_file);
  if (!key) return tl::unexpected(key.error());
  key_ = std::move(*key);
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

Result<void> Application::start_workers() {
  auto certificate = dtls::Certificate::generate();
  if (!certificate) return tl::unexpected(certificate.error());
  const unsigned count = config_.workers > 0 ? config_.workers : std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < count; ++i) {
    auto addresses = media_addresses();
    if (addresses.empty()) return fail(ErrorCode::invalid_argument, "no network interface is up: name one with --media-address");
    for (auto& address : addresses)
      address.port = config_.media_port == 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(config_.media_port + i);
    auto worker = MediaWorker::create(i, addresses, *certificate, control_, [this](const SessionId& session, sfu::Event event) {
      directory_->handle_event(session, std::move(event));
    }, std::chrono::seconds(config_.recording_pre_roll_seconds));
    if (!worker) return tl::unexpected(worker.error());
    workers_.push_back(std::move(*worker));
  }
  return {};
}

HttpRoutes::Parts Application::routes() {
  HttpRoutes::Parts parts;
  parts.web = config_.web;
  parts.allow_autopublish = config_.allow_autopublish;
  parts.rest = &rest_;
  parts.drops = &drops_;
  parts.metrics = [this] { return metrics(); };
  parts.signalling = [this](std::shared_ptr<WebSocketConnection> connection, SessionId session) {
    return signalling_->run(std::move(connection), std::move(session));
  };
  parts.services = [this](std::shared_ptr<WebSocketConnection> connection, SessionId session) {
    return services_->run(std::move(connection), std::move(session));
  };
  return parts;
}

Result<void> Application::start() {
  if (auto ready = prepare_key(); !ready) return ready;
  if (auto ready = runtime::create_folders(catalogue_.root()); !ready) return ready;
  if (!config_.web.empty() && !std::filesystem::is_regular_file(config_.web + "/index.html"))
    return fail(ErrorCode::not_found, "--web " + config_.web + " has no index.html");
  auto safe = Safe::open(config_.recording_signing_key, config_.recording_key);
  if (!safe) return tl::unexpected(safe.error());
  safe_ = std::move(*safe);
  const RepairSummary repaired = repair_recordings(catalogue_.root(), safe_);
  sweep_workshops(catalogue_.root());
  directory_ = std::make_unique<SessionDirectory>(control_, workers_, key_, random_, drops_);
  if (auto ready = start_workers(); !ready) return ready;
  const unsigned writers = std::max(1u, std::min(4u, std::thread::hardware_concurrency()));
  const Recordings::Options recordings{writers, config_.recording_reserve_mb * 1'000'000, std::chrono::seconds(config_.recording_pre_roll_seconds)};
  services_ = std::make_unique<ServicesHub>(control_, *directory_, catalogue_, reader_, safe_, recordings, verify_but_expiry_, random_, drops_);
  for (const auto& folder : repaired.incomplete) services_->recordings().complete_later(folder);
  auto index = CatalogueIndex::open(catalogue_.root());
  if (!index) return tl::unexpected(index.error());
  index_ = std::make_unique<CatalogueService>(control_, std::move(*index), config_.recording_retention_days);
  services_->on_recording_changed([this](const SessionId& session, const RecordingId& id) { index_->refresh(session, id); });
  exports_ = std::make_unique<ExportJobs>(control_, random_, std::filesystem::read_symlink("/proc/self/exe").string(), config_.recording_key, config_.recording_reserve_mb);
  const RecordingParts parts{catalogue_, *index_, sealed_files_, reader_, *services_, *exports_};
  add_recording_routes(rest_, parts);
  add_live_routes(rest_, parts);
  add_export_routes(rest_, parts);
  signalling_ = std::make_unique<Signalling>(*directory_, verify_but_expiry_, drops_);
  routes_ = std::make_unique<HttpRoutes>(routes());
  auto http = HttpServer::listen(control_, listen_addresses(), config_.tls_cert, config_.tls_key,
                                 *routes_, drops_);
  if (!http) return tl::unexpected(http.error());
  http_ = std::move(*http);
  http_->start();
  return announce();
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
  if (config_.dev) {
    AccessToken guest{SessionId("demo"), "guest", {true, true, true}, runtime::wall_now().unix_ms / 1000 + kDevTokenSeconds, ""};
    const auto token = make_token(guest, key_);
    if (!token) return tl::unexpected(token.error());
    const std::string link = url + "/s/demo#token=" + *token;
    ready["link"] = link;
    ready["key"] = to_hex(key_);
    std::cout << "Ready: " << link << std::endl;
  }
  if (config_.ready_file.empty()) return {};
  return runtime::replace_file(config_.ready_file, as_bytes(ready.dump() + "\n"));
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
  input.recordings_failed = services_->recordings().failed();
  input.drops = drops_;
  input.services_drops = services_->protocol_drops();
  co_return metrics_text(input);
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
  control_.run();
  for (auto& worker : workers_) worker->stop();
  services_->recordings().stop_writers();
  spdlog::info("down");
}

}  // namespace

int serve(const ServeConfig& config) {
  std::signal(SIGPIPE, SIG_IGN);
  Application application(config);
  if (const auto started = application.start(); !started) {
    std::cerr << "amphi-server: " << started.error().message << std::endl;
    return 1;
  }
  application.run();
  return 0;
}

}  // namespace amphi::server
