#include "session_url.h"

#include <gtest/gtest.h>

namespace amphi::sdk {
namespace {

TEST(SessionUrl, addresses_that_people_write_are_taken_apart) {
  struct Row {
    const char* url;
    bool tls;
    const char* host;
    int port;
    const char* session;
  };
  for (const Row& row : {Row{"http://127.0.0.1:8080/s/demo", false, "127.0.0.1", 8080, "demo"},
                         Row{"https://media.example.org/s/ses_a1", true, "media.example.org", 443, "ses_a1"},
                         Row{"http://[::1]:9/s/x/#token=abc", false, "::1", 9, "x"},
                         Row{"http://localhost/s/a.b~c?x=1", false, "localhost", 80, "a.b~c"}}) {
    const auto url = parse_session_url(row.url);
    ASSERT_TRUE(url) << row.url << ": " << url.error().message;
    EXPECT_EQ(url->tls, row.tls);
    EXPECT_EQ(url->host, row.host);
    EXPECT_EQ(url->port, row.port);
    EXPECT_EQ(url->session, row.session);
  }
  EXPECT_EQ(parse_session_url("http://h/s/x")->signalling_path(), "/v1/sessions/x/signalling");
  EXPECT_EQ(parse_session_url("http://h/s/x")->services_path(), "/v1/sessions/x/services");
}

TEST(SessionUrl, what_can_never_work_is_refused) {
  for (const char* url : {"", "demo", "ftp://h/s/x", "http://", "http:///s/x", "http://h", "http://h/", "http://h/s/", "http://h/r/x",
                          "http://h:0/s/x", "http://h:65536/s/x", "http://h:8a/s/x", "http://h:/s/x", "http://[::1/s/x",
                          "http://h/s/a/b", "http://h/s/a b", "http://h\r\nX: y/s/a", "http://[h]x:1/s/a"}) {
    const auto parsed = parse_session_url(url);
    ASSERT_FALSE(parsed) << url;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(parsed.error().message.empty());
  }
}

}  // namespace
}  // namespace amphi::sdk
