// Every end-to-end test runs in a network namespace of its own: ports never collide, packet loss hits nobody else, and
// nothing can reach beyond this machine's loopback. Needs root, or a kernel that lets users make namespaces.
#include <gtest/gtest.h>
#include <sched.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
    std::perror("end_to_end: cannot make a network namespace (run as root)");
    return 1;
  }
  if (std::system("ip link set lo up") != 0) {
    std::fputs("end_to_end: cannot bring the namespace's loopback up (is iproute2 installed?)\n", stderr);
    return 1;
  }
  return RUN_ALL_TESTS();
}
