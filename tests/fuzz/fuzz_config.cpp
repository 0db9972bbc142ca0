// The configuration file: any text is a configuration or an error that says what is wrong.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "server/config.h"

using namespace amphi;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int file = ::memfd_create("config", MFD_CLOEXEC);
  fuzz::require(file >= 0 && ::write(file, data, size) == static_cast<ssize_t>(size), "the input becomes a file");
  const auto command = server::parse_command({"serve", "--config", "/proc/self/fd/" + std::to_string(file)});
  ::close(file);
  if (const auto* exit = std::get_if<server::Exit>(&command)) fuzz::require(exit->status != 0 && !exit->text.empty(), "a refusal has a reason");
  return 0;
}
