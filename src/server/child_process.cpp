#include "server/child_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace amphi::server {
namespace {

constexpr int kLookMs = 100;
constexpr std::size_t kLastWords = 2000;
constexpr auto kMayTake = std::chrono::seconds(5);  // to end when told

struct Pipe {
  int read = -1, write = -1;
  bool open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read = ends[0], write = ends[1];
    return true;
  }
  void close_end(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
  ~Pipe() {
    close_end(read);
    close_end(write);
  }
};

/// Between fork and exec: nothing but system calls.
[[noreturn]] void become(char* const* argv, int out, int err, int failed) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setpriority(PRIO_PROCESS, 0, 19);
  const int nothing = ::open("/dev/null", O_RDONLY);
  dup2(nothing, 0);
  dup2(out, 1);
  dup2(err, 2);
  // A Ctrl-C in the terminal is for us; we tell the child.
  setpgid(0, 0);
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  signal(SIGPIPE, SIG_DFL);
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // our sockets and files are not its: it may outlive us by a moment
  execvp(argv[0], argv);
  const int error = errno;
  [[maybe_unused]] const auto told = ::write(failed, &error, sizeof error);
  _exit(127);
}

/// Gives whole lines; keeps the rest.
void take_lines(std::string& buffer, const std::function<void(std::string_view)>& on_line) {
  std::size_t begin = 0;
  for (std::size_t end; (end = buffer.find('\n', begin)) != std::string::npos; begin = end + 1)
    on_line(std::string_view(buffer).substr(begin, end - begin));
  buffer.erase(0, begin);
}

/// False: the end.
bool take(int fd, std::string& buffer) {
  char data[4096];
  const ssize_t n = ::read(fd, data, sizeof data);
  if (n <= 0) return n < 0 && errno == EINTR;
  buffer.append(data, static_cast<std::size_t>(n));
  return true;
}

int wait_for_end(pid_t pid, bool told, std::chrono::steady_clock::time_point until) {
  int status = 0;
  while (waitpid(pid, &status, told ? WNOHANG : 0) != pid) {
    if (told && std::chrono::steady_clock::now() > until) kill(pid, SIGKILL);
    if (told) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return status;
}

}  // namespace

Result<void> run_child(const std::vector<std::string>& arguments, const Cancelled& cancelled, const std::function<void(std::string_view)>& on_line) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  Pipe out, err, failed;
  if (!out.open() || !err.open() || !failed.open()) return fail(ErrorCode::internal, std::string("pipe: ") + std::strerror(errno));
  const pid_t pid = fork();
  if (pid < 0) return fail(ErrorCode::internal, std::string("fork: ") + std::strerror(errno));
  if (pid == 0) become(argv.data(), out.write, err.write, failed.write);
  out.close_end(out.write);
  err.close_end(err.write);
  failed.close_end(failed.write);

  std::string lines, words;
  bool told = false;
  std::chrono::steady_clock::time_point until;
  while (out.read >= 0 || err.read >= 0) {
    if (!told && cancelled.load()) {
      told = true;
      until = std::chrono::steady_clock::now() + kMayTake;
      kill(pid, SIGTERM);
    }
    if (told && std::chrono::steady_clock::now() > until) kill(pid, SIGKILL);  // it is deaf
    pollfd fds[2] = {{out.read, POLLIN, 0}, {err.read, POLLIN, 0}};
    if (poll(fds, 2, kLookMs) < 0 && errno != EINTR) break;
    if (fds[0].revents != 0) {
      if (!take(out.read, lines)) out.close_end(out.read);
      take_lines(lines, on_line);
    }
    if (fds[1].revents != 0 && !take(err.read, words)) err.close_end(err.read);
    if (words.size() > 2 * kLastWords) words.erase(0, words.size() - kLastWords);
  }
  const int status = wait_for_end(pid, told, until);
  int error = 0;
  if (::read(failed.read, &error, sizeof error) == sizeof error)
    return fail(ErrorCode::not_found, arguments[0] + ": " + std::strerror(error) + " (is it installed?)");
  if (cancelled.load()) return fail(ErrorCode::internal, "cancelled");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (words.size() > kLastWords) words.erase(0, words.size() - kLastWords);
  while (!words.empty() && words.back() == '\n') words.pop_back();
  const std::string how = WIFSIGNALED(status) ? "ended by signal " + std::to_string(WTERMSIG(status)) : "status " + std::to_string(WEXITSTATUS(status));
  return fail(ErrorCode::internal, arguments[0] + " failed (" + how + "): " + words);
}

}  // namespace amphi::server
