#include "small_disk.h"

#include <fcntl.h>
#include <linux/ioctl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace amphi::end_to_end {
namespace {

namespace fs = std::filesystem;

// FIFREEZE and FS_IOC_SHUTDOWN: Debian 12's <linux/fs.h> does not go with its <sys/mount.h>, and does not name the second.
constexpr unsigned long kFreeze = _IOWR('X', 119, int), kShutdown = _IOR('X', 125, std::uint32_t);

void must(bool done, const std::string& what) {
  if (!done) throw std::runtime_error(what + ": " + std::strerror(errno));
}

std::string must_run(const std::vector<std::string>& arguments) {
  const auto result = run_command(arguments);
  if (result.status != 0) throw std::runtime_error(arguments[0] + ": " + result.out);
  return result.out;
}

/// Once for the process; the servers that it starts inherit it.
void enter_own_mount_namespace() {
  static const bool entered = [] {
    must(unshare(CLONE_NEWNS) == 0, "cannot make a mount namespace (run as root)");
    must(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "cannot make the mounts private");
    return true;
  }();
  (void)entered;
}

}  // namespace

bool SmallDisk::can_be(Kind kind) {
  std::uint64_t inside = 0, outside = 0, count = 0;
  std::ifstream("/proc/self/uid_map") >> inside >> outside >> count;
  return kind == Kind::tmpfs || count > 1;  // mounting a disk takes the machine's root, not that of a namespace
}

SmallDisk::SmallDisk(Kind kind, int megabytes) : kind_(kind), megabytes_(megabytes), path_(folder_.path() / "disk"), image_(folder_.path() / "image") {
  enter_own_mount_namespace();
  fs::create_directory(path_);
  if (kind_ == Kind::ext4) {
    std::ofstream(image_).flush();
    fs::resize_file(image_, static_cast<std::uintmax_t>(megabytes_) << 20);
    must_run({"mkfs.ext4", "-q", "-F", image_.string()});
  }
  mount();
}

SmallDisk::~SmallDisk() {
  if (mounted_) umount2(path_.c_str(), MNT_DETACH);
}

void SmallDisk::mount() {
  if (kind_ == Kind::ext4) {
    must_run({"mount", "-o", "loop,errors=remount-ro", image_.string(), path_.string()});
  } else {
    const std::string size = "size=" + std::to_string(megabytes_) + "m";
    must(::mount("none", path_.c_str(), "tmpfs", 0, size.c_str()) == 0, "cannot mount a tmpfs");
  }
  mounted_ = true;
}

std::uint64_t SmallDisk::free_bytes() const {
  struct statvfs found {};
  must(statvfs(path_.c_str(), &found) == 0, path_.string());
  return std::uint64_t{found.f_bavail} * found.f_frsize;
}

void SmallDisk::fill(std::uint64_t left) {
  const int file = ::open((path_ / "filler").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  must(file >= 0, "filler");
  const std::vector<char> piece(4096, 'x');
  while (free_bytes() > left && ::write(file, piece.data(), piece.size()) > 0) {
  }
  ::close(file);
}

void SmallDisk::make_room() { must(fs::remove(path_ / "filler"), "filler"); }

void SmallDisk::become_read_only() {
  std::string device = must_run({"findmnt", "-n", "-o", "SOURCE", path_.string()});
  device = fs::path(device.substr(0, device.find_last_not_of(" \n") + 1)).filename();
  std::ofstream trigger("/sys/fs/ext4/" + device + "/trigger_fs_error");
  trigger << "the test says so\n" << std::flush;
  must(trigger.good(), "trigger_fs_error of " + device);
}

void SmallDisk::fail() {
  std::uint32_t without_flush = 2;
  const int folder = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int done = ioctl(folder, kShutdown, &without_flush);
  ::close(folder);
  must(done == 0, "FS_IOC_SHUTDOWN");
}

std::future<void> SmallDisk::freeze(int seconds) {
  const int folder = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int frozen = ioctl(folder, kFreeze, 0);
  ::close(folder);
  must(frozen == 0, "FIFREEZE");
  // In a process of its own, so that it thaws whatever becomes of the test.
  return std::async(std::launch::async, [path = path_.string(), seconds] { must_run({"sh", "-c", "sleep " + std::to_string(seconds) + "; fsfreeze -u " + path}); });
}

void SmallDisk::pull_out() {
  must(umount2(path_.c_str(), MNT_DETACH) == 0, "umount");
  mounted_ = false;
}

void SmallDisk::put_back() { mount(); }

void SmallDisk::mend() {
  must(umount2(path_.c_str(), 0) == 0, "umount");
  mounted_ = false;
  const auto checked = run_command({"e2fsck", "-fy", image_.string()});
  if (checked.status > 1) throw std::runtime_error("e2fsck: " + checked.out);
  mount();
}

}  // namespace amphi::end_to_end
