#include "other_machine.h"

#include <unistd.h>

#include <cstdlib>

#include "server_process.h"

namespace amphi::end_to_end {

void shell(const std::string& commands) {
  if (std::system(("set -e; " + commands).c_str()) != 0) throw std::runtime_error("failed: " + commands);
}

OtherMachine::OtherMachine() {
  std::thread([this] {
    if (unshare(CLONE_NEWNET) != 0) return;
    namespace_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    made_ = std::system(("ip link set lo up && ip link add there0 type veth peer name here0 netns " + std::to_string(getpid()) +
                         " && ip addr add 10.88.0.2/24 dev there0 && ip addr add fd88::2/64 dev there0 nodad && ip link set there0 up").c_str()) == 0;
  }).join();
  if (!made_) throw std::runtime_error("cannot make a network namespace (run as root)");
  shell("ip addr add 10.88.0.1/24 dev here0; ip addr add 10.88.0.3/24 dev here0; ip addr add fd88::1/64 dev here0 nodad; ip link set here0 up");
}

OtherMachine::~OtherMachine() {
  run_command({"ip", "link", "del", "here0"});
  close(namespace_);
}

void OtherMachine::leave_network() {
  run([] { shell("ip addr flush dev there0 scope global"); });
}

void OtherMachine::join_network(const std::string& address) {
  run([&] { shell("ip addr add " + address + " dev there0"); });
}

}  // namespace amphi::end_to_end
