#include "server/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace amphi::server {
namespace {

const std::string kHex(64, 'a');

class ConfigTest : public ::testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& content) {
    const auto path = std::filesystem::temp_directory_path() / ("amphi-config-" + std::to_string(getpid()) + name);
    std::ofstream(path) << content;
    made_.push_back(path);
    std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);  // it may be a secret
    return path.string();
  }
  void TearDown() override {
    for (const auto& path : made_) std::filesystem::remove(path);
  }
  std::vector<std::filesystem::path> made_;
};

ServeConfig served(const std::vector<std::string>& arguments) {
  const Command command = parse_command(arguments);
  const auto* exit = std::get_if<Exit>(&command);
  EXPECT_EQ(exit, nullptr) << (exit ? exit->text : "");
  return exit ? ServeConfig{} : std::get<ServeConfig>(command);
}

Exit refused(const std::vector<std::string>& arguments) {
  const Command command = parse_command(arguments);
  EXPECT_TRUE(std::holds_alternative<Exit>(command)) << (arguments.empty() ? "" : arguments.back());
  return std::holds_alternative<Exit>(command) ? std::get<Exit>(command) : Exit{};
}

TEST_F(ConfigTest, serve_is_the_default_command) {
  EXPECT_TRUE(served({"--dev"}).dev);
  EXPECT_TRUE(served({"serve", "--dev"}).dev);
  const auto config = served({"--key-file", "k"});
  EXPECT_EQ(config.listen, std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(config.port, 7880);
  EXPECT_FALSE(config.dev);
}

TEST_F(ConfigTest, every_flag_arrives) {
  const auto config = served({"serve", "--listen", "192.0.2.1", "--listen", "2001:db8::1", "--port", "0", "--media-address", "192.0.2.1", "--media-address",
                              "2001:db8::1", "--media-port", "40000", "--workers", "3", "--recordings", "/r", "--web", "/w",
                              "--key-file", "/k", "--tls-cert", "/c", "--tls-key", "/p", "--ready-file", "/f"});
  EXPECT_EQ(config.listen, (std::vector<std::string>{"192.0.2.1", "2001:db8::1"}));
  EXPECT_EQ(config.port, 0);
  EXPECT_EQ(config.media_addresses, (std::vector<std::string>{"192.0.2.1", "2001:db8::1"}));
  EXPECT_EQ(config.media_port, 40000);
  EXPECT_EQ(config.workers, 3u);
  EXPECT_EQ(config.recordings + config.web + config.key_file, "/r/w/k");
  EXPECT_EQ(served({"--dev", "--token-audience", "theatre"}).token_audience, "theatre");
  EXPECT_EQ(config.tls_cert + config.tls_key + config.ready_file, "/c/p/f");
}

TEST_F(ConfigTest, limits_proxies_and_metrics_have_flags_and_tables) {
  const auto limits = file("limits.toml", "dev = true\ntrusted_proxy = [\"10.0.0.0/8\", \"::1\"]\nparticipants_per_identity = 2\nparticipant_mbits = 30\n[connections]\ntotal = 100\nper_address = 7\nreserved = 10\nidle_seconds = 3\n[metrics]\nlisten = \"[::1]:9100\"\ntoken_file = \"/t\"\n");
  const auto config = served({"--config", limits});
  EXPECT_EQ(config.connections_total, 100u);
  EXPECT_EQ(config.connections_per_address, 7u);
  EXPECT_EQ(config.connections_reserved, 10u);
  EXPECT_EQ(config.connections_idle_seconds, 3u);
  EXPECT_EQ(config.participants_per_identity, 2u);
  EXPECT_EQ(config.participant_mbits, 30u);
  EXPECT_EQ(config.trusted_proxies, (std::vector<std::string>{"10.0.0.0/8", "::1"}));
  EXPECT_EQ(config.metrics_listen + config.metrics_token_file, "[::1]:9100/t");
  EXPECT_EQ(served({"--dev", "--trusted-proxy", "10.0.0.1", "--trusted-proxy", "192.0.2.0/24"}).trusted_proxies.size(), 2u);
  for (const auto& wrong : std::vector<std::vector<std::string>>{{"--trusted-proxy", "10.0.0.0/33"}, {"--trusted-proxy", "proxy"}, {"--connections-total", "0"}, {"--connections-reserved", "5000"},
                                                                 {"--participants-per-identity", "0"}, {"--metrics-listen", "9100"}, {"--metrics-listen", "localhost:9100"}, {"--metrics-listen", "::1:9100"}}) {
    std::vector<std::string> arguments{"--dev"};
    arguments.insert(arguments.end(), wrong.begin(), wrong.end());
    EXPECT_EQ(refused(arguments).status, 2) << wrong[0] << " " << wrong[1];
  }
}

TEST_F(ConfigTest, media_have_fixed_ports_and_addresses_to_tell) {
  EXPECT_EQ(served({"--dev"}).media_port, 7881);
  EXPECT_EQ(served({"--dev", "--media-port", "0"}).media_port, 0);
  EXPECT_EQ(served({"--dev", "--advertise", "203.0.113.7", "--advertise", "media.example=10.0.0.1"}).advertise, (std::vector<std::string>{"203.0.113.7", "media.example=10.0.0.1"}));
  EXPECT_EQ(served({"--config", file("advertise.toml", "dev = true\nadvertise = [\"203.0.113.7=10.0.0.1\", \"2001:db8::7\"]\n")}).advertise.size(), 2u);
  for (const char* wrong : {"", "http://media.example", "203.0.113.7=eth0", "203.0.113.7=::1"}) EXPECT_EQ(refused({"--dev", "--advertise", wrong}).status, 2) << wrong;
  EXPECT_EQ(refused({"--dev", "--media-port", "65535", "--workers", "2"}).status, 2);
  EXPECT_EQ(served({"--dev", "--media-port", "65535", "--workers", "1"}).media_port, 65535);
  const unsigned cores = worker_count(ServeConfig{});
  const auto last = std::to_string(65536 - cores), beyond = std::to_string(65537 - cores);
  EXPECT_EQ(served({"--dev", "--media-port", last}).media_port, 65536 - cores);
  if (cores > 1) {
    EXPECT_EQ(refused({"--dev", "--media-port", beyond}).status, 2) << "one worker for each core";
  }
}

TEST_F(ConfigTest, the_metrics_token_is_one_line_that_cannot_be_guessed) {
  EXPECT_EQ(read_secret_file(file("token", "0123456789abcdef\n")).value(), "0123456789abcdef");
  for (const char* wrong : {"", "short", "0123456789 abcdef", "0123456789abcdef\nx"}) EXPECT_FALSE(read_secret_file(file("wrong", wrong))) << wrong;
  EXPECT_FALSE(read_secret_file("/no/such/file"));
}

TEST_F(ConfigTest, a_file_sets_the_same_options_and_a_flag_wins_over_it) {
  const auto path = file("a.toml", "port = 1234\nlisten = \"::1\"\nmedia-address = [\"127.0.0.1\"]\ndev = true\nworkers = 2\n");
  const auto config = served({"--config", path, "--port", "99"});
  EXPECT_EQ(config.port, 99);
  EXPECT_EQ(config.listen, std::vector<std::string>{"::1"});
  EXPECT_EQ(config.media_addresses, std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(config.workers, 2u);
  EXPECT_TRUE(config.dev);
}

TEST_F(ConfigTest, a_link_shares_devices_without_a_click_only_where_the_server_says_so) {
  EXPECT_FALSE(served({"--dev"}).allow_autopublish);
  EXPECT_TRUE(served({"--dev", "--allow-autopublish"}).allow_autopublish);
  EXPECT_TRUE(served({"--config", file("kiosk.toml", "dev = true\nallow-autopublish = true\n")}).allow_autopublish);
  EXPECT_FALSE(served({"--config", file("desk.toml", "dev = true\nallow-autopublish = false\n")}).allow_autopublish);
  EXPECT_EQ(refused({"--config", file("vague.toml", "dev = true\nallow-autopublish = \"yes\"\n")}).status, 2);
}

TEST_F(ConfigTest, a_table_of_the_file_is_the_beginning_of_its_options_names) {
  const auto nested = file("nested.toml", "dev = true\n[recording]\npre_roll_seconds = 30\nreserve_mb = 7\n");
  EXPECT_EQ(served({"--config", nested}).recording_pre_roll_seconds, 30u);
  EXPECT_EQ(served({"--config", nested}).recording_reserve_mb, 7u);
  EXPECT_EQ(served({"--config", nested, "--recording-pre-roll-seconds", "5"}).recording_pre_roll_seconds, 5u);
  EXPECT_EQ(served({"--config", file("flat.toml", "dev = true\nrecording-pre-roll-seconds = 120\n")}).recording_pre_roll_seconds, 120u);
  EXPECT_EQ(refused({"--config", file("much.toml", "dev = true\n[recording]\npre_roll_seconds = 121\n")}).status, 2);
  EXPECT_EQ(refused({"--config", file("unknown.toml", "dev = true\n[recording]\npre_rol_seconds = 1\n")}).status, 2);
}

TEST_F(ConfigTest, every_mistake_is_told_and_ends_with_status_2) {
  struct Row {
    std::vector<std::string> arguments;
    const char* told;
  };
  const std::vector<Row> rows{
      {{}, "--key-file"},
      {{"--port", "70000"}, "port"},
      {{"--dev", "--workers", "-1"}, "workers"},
      {{"--nonsense"}, "nonsense"},
      {{"--dev", "--listen", "localhost"}, "--listen"},
      {{"--dev", "--listen", "0.0.0.0"}, "loopback"},
      {{"--dev", "--listen", "::1", "--listen", "::"}, "loopback"},
      {{"--dev", "--media-address", "nowhere"}, "--media-address"},
      {{"--dev", "--tls-cert", "c"}, "--tls-key"},
      {{"--dev", "--config", "/does/not/exist"}, "/does/not/exist"},
      {{"--config", file("b.toml", "dev = true\nprot = 1\n")}, "prot"},
      {{"--config", file("c.toml", "dev = true\nport = \"1\"\n")}, "port"},
      {{"--config", file("d.toml", "dev = true\nport = 99999\n")}, "port"},
      {{"--config", file("e.toml", "dev = = true\n")}, "line 1"},
      {{"token", "--session", "s", "--identity", "i"}, "key"},
      {{"token", "--key", kHex, "--identity", "i"}, "session"},
      {{"token", "--key", kHex, "--session", "s", "--identity", "i", "--grants", "fly"}, "fly"},
  };
  for (const auto& row : rows) {
    const Exit exit = refused(row.arguments);
    EXPECT_EQ(exit.status, 2) << exit.text;
    EXPECT_NE(exit.text.find(row.told), std::string::npos) << row.told << " in: " << exit.text;
  }
  EXPECT_EQ(refused({"--help"}).status, 0);
}

TEST_F(ConfigTest, a_token_is_asked_for_with_its_claims) {
  const Command command = parse_command({"token", "--key", kHex, "--session", "s", "--identity", "i", "--grants",
                                         "publish,record", "--valid-seconds", "60"});
  ASSERT_TRUE(std::holds_alternative<TokenConfig>(command));
  const auto& token = std::get<TokenConfig>(command);
  EXPECT_EQ(token.claims.session.value, "s");
  EXPECT_EQ(token.claims.grants, (Grants{true, false, true}));
  EXPECT_EQ(token.valid_seconds, 60);
}

TEST_F(ConfigTest, a_key_is_hexadecimal_and_long_enough) {
  EXPECT_EQ(parse_key(" " + kHex + "\n").value_or(Bytes{}), Bytes(32, std::byte{0xaa}));
  for (const std::string& bad : {std::string(), std::string(62, 'a'), std::string(65, 'a'), std::string(64, 'g')})
    EXPECT_FALSE(parse_key(bad)) << bad;
  EXPECT_TRUE(read_key_file(file("key", kHex + "\n")));
  const auto missing = read_key_file("/does/not/exist");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace amphi::server
