// REST bodies and queries: what each is read as, and what is refused.
#include "server/rest_requests.h"

#include <gtest/gtest.h>

namespace amphi::server {
namespace {

using boost::beast::http::verb;

/// A request behind a token of session "a".
struct Asked {
  explicit Asked(const std::string& target, const std::string& body = "", bool admin = false) : request(verb::post, target, 11) {
    request.body() = body;
    call.token.session = SessionId("a");
    call.token.identity = "nurse";
    call.token.grants.admin = admin;
  }
  HttpRequest request;
  RestCall call{request, {}, {"a", "rec_1"}};
};

TEST(RestRequests, a_body_has_the_field_with_its_type) {
  struct Row {
    const char* body;
    std::optional<bool> on;
  };
  const Row rows[] = {{R"({"on":true})", true}, {R"({"on":false,"more":1})", false}, {R"({"on":1})", {}}, {R"({"on":null})", {}}, {R"({"On":true})", {}},
                      {R"([{"on":true}])", {}}, {"true", {}}, {"", {}}, {"{", {}}, {"\xff", {}}, {R"({"on":true})" "x", {}}};
  for (const Row& row : rows) {
    const Asked asked("/", row.body);
    const auto on = requested_recording(asked.call);
    EXPECT_EQ(on.has_value(), row.on.has_value()) << row.body;
    if (on) EXPECT_EQ(*on, row.on) << row.body;
    else EXPECT_EQ(on.error().code, ErrorCode::malformed);
  }
  EXPECT_EQ(requested_mute(Asked("/", R"({"muted":true})").call), true);
  EXPECT_FALSE(requested_mute(Asked("/", R"({"on":true})").call));
  EXPECT_EQ(requested_marker(Asked("/", R"({"label":"incision"})").call), "incision");
  EXPECT_FALSE(requested_marker(Asked("/", R"({"label":["incision"]})").call));
}

TEST(RestRequests, an_export_has_a_form_and_a_range_of_milliseconds) {
  const auto made = requested_export(Asked("/", R"({"form":"tracks","fromMs":5,"toMs":1000000000000})").call);
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->tracks);
  EXPECT_EQ(made->recording, "rec_1");
  EXPECT_EQ(made->from_ms, 5);
  EXPECT_EQ(made->to_ms, 1'000'000'000'000);
  EXPECT_EQ(made->by, "nurse");
  EXPECT_TRUE(requested_export(Asked("/", R"({"form":"composite"})").call));
  const char* const refused[] = {R"({})", R"({"form":"x"})", R"({"form":7})", R"({"form":"tracks","fromMs":-1})", R"({"form":"tracks","toMs":1.5})",
                                 R"({"form":"tracks","toMs":1000000000001})", R"({"form":"tracks","toMs":99999999999999999999})", R"({"form":"tracks","fromMs":null})", "[]", ""};
  for (const char* body : refused) EXPECT_FALSE(requested_export(Asked("/", body).call)) << body;
}

TEST(RestRequests, a_query_has_numbers_in_their_range) {
  const auto query = catalogue_query(Asked("/v1/recordings?session=b&state=complete&from=1&to=2&limit=3&cursor=1%2Fb%2Fr", "", true).call);
  ASSERT_TRUE(query);
  EXPECT_EQ(query->session, "b");
  EXPECT_EQ(query->state, "complete");
  EXPECT_EQ(query->from_ms, 1);
  EXPECT_EQ(query->to_ms, 2);
  EXPECT_EQ(query->limit, 3u);
  EXPECT_EQ(query->cursor, "1/b/r");
  for (const char* part : {"limit=0", "limit=1001", "limit=-1", "limit=x", "limit=1x", "limit=99999999999999999999", "from=-1", "from=1.5", "to=9223372036854775808"})
    EXPECT_EQ(catalogue_query(Asked(std::string("/v1/recordings?") + part).call).error().code, ErrorCode::invalid_argument) << part;
  EXPECT_FALSE(session_catalogue_query(Asked("/v1/sessions/a/recordings?limit=0").call));
}

TEST(RestRequests, a_token_without_admin_sees_its_own_session) {
  EXPECT_EQ(catalogue_query(Asked("/v1/recordings").call)->session, "a");
  EXPECT_EQ(catalogue_query(Asked("/v1/recordings?session=a").call)->session, "a");
  EXPECT_EQ(catalogue_query(Asked("/v1/recordings?session=b").call).error().code, ErrorCode::forbidden);
  EXPECT_EQ(catalogue_query(Asked("/v1/recordings", "", true).call)->session, "");
}

}  // namespace
}  // namespace amphi::server
