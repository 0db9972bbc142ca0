#include "runtime/lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <optional>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>

#include "runtime/clock.h"
#include "runtime/file_writer.h"

namespace amphi::runtime {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(10);
constexpr Duration kWriting = std::chrono::milliseconds(200);  // between a new holder's lock and its name in the file
constexpr std::size_t kMaxText = 4096;

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

/// When the process started, in the kernel's ticks: with the number it names one process. Empty: there is none.
std::string start_of(long pid) {
  auto stat = read_file("/proc/" + std::to_string(pid) + "/stat", kMaxText);
  const auto name_end = stat ? stat->rfind(')') : std::string::npos;
  if (name_end == std::string::npos) return {};
  std::istringstream fields(stat->substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22 && fields >> field; ++i) {}  // proc(5): the 22nd is the start time
  return fields ? field : std::string();
}

std::string utc_now() {
  const std::time_t seconds = wall_now().unix_ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

/// As the file has it, tab-separated.
struct Holder {
  std::string program, since, started, host;
  long pid = 0;
};

std::string text_of_this_process() {
  return std::string(program_invocation_short_name) + "\t" + std::to_string(::getpid()) + "\t" + utc_now() + "\t" + start_of(::getpid()) + "\t" + host_name() + "\n";
}

std::optional<Holder> read_holder(const std::string& path) {
  const auto text = read_file(path, kMaxText);
  if (!text || text->empty() || text->back() != '\n') return std::nullopt;
  std::istringstream line(*text);
  Holder holder;
  std::string pid;
  std::getline(line, holder.program, '\t');
  std::getline(line, pid, '\t');
  std::getline(line, holder.since, '\t');
  std::getline(line, holder.started, '\t');
  std::getline(line, holder.host);
  holder.pid = std::strtol(pid.c_str(), nullptr, 10);
  return holder.pid > 0 && !holder.since.empty() ? std::optional(holder) : std::nullopt;
}

bool is_alive(const Holder& holder) { return holder.host == host_name() && !holder.started.empty() && start_of(holder.pid) == holder.started; }

tl::unexpected<Error> words(ErrorCode code, const std::string& path, int error) {
  return fail(code, path + ": " + std::generic_category().message(error));
}

/// 0, or errno.
int set_lock(int fd) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  while (::fcntl(fd, F_OFD_SETLK, &whole) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

/// A holder may have removed the file, and another process made it anew.
bool is_at(const std::string& path, int fd) {
  struct stat opened {}, there {};
  return ::fstat(fd, &opened) == 0 && ::lstat(path.c_str(), &there) == 0 && opened.st_ino == there.st_ino && opened.st_dev == there.st_dev;
}

void write_holder(int fd) {
  const std::string text = text_of_this_process();
  // A full disk has no room for it: the lock counts all the same.
  if (::ftruncate(fd, 0) == 0) [[maybe_unused]] const auto written = ::pwrite(fd, text.data(), text.size(), 0);
}

}  // namespace

Result<LockFile> LockFile::take(const std::string& path, Duration patience) {
  const Time until = now() + patience;
  while (true) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) return words(errno == ENOENT ? ErrorCode::not_found : ErrorCode::storage, path, errno);
    const int error = set_lock(fd);
    if (error == 0 && is_at(path, fd)) {
      make_private(fd);
      write_holder(fd);
      return LockFile(fd);
    }
    ::close(fd);
    const bool held = error == EAGAIN || error == EACCES;
    if (error != 0 && !held) return words(ErrorCode::unsupported, path + " cannot be locked on this file system", error);
    if (held && now() >= until) return fail(ErrorCode::invalid_state, lock_holder(path));
    std::this_thread::sleep_for(kLookEvery);
  }
}

LockFile::LockFile(LockFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

LockFile::~LockFile() {
  if (fd_ < 0) return;
  [[maybe_unused]] const int emptied = ::ftruncate(fd_, 0);
  ::close(fd_);
}

std::string lock_holder(const std::string& path) {
  auto holder = read_holder(path);
  for (const Time until = now() + kWriting; (!holder || !is_alive(*holder)) && now() < until; holder = read_holder(path))
    std::this_thread::sleep_for(kLookEvery);
  if (!holder) return "another process, which has not written its name into " + path;
  std::string text = holder->program + " (process " + std::to_string(holder->pid) + "), since " + holder->since;
  if (holder->host != host_name()) text += ", on the machine " + holder->host;
  else if (!is_alive(*holder)) text += ", by " + path + "; no such process is visible here (is it in another container?)";
  return text;
}

}  // namespace amphi::runtime
