#include "faults.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio.hpp>
#include <chrono>
#include <fstream>
#include <list>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

extern char** environ;

namespace amphi::end_to_end {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using asio::ip::tcp;

UdpLoss::UdpLoss(int percent, Of what) {
  std::string some = percent >= 100 ? "" : "numgen random mod 100 < " + std::to_string(percent);
  if (what == Of::dtls) some += " @th,64,8 20-63";  // the first byte of the payload (RFC 7983 7)
  const std::string rules = "table inet amphi_test { chain input { type filter hook input priority 0; meta l4proto udp " + some + " drop; }; }";
  const auto result = run_command({"nft", rules});
  if (result.status != 0) throw std::runtime_error("nft: " + result.out);
}
UdpLoss::~UdpLoss() { run_command({"nft", "delete", "table", "inet", "amphi_test"}); }

Dropped::Dropped(const std::string& rule) {
  static int number = 0;
  table_ = "amphi_dropped_" + std::to_string(++number);
  const auto result = run_command({"nft", "table inet " + table_ + " { chain input { type filter hook input priority 0; " + rule + " drop; }; }"});
  if (result.status != 0) throw std::runtime_error("nft: " + result.out);
}
Dropped::~Dropped() { run_command({"nft", "delete", "table", "inet", table_}); }

namespace {

struct Connection : std::enable_shared_from_this<Connection> {
  Connection(tcp::socket client_in, asio::io_context& io) : client(std::move(client_in)), server(io) {}
  void close() {
    boost::system::error_code ignored;
    client.close(ignored);
    server.close(ignored);
  }
  tcp::socket client, server;
  std::array<char, 16384> up{}, down{};
  std::string head, path;
};

}  // namespace

struct Relay::Impl {
  explicit Impl(int port) : server_port(port), acceptor(io, {asio::ip::address_v4::loopback(), 0}) {
    accept();
    thread = std::thread([this] { io.run(); });
  }
  ~Impl() {
    io.stop();
    thread.join();
  }

  void accept() {
    acceptor.async_accept([this](boost::system::error_code error, tcp::socket socket) {
      if (error) return;
      auto connection = std::make_shared<Connection>(std::move(socket), io);
      connections.push_back(connection);
      read_head(connection);
      accept();
    });
  }
  void read_head(const std::shared_ptr<Connection>& c) {
    c->client.async_read_some(asio::buffer(c->up), [this, c](boost::system::error_code error, std::size_t n) {
      if (error) return c->close();
      c->head.append(c->up.data(), n);
      const auto end = c->head.find("\r\n");
      if (end == std::string::npos) return read_head(c);
      const auto from = c->head.find(' ') + 1;
      c->path = c->head.substr(from, c->head.find(' ', from) - from);
      if (matches(blocked, c->path)) return c->close();
      ++relayed[c->path];
      c->server.async_connect({asio::ip::address_v4::loopback(), static_cast<unsigned short>(server_port)}, [this, c](boost::system::error_code failed) {
        if (failed) return c->close();
        asio::async_write(c->server, asio::buffer(c->head), [this, c](boost::system::error_code e, std::size_t) {
          if (e) return c->close();
          pump(c, c->client, c->server, c->up, false);
          pump(c, c->server, c->client, c->down, true);
        });
      });
    });
  }
  void pump(const std::shared_ptr<Connection>& c, tcp::socket& from, tcp::socket& to, std::array<char, 16384>& buffer, bool downwards) {
    from.async_read_some(asio::buffer(buffer), [this, c, &from, &to, &buffer, downwards](boost::system::error_code error, std::size_t n) {
      if (frozen) return;
      if (error) return c->close();
      if (downwards && !lie_from.empty()) {
        const auto end = buffer.begin() + static_cast<std::ptrdiff_t>(n);
        for (auto at = buffer.begin(); (at = std::search(at, end, lie_from.begin(), lie_from.end())) != end;) at = std::copy(lie_to.begin(), lie_to.end(), at);
      }
      asio::async_write(to, asio::buffer(buffer, n), [this, c, &from, &to, &buffer, downwards](boost::system::error_code e, std::size_t) {
        if (e) return c->close();
        pump(c, from, to, buffer, downwards);
      });
    });
  }
  static bool matches(const std::vector<std::string>& suffixes, const std::string& path) {
    return std::any_of(suffixes.begin(), suffixes.end(), [&](const auto& suffix) { return path.ends_with(suffix); });
  }
  /// Runs on the relay's thread, and waits for it.
  void run(auto task) { asio::post(io, asio::use_future(std::move(task))).get(); }

  int server_port;
  asio::io_context io;
  tcp::acceptor acceptor;
  std::list<std::shared_ptr<Connection>> connections;
  std::vector<std::string> blocked;
  std::map<std::string, int> relayed;
  std::string lie_from, lie_to;
  bool frozen = false;
  std::thread thread;
};

Relay::Relay(int server_port) : impl_(std::make_unique<Impl>(server_port)) {}
Relay::~Relay() = default;
int Relay::port() const { return impl_->acceptor.local_endpoint().port(); }

void Relay::cut(const std::string& suffix) {
  impl_->run([&] {
    for (auto& connection : impl_->connections)
      if (connection->path.ends_with(suffix)) connection->close();
  });
}
void Relay::block(const std::string& suffix, bool on) {
  impl_->run([&] {
    if (on) impl_->blocked.push_back(suffix);
    else std::erase(impl_->blocked, suffix);
  });
}
void Relay::freeze() {
  impl_->run([&] { impl_->frozen = true; });
}
int Relay::count(const std::string& suffix) const {
  int sum = 0;
  impl_->run([&] {
    for (const auto& [path, n] : impl_->relayed)
      if (path.ends_with(suffix)) sum += n;
  });
  return sum;
}
void Relay::falsify(std::string from, std::string to) {
  impl_->run([&] {
    impl_->lie_from = std::move(from);
    impl_->lie_to = std::move(to);
  });
}

ThreadFault::ThreadFault(pid_t server, const std::string& threads, const std::string& injection) {
  for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(server) + "/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    if (!name.starts_with(threads)) continue;
    const std::string thread = task.path().filename();
    const std::string log = (folder_.path() / thread).string();
    std::vector<std::string> arguments{"strace", "-qq", "-p", thread, "-o", log, "-e", "trace=" + injection.substr(0, injection.find(':')), "-e", "inject=" + injection};
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_t tracer = -1;
    if (posix_spawnp(&tracer, argv[0], nullptr, nullptr, argv.data(), environ) != 0) throw std::runtime_error("cannot start strace");
    tracers_.push_back(tracer);
    std::string status;
    const auto attached = [&] {
      std::ifstream file(task.path() / "status");
      for (std::string line; std::getline(file, line);)
        if (line.starts_with("TracerPid:")) return line.find_first_of("123456789") != std::string::npos;
      return false;
    };
    for (int i = 0; i < 500 && !attached(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (!attached()) throw std::runtime_error("strace cannot attach to " + name);
  }
  if (tracers_.empty()) throw std::runtime_error("the server has no thread " + threads);
}

ThreadFault::~ThreadFault() {
  for (const pid_t tracer : tracers_) {
    kill(tracer, SIGTERM);  // it detaches
    waitpid(tracer, nullptr, 0);
  }
}

int ThreadFault::injected() const {
  int count = 0;
  for (const auto& log : fs::directory_iterator(folder_.path())) {
    std::ifstream file(log.path());
    for (std::string line; std::getline(file, line);) count += line.find("(INJECTED)") != std::string::npos || line.find("(DELAYED)") != std::string::npos;
  }
  return count;
}

}  // namespace amphi::end_to_end
