// Seeds of the targets that read what clients, browsers and operators write.
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
  seeds.add("session", media + step({13, 1}) + media + step({0, 20, 13, 4, 13, 2, 13, 6}) + media + step({2, 6, 13, 1}));
  seeds.add("session", media + media + step({8, 2}) + media + step({0, 20}) + media + step({1, 2}));
  seeds.add("session", step({2, 0, 30, 5, 1, 0x15, 0, 0, 30}) + media + step({6, 1, 1, 7, 3, 2, 0, 50}));
  seeds.add("session", step({3, 2}, "v=0\r\no=- 1 1 IN") + step({4, 1, 1}, "v=0\r\n   ") + step({9, 2, 1, 0, 1, 0, 0, 0, 0, 0, 0}) + step({0x27, 3, 0, 10}));
}

namespace {
/// Each behind a token with every grant, and the reading ones behind one with `recordings` only.
void add_rest(Seeds& seeds) {
  const char* const requests[] = {
      "GET /v1/sessions\n", "DELETE /v1/sessions/s1\n", "GET /v1/sessions/s1/participants\n", "DELETE /v1/sessions/s1/participants/par_1\n",
      "POST /v1/sessions/s1/feeds/fd_1\n{\"muted\":true}", "GET /v1/sessions/s1/recordings?limit=1&cursor=1793530800000/s1/rec_2\n",
      "GET /v1/sessions/s1/recordings/rec_1/manifest.json\n", "GET /v1/recordings?session=s1&state=complete&from=1&to=1795000000000&limit=2\n",
      "GET /v1/recordings?cursor=1793530800000%2Fs2%2Frec_3&access_token=a\n", "POST /v1/sessions/s1/recording\n{\"on\":false}",
      "POST /v1/sessions/s1/recording/markers\n{\"label\":\"incision\"}", "POST /v1/sessions/s1/recordings/rec_1/exports\n{\"form\":\"tracks\",\"fromMs\":1,\"toMs\":5000}",
      "POST /v1/sessions/s1/exports\n{\"form\":\"composite\"}", "PUT /v1/recordings\n{}"};
  for (const std::string request : requests) {
    seeds.add("rest", "\x1f" + request);
    if (request.starts_with("GET")) seeds.add("rest", "\x10" + request);
  }
}
}  // namespace

void add_server(Seeds& seeds) {
  seeds.add_examples("signalling", "protocol/signalling");

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
  seeds.add("http", length + "PROXY TCP4 192.0.2.1 192.0.2.2 4000 443\r\nGET / HTTP/1.1\r\nHost: localhost:7880\r\nX-Forwarded-For: 192.0.2.7, [2001:db8::1]:80\r\n\r\n");
  seeds.add("http", length + std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x10\0\1\xbb", 28) + "GET / HTTP/1.1\r\nHost: [::1]\r\nForwarded: for=\"[2001:db8::2]:9\";by=10.0.0.1, for=_hidden\r\n\r\n");
  add_rest(seeds);
  seeds.add("config", std::string("port = 7880\nlisten = [\"127.0.0.1\", \"::1\"]\nrecordings = \"/tmp/r\"\ndev = true\n[recording]\npre_roll_seconds = 10\nreserve_mb = 5\n"));
  seeds.add("config", std::string("media-address = \"192.0.2.1\"\nadvertise = [\"203.0.113.1=192.0.2.1\", \"host.example\"]\ntrusted-proxy = \"10.0.0.0/8\"\nweb = \"w\"\ntls-cert = 'c'\n"
                                  "tls-key = 'k'\nmetrics-listen = \"[::1]:9100\"\nmetrics-token-file = \"t\"\nready-file = \"r\"\nallow-autopublish = true\nmedia-port = 7881\nworkers = 2\n"
                                  "[connections]\ntotal = 100\nper-address = 10\nreserved = 5\nidle-seconds = 60\n[recording]\nsigning-key = \"\"\"s\"\"\"\nkey = \"e\"\n"
                                  "retention-days = 30\nreserve-mb = 0x10\n[participants]\nper.identity = 4\n"));
  seeds.add("config", std::string("key-file = \"k\"\nworkers = -1\n"));
}

}  // namespace amphi::fuzz
