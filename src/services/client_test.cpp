// What the scenario tables do not say: that no input at all breaks the machine, and that late calls are fine.
#include "services/client.h"

#include <gtest/gtest.h>

#include "services/duration_line.h"

namespace amphi::services {
namespace {

constexpr std::string_view kWelcome =
    R"({"type":"welcome","version":1,"sessionId":"s","services":["recording"],"heartbeatMs":1000})";
constexpr std::string_view kState = R"({"type":"recording.state","revision":9,"on":true,"phase":"recording","totalMs":50})";

int count_outputs(Client& client) {
  int count = 0;
  while (client.poll_output()) ++count;
  return count;
}

TEST(ServicesClient, inputs_in_any_order_neither_crash_nor_break_the_order_of_events) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRandom random(seed);
    Client client({"t", {}, true}, random);
    Time now{};
    bool connected = false;
    for (int i = 0; i < 200; ++i) {
      now += milliseconds(random.below(3000));
      switch (random.below(10)) {
        case 0: client.session_connected(random.below(4) == 0 ? "par_b" : "par_a", now); break;
        case 1: if (random.below(5) == 0) client.session_closed(now); break;
        case 2:
        case 3: client.connection_opened(now); break;
        case 4: client.connection_failed({}, now); break;
        case 5: client.connection_closed({}, now); break;
        case 6: (void)client.request_recording(random.below(2) == 0, now); break;
        case 7: client.handle_message(kState, now); break;
        case 8: client.handle_message(kWelcome, now); break;
        default: client.handle_timeout(now); break;
      }
      while (auto output = client.poll_output()) {
        if (std::holds_alternative<ServicesConnected>(*output)) {
          ASSERT_FALSE(std::exchange(connected, true));
        } else if (std::holds_alternative<ServicesDisconnected>(*output)) {
          ASSERT_TRUE(std::exchange(connected, false));
        }
      }
      ASSERT_EQ(client.connected(), connected);
    }
  }
}

TEST(ServicesClient, a_late_timeout_does_each_thing_once) {
  SeededRandom random(1);
  Client client({"t", {}, true}, random);
  Time now{};
  client.session_connected("par_a", now);
  client.connection_opened(now);
  client.handle_message(kWelcome, now);
  client.handle_message(kState, now);
  ASSERT_TRUE(client.request_recording(false, now));
  count_outputs(client);
  now += 5min;
  client.handle_timeout(now);
  EXPECT_EQ(count_outputs(client), 3);  // the request's timeout, the close, the loss
  EXPECT_GT(client.next_timeout(), Time{});
  EXPECT_EQ(client.state(now).error->code, ErrorCode::timeout);
}

TEST(ServicesClient, counts_what_it_drops) {
  SeededRandom random(1);
  Client client({"t", {}, true}, random);
  client.handle_message(kState, Time{});
  client.session_connected("par_a", Time{});
  client.connection_opened(Time{});
  client.handle_message("{", Time{});
  client.handle_message(R"({"type":"new"})", Time{});
  client.handle_message(kWelcome, Time{});
  client.handle_message(kState, Time{});
  client.handle_message(kState, Time{});
  EXPECT_EQ(client.drops()[ClientDrop::unexpected], 1u);
  EXPECT_EQ(client.drops()[ClientDrop::malformed], 1u);
  EXPECT_EQ(client.drops()[ClientDrop::unknown_type], 1u);
  EXPECT_EQ(client.drops()[ClientDrop::stale_revision], 1u);
}

TEST(DurationLine, holds_for_the_largest_numbers_of_the_wire) {
  DurationLine line;
  line.hear(9007199254740991, true, 8s, Time{});
  line.hear(0, true, 8s, Time{} + 1s);
  EXPECT_EQ(line.at(Time{} + 1h), 9007199254740991 + 1000);
}

}  // namespace
}  // namespace amphi::services
