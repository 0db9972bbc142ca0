// Every end-to-end test runs in a network namespace of its own: ports never collide, packet loss hits nobody else, and
// nothing can reach beyond this machine's loopback. Needs root, or a kernel that lets users make namespaces: they are root in their own
// then, which is enough for all but real disks.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "main.h"

namespace {

/// As root in a user namespace of one's own: `ip` and `nft` take it for that.
bool become_root_of_a_namespace() {
  const std::string uid = std::to_string(getuid()), gid = std::to_string(getgid());
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) != 0) return false;
  std::ofstream("/proc/self/setgroups") << "deny";
  return static_cast<bool>(std::ofstream("/proc/self/uid_map") << "0 " + uid + " 1" << std::flush) &&
         static_cast<bool>(std::ofstream("/proc/self/gid_map") << "0 " + gid + " 1" << std::flush);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  if (const auto run = amphi::end_to_end::run_instead_of_tests)
    if (const auto status = run(argc, argv)) return *status;
  ::testing::InitGoogleTest(&argc, argv);
  if (unshare(CLONE_NEWNET) != 0 && !become_root_of_a_namespace()) {
    std::perror("end_to_end: cannot make a network namespace (run as root)");
    return 1;
  }
  if (std::system("ip link set lo up") != 0) {
    std::fputs("end_to_end: cannot bring the namespace's loopback up (is iproute2 installed?)\n", stderr);
    return 1;
  }
  return RUN_ALL_TESTS();
}
