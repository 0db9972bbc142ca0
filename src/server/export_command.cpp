#include "server/export_command.h"

#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "server/export_job.h"

namespace amphi::server {
namespace {

Cancelled cancelled{false};  // a signal's handler has nothing else to reach it by

std::function<void(double)> shows(const ExportConfig& config) {
  if (config.progress_json)
    return [last = -1](double done) mutable {
      const int promille = static_cast<int>(done * 1000);
      if (promille == last) return;
      last = promille;
      std::cout << "{\"progress\": " << static_cast<double>(promille) / 1000 << "}" << std::endl;
    };
  const bool bar = ::isatty(STDERR_FILENO) == 1;
  return [last = -1, bar](double done) mutable {
    const int percent = static_cast<int>(done * 100);
    if (percent == last || (!bar && percent / 10 == last / 10 && last >= 0)) return;
    last = percent;
    if (!bar) {
      std::fprintf(stderr, "exporting: %d %%\n", percent);
      return;
    }
    const std::string full(static_cast<std::size_t>(percent) * 40 / 100, '#'), empty(40 - full.size(), '.');
    std::fprintf(stderr, "\r  exporting [%s%s] %3d %%", full.c_str(), empty.c_str(), percent);
  };
}

/// Whoever closes the terminal, or asks, leaves nothing half done behind: not what was decrypted, either.
void end_when_told() {
  struct sigaction action {};
  action.sa_handler = [](int) { cancelled.store(true); };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (signal != SIGHUP || before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);  // nohup
  }
  ::signal(SIGPIPE, SIG_IGN);  // who reads the progress may go
}

}  // namespace

int export_recording(const ExportConfig& config) {
  const auto complain = [&config](const Error& why, int status) {
    if (config.progress_json) std::cout << nlohmann::json{{"error", wire_name(why.code)}}.dump() << std::endl;
    std::cerr << "amphi-server export: " << why.message << std::endl;
    return status;
  };
  spdlog::set_default_logger(spdlog::stderr_logger_mt("export"));  // what is printed is the answer
  end_when_told();
  setpriority(PRIO_PROCESS, 0, 19);  // a server that records comes first

  ExportOrder order;
  std::string folder = std::filesystem::path(config.folder).lexically_normal().string();
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  order.folders = {folder};
  if (config.session) {
    auto all = finished_recordings(folder);
    if (!all) return complain(all.error(), 2);
    order.folders = std::move(*all);
  }
  order.of_session = config.of_session;
  if (config.session && order.of_session.empty()) order.of_session = std::filesystem::absolute(folder).filename().string();
  order.tracks = config.tracks;
  order.range.from_ms = std::llround(config.from_seconds * 1000);
  if (config.to_seconds) order.range.to_ms = std::llround(*config.to_seconds * 1000);
  order.output = config.output;
  order.reserve = config.reserve_mb * 1'000'000;
  const auto safe = Safe::open("", config.recording_key);
  if (!safe) return complain(safe.error(), 2);
  const auto result = run_export(order, *safe, cancelled, shows(config));
  if (!config.progress_json && ::isatty(STDERR_FILENO) == 1) std::fputs("\r\033[K", stderr);
  if (!result) {
    // What is in place, or was there, stays: then it is no failure, whenever the signal came.
    if (cancelled.load() && result.error().code == ErrorCode::internal) return complain({ErrorCode::internal, "cancelled; nothing is left of it"}, 130);
    const bool began = result.error().code == ErrorCode::internal || result.error().code == ErrorCode::storage;
    return complain(result.error(), began ? 1 : 2);
  }
  if (config.json || config.progress_json)
    std::cout << nlohmann::ordered_json{{"output", result->output}, {"fromMs", result->from_ms}, {"durationMs", result->duration_ms}, {"wasThere", result->was_there}}.dump() << std::endl;
  else
    std::cout << result->output << (result->was_there ? " (was there already)" : "") << std::endl;
  return 0;
}

}  // namespace amphi::server
