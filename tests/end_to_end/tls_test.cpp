// TLS for HTTP and WebSocket when the server is given a certificate, with the SDK as the client that checks it.
#include <gtest/gtest.h>

#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

struct Certificate {
  explicit Certificate(const TemporaryFolder& folder) : file((folder.path() / "cert.pem").string()), key((folder.path() / "key.pem").string()) {
    const auto made = run_command({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                                   "/CN=amphi test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", file});
    EXPECT_EQ(made.status, 0) << made.out;
  }
  std::string file, key;
};

TEST(Tls, a_session_and_its_services_run_over_https) {
  const TemporaryFolder folder;
  const Certificate certificate(folder);
  ServerProcess server({"--tls-cert", certificate.file, "--tls-key", certificate.key});
  ASSERT_TRUE(server.url().starts_with("https://")) << server.url();
  SessionProbe surgeon(server.session_url("theatre"), server.token("theatre", "surgeon"), certificate.file);
  ASSERT_TRUE(surgeon.connect()) << server.log();
  ASSERT_TRUE(surgeon->requestSessionRecording(true));
  EXPECT_TRUE(surgeon.wait_recording(true));
  ASSERT_TRUE(surgeon->requestSessionRecording(false));
  EXPECT_TRUE(surgeon.wait_recording(false));
  EXPECT_EQ(server.stop(), 0);
}

TEST(Tls, a_server_whose_certificate_nobody_vouches_for_is_refused_by_the_sdk) {
  const TemporaryFolder folder, others;
  const Certificate certificate(folder), other(others);
  ServerProcess server({"--tls-cert", certificate.file, "--tls-key", certificate.key});
  for (const std::string& authority : {std::string(), other.file}) {
    SessionProbe surgeon(server.session_url("theatre"), server.token("theatre", "surgeon"), authority);
    surgeon->connect();
    EXPECT_FALSE(surgeon.wait([&] { return surgeon.happened().connected > 0; }, 2s));
  }
}

TEST(Tls, a_session_whose_server_comes_back_with_another_certificate_is_tried_until_the_certificate_is_right_again) {
  const TemporaryFolder folder, kept;
  const Certificate certificate(folder);
  const auto authority = kept.path() / "authority.pem", key = kept.path() / "key.pem";
  std::filesystem::copy_file(certificate.file, authority);
  std::filesystem::copy_file(certificate.key, key);
  ServerProcess server({"--tls-cert", certificate.file, "--tls-key", certificate.key});
  SessionProbe surgeon(server.session_url("theatre"), server.token("theatre", "surgeon"), authority.string());
  ASSERT_TRUE(surgeon.connect()) << server.log();
  server.kill_now();
  const Certificate other(folder);  // under the same names
  server.start_again();
  ASSERT_TRUE(surgeon.wait([&] { return surgeon.happened().reconnecting > 0; }));
  EXPECT_FALSE(surgeon.wait([&] { return surgeon.happened().reconnected > 0 || surgeon.happened().disconnected > 0; }, 5s));
  server.kill_now();
  const auto replace = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy_file(authority, certificate.file, replace);
  std::filesystem::copy_file(key, certificate.key, replace);
  server.start_again();
  EXPECT_TRUE(surgeon.wait([&] { return surgeon.happened().reconnected == 1; }, 25s)) << server.log();
  EXPECT_EQ(surgeon.happened().disconnected, 0);
}

}  // namespace
}  // namespace amphi::end_to_end
