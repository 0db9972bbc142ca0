#include "server/signalling_messages.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/random.h"

namespace amphi::server::signalling {
namespace {

using Json = nlohmann::json;

Json examples(const std::string& type) {
  std::ifstream file(std::string(AMPHI_SOURCE_DIR) + "/protocol/signalling/" + type + ".examples.json");
  EXPECT_TRUE(file) << type;
  return Json::parse(file);
}

TEST(SignallingMessages, take_every_valid_example_and_refuse_every_invalid_one) {
  for (const char* type : {"join", "publishOffer", "subscribeAnswer", "restartSubscribe", "leave", "ping", "pong"}) {
    const Json all = examples(type);
    ASSERT_FALSE(all["valid"].empty()) << type;
    for (const auto& message : all["valid"]) EXPECT_TRUE(decode(message.dump())) << message.dump();
    for (const auto& message : all["invalid"]) EXPECT_FALSE(decode(message.dump())) << message.dump().substr(0, 200);
  }
}

TEST(SignallingMessages, say_what_was_wrong_and_in_reply_to_what) {
  struct Row {
    const char* text;
    ErrorCode code;
    const char* type;
  };
  for (const Row& row : std::vector<Row>{
           {"", ErrorCode::malformed, ""},
           {"{", ErrorCode::malformed, ""},
           {R"({"type":"dance"})", ErrorCode::unsupported, "dance"},
           {R"({"type":"join","version":2,"token":"t"})", ErrorCode::unsupported, "join"},
           {R"({"type":"join","version":1})", ErrorCode::malformed, "join"},
           {R"({"type":"publishOffer","sdp":"v=0"})", ErrorCode::malformed, "publishOffer"},
       }) {
    const auto refused = decode(row.text);
    ASSERT_FALSE(refused) << row.text;
    EXPECT_EQ(refused.error().error.code, row.code) << row.text;
    EXPECT_EQ(refused.error().type, row.type) << row.text;
  }
}

TEST(SignallingMessages, survive_every_truncation_and_any_flipped_bit) {
  const std::string good = examples("publishOffer")["valid"][0].dump();
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(decode(good.substr(0, size)));
  SeededRandom random(7);
  for (int i = 0; i < 5000; ++i) {
    std::string bad = good;
    bad[random.below(bad.size())] ^= static_cast<char>(1u << random.below(8));
    (void)decode(bad);  // anything but a crash or an exception
  }
  (void)decode(std::string(100'000, '['));
  (void)decode("\xff\xfe");
}

TEST(SignallingMessages, an_offer_id_comes_back_as_it_was_given) {
  sfu::SubscribeOffer offer;
  offer.offer_id = 42;
  offer.sdp = "v=0";
  const Json sent = Json::parse(subscribe_offer(offer));
  const auto answer = decode(Json{{"type", "subscribeAnswer"}, {"sdp", "v=0"}, {"offerId", sent["offerId"]}}.dump());
  ASSERT_TRUE(answer);
  EXPECT_EQ(std::get<SubscribeAnswer>(*answer).offer_id, 42u);
}

TEST(SignallingMessages, what_the_server_says_has_the_documented_members) {
  Joined joined;
  joined.session = SessionId("ses_1");
  joined.participant = ParticipantId("par_1");
  joined.identity = "broken \xff text";
  joined.grants.publish = true;
  joined.resume_token = "rt_1";
  sfu::FeedInfo feed;
  feed.id = FeedId("fd_1");
  feed.participant = ParticipantId("par_2");
  feed.label = "Camera";
  joined.participants = {{ParticipantId("par_2"), "b", {feed}}};
  const Json json = Json::parse(encode(joined));
  const Json example = examples("joined")["valid"][1];
  for (const auto& [name, value] : example.items()) EXPECT_TRUE(json.contains(name)) << name;
  EXPECT_EQ(json["participants"][0]["feeds"][0]["codec"], "VP8");
  EXPECT_EQ(Json::parse(feed_added(feed))["feed"].size(), examples("feedAdded")["valid"][0]["feed"].size());
  EXPECT_EQ(Json::parse(feed_unsupported({ParticipantId("par_1"), FeedId("fd_c2"), {ErrorCode::unsupported, "this client's answer does not take H264 (profile-level-id 640028)"}})),
            examples("feedUnsupported")["valid"][0]);
  feed.muted = true;
  EXPECT_EQ(Json::parse(feed_added(feed))["feed"]["muted"], true);
  EXPECT_EQ(Json::parse(feed_changed(feed))["feed"].size(), examples("feedChanged")["valid"][0]["feed"].size());
  EXPECT_EQ(Json::parse(error({ErrorCode::forbidden, "no"}, true, "join")),
            (Json{{"type", "error"}, {"code", "forbidden"}, {"message", "no"}, {"fatal", true}, {"inReplyTo", "join"}}));
}

}  // namespace
}  // namespace amphi::server::signalling
