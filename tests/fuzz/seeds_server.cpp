// Seeds of the targets that read what clients, browsers and operators write.
#include <nlohmann/json.hpp>

#include "tests/fuzz/seeds.h"

using namespace amphi;

namespace amphi::fuzz {

void add_session(Seeds& seeds) {
  const auto step = [](std::initializer_list<int> values, std::string text = {}) {
    std::string out;
    for (const int value : values) out += static_cast<char>(value);
    return out + text;
  };
  const std::string keyframe = step({0x90, 0x80, 0x81, 0x02, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01, 1, 2});
  const std::string media = step({11, 2}, keyframe) + step({27, 2}, keyframe) + step({10, 0x0b, 0xb8});
  seeds.add("session", media + media + step({8, 2}) + media + step({0, 20}) + media + step({1, 2}));
  seeds.add("session", step({2, 0, 30, 5, 1, 0x15, 0, 0, 30}) + media + step({6, 1, 1, 7, 3, 2, 0, 50}));
  seeds.add("session", step({3, 2}, "v=0\r\no=- 1 1 IN") + step({4, 1, 1}, "v=0\r\n   ") + step({9, 2, 1, 0, 1, 0, 0, 0, 0, 0, 0}) + step({0x27, 3, 0, 10}));
}

void add_server(Seeds& seeds) {
  std::string everything;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(AMPHI_SOURCE_DIR) / "protocol/signalling")) {
    if (entry.path().string().find(".examples.json") == std::string::npos) continue;
    const auto examples = nlohmann::json::parse(std::ifstream(entry.path()));
    for (const char* kind : {"valid", "invalid"})
      for (const auto& example : examples.value(kind, nlohmann::json::array())) everything += example.dump() + "\n";
  }
  seeds.add("signalling", everything);

  const std::string claims = R"({"session":"theatre-1","identity":"surgeon","grants":["publish","subscribe","record"],"exp":1795000100,"name":"Dr. A"})";
  seeds.add("tokens", "\x01" + claims);
  seeds.add("tokens", std::string("\x03") + R"({"alg":"HS256","typ":"JWT"})" + "\n" + claims);
  seeds.add("tokens", std::string("\x03") + R"({"alg":"none"})" + "\n" + claims);
  seeds.add("tokens", std::string(1, '\0') + "eyJhbGciOiJIUzI1NiJ9.e30.AAAA");
  seeds.add("resume_tokens", std::string("\x01\x02\x41nurse"));
  seeds.add("resume_tokens", std::string(1, '\0') + "par_1.x.y.z");

  const std::string length("\x10\x00", 2);
  seeds.add("http", length + "GET /v1/sessions/s1/recordings/rec_1/video-01.webm?access_token=a%2Eb HTTP/1.1\r\nHost: a\r\nRange: bytes=0-99\r\n\r\n");
  seeds.add("http", length + "POST /v1/sessions/s1/recording HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n{\"on\":true}");
  seeds.add("http", length + "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  seeds.add("http", length + "bytes=-500");
  seeds.add("http", length + "/s/%2e%2e/%2fetc");
  seeds.add("config", std::string("port = 7880\nlisten = [\"127.0.0.1\", \"::1\"]\nrecordings = \"/tmp/r\"\ndev = true\n[recording]\npre_roll_seconds = 10\nreserve_mb = 5\n"));
  seeds.add("config", std::string("key-file = \"k\"\nworkers = -1\n"));
}

}  // namespace amphi::fuzz
