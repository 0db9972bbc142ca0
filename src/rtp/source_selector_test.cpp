// Which source of a line is selected, in virtual time: each row is a set of senders, and which packets of each come out, in order.
#include "rtp/source_selector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"

namespace amphi::rtp {
namespace {

const Bytes kMedia(100);

/// Sends a packet each `every` in [from, to).
struct Sender {
  char name;
  Duration from, to, every;
  Duration late{};  // of its last packet: a straggler
};

struct Line {
  SourceSelector selector;
  std::map<char, int> sent;
  std::vector<std::pair<char, int>> out;
  std::uint64_t refused = 0;
  std::map<char, std::uint64_t> switches;

  void give(const RtpHeader& header) {
    const auto name = static_cast<char>(header.ssrc);
    if (out.empty() || out.back().first != name) ++switches[name];
    out.emplace_back(name, header.timestamp);
  }
  void poll(Time now) {
    while (const auto held = selector.poll(now)) give(held->header);
    refused += selector.take_dropped();
  }
  void packet(char name, Time now) {
    for (Time due = selector.next_timeout(); due <= now; due = selector.next_timeout()) {
      poll(due);
      ASSERT_GT(selector.next_timeout(), due) << "a deadline is served";
    }
    const RtpHeader header{true, 96, 0, static_cast<WireTimestamp>(sent[name]++), static_cast<std::uint32_t>(name)};
    const auto choice = selector.choose(header, kMedia, std::nullopt, now);
    if (choice == SourceSelector::Choice::selected) give(header);
    if (choice == SourceSelector::Choice::not_selected) ++refused;
    poll(now);
  }
  /// "A0-29 B0-9": packets in the order in which they came out.
  std::string text() const {
    std::string text;
    for (std::size_t i = 0; i < out.size();) {
      std::size_t end = i + 1;
      while (end < out.size() && out[end].first == out[i].first && out[end].second == out[end - 1].second + 1) ++end;
      text += (text.empty() ? "" : " ") + std::string(1, out[i].first) + std::to_string(out[i].second) + "-" + std::to_string(out[end - 1].second);
      i = end;
    }
    return text;
  }
};

Line play(const std::vector<Sender>& senders) {
  struct Packet {
    Time at;
    char name;
  };
  std::vector<Packet> packets;
  for (const Sender& sender : senders)
    for (Duration at = sender.from; at < sender.to; at += sender.every)
      packets.push_back({Time(at + (at + sender.every >= sender.to ? sender.late : 0ms)), sender.name});
  std::stable_sort(packets.begin(), packets.end(), [](const Packet& a, const Packet& b) { return a.at < b.at; });
  Line line;
  for (const Packet& packet : packets) line.packet(packet.name, packet.at);
  for (Time due = line.selector.next_timeout(); due != Time::max(); due = line.selector.next_timeout()) line.poll(due);
  return line;
}

}  // namespace

TEST(SourceSelector, gives_the_packets_of_one_source_at_a_time_and_loses_none_at_a_switch) {
  struct Row {
    const char* what;
    std::vector<Sender> senders;
    const char* out;
    std::uint64_t refused = 0;
  };
  const Row rows[] = {
      {"one source", {{'A', 0ms, 1s, 20ms}}, "A0-49"},
      {"video: the next packet is of another source", {{'A', 0ms, 990ms, 33ms}, {'B', 990ms, 1980ms, 33ms}}, "A0-29 B0-29"},
      {"audio: the next packet is of another source", {{'A', 0ms, 1s, 20ms}, {'B', 1s, 2s, 20ms}}, "A0-49 B0-49"},
      {"another source a moment after the last packet", {{'A', 0ms, 1s, 20ms}, {'B', 981ms, 2s, 20ms}}, "A0-49 B0-50"},
      {"a source returns", {{'A', 0ms, 1s, 20ms}, {'B', 1s, 2s, 20ms}, {'A', 2s, 3s, 20ms}}, "A0-49 B0-49 A50-99"},
      {"a source returns, again and again, each 200 ms",
       {{'A', 0ms, 200ms, 20ms}, {'B', 200ms, 400ms, 20ms}, {'A', 400ms, 600ms, 20ms}, {'B', 600ms, 800ms, 20ms}, {'A', 800ms, 1s, 20ms}},
       "A0-9 B0-9 A10-19 B10-19 A20-29"},
      {"three sources in turn, each 500 ms",
       {{'A', 0ms, 500ms, 20ms}, {'B', 500ms, 1s, 20ms}, {'C', 1s, 1500ms, 20ms}, {'A', 1500ms, 2s, 20ms}},
       "A0-24 B0-24 C0-24 A25-49"},
      {"a straggler before the switch is decided", {{'A', 0ms, 1s, 20ms, 60ms}, {'B', 1s, 2s, 20ms}}, "A0-49 B0-49"},
      {"a straggler after the switch", {{'A', 0ms, 1s, 20ms, 500ms}, {'B', 1s, 2s, 20ms}}, "A0-48 B0-49", 1},
      {"stragglers for 400 ms after the switch", {{'A', 0ms, 1s, 20ms}, {'A', 1040ms, 1401ms, 60ms}, {'B', 1s, 2s, 20ms}}, "A0-56 B0-49"},
      {"stragglers further and further apart after the switch",
       {{'A', 0ms, 1s, 20ms}, {'A', 1060ms, 1061ms, 20ms}, {'A', 1150ms, 1151ms, 20ms}, {'A', 1320ms, 1321ms, 20ms}, {'A', 1400ms, 1401ms, 20ms}, {'B', 1s, 2s, 20ms}},
       "A0-51 B0-49", 2},
      {"two sources overlap for 400 ms", {{'A', 0ms, 1s, 20ms}, {'B', 600ms, 2s, 20ms}}, "A0-49 B0-69"},
      {"two sources overlap for 200 ms", {{'A', 0ms, 1s, 20ms}, {'B', 800ms, 2s, 20ms}}, "A0-49 B0-59"},
      {"a pause is no switch", {{'A', 0ms, 1s, 20ms}, {'A', 30s, 31s, 20ms}}, "A0-99"},
      {"another source after a pause", {{'A', 0ms, 1s, 20ms}, {'B', 30s, 31s, 20ms}}, "A0-49 B0-49"},
      {"a still picture takes over with a single packet", {{'A', 0ms, 1s, 33ms}, {'B', 1s, 1020ms, 33ms}}, "A0-30 B0-0"},
      {"two sources at the same time", {{'A', 0ms, 4s, 33ms}, {'B', 1ms, 4s, 33ms}}, "A0-121", 122},
      {"three sources at the same time", {{'A', 0ms, 4s, 33ms}, {'B', 1ms, 4s, 33ms}, {'C', 2ms, 4s, 33ms}}, "A0-121", 244},
      {"a second source sends beside the first from later on", {{'A', 0ms, 4s, 20ms}, {'B', 1s, 3s, 20ms}}, "A0-199", 100},
      {"sources of five frames a second at the same time", {{'A', 0ms, 10s, 200ms}, {'B', 130ms, 9800ms, 200ms}}, "A0-49", 49},
      {"a fast source beside one of five frames a second", {{'A', 0ms, 10s, 200ms}, {'B', 1s, 10s, 20ms}}, "A0-49", 450},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    const Line line = play(row.senders);
    EXPECT_EQ(line.text(), row.out);
    EXPECT_EQ(line.refused, row.refused);
  }
}

TEST(SourceSelector, a_simultaneous_source_takes_over_when_the_selected_one_is_silent) {
  const Line line = play({{'A', 0ms, 2s, 33ms}, {'B', 1ms, 4s, 33ms}});
  EXPECT_EQ(line.out.front().first, 'A');
  EXPECT_EQ(line.out.back(), std::make_pair('B', 121));
  EXPECT_EQ(line.out.size() + line.refused, 61u + 122u);
  EXPECT_GE(line.out.size(), 61u + 57u) << "no more than the patience is lost";
}

TEST(SourceSelector, sources_that_compete_without_end_do_not_flap) {
  SeededRandom random(3);
  for (const Duration every : {20ms, 33ms, 100ms, 200ms, 400ms}) {
    SCOPED_TRACE(to_ms(every));
    std::vector<Sender> senders;
    for (const char name : {'A', 'B', 'C'}) {
      const auto phase = Duration(static_cast<std::int64_t>(random.unit() * static_cast<double>(every.count())));
      senders.push_back({name, phase, 60s, every});
    }
    const Line line = play(senders);
    std::uint64_t switches = 0;
    for (const auto& [name, count] : line.switches) switches += count;
    EXPECT_LE(switches, 4u) << "while no interval is known yet, and when the first of them ends";
    EXPECT_GE(line.out.size(), static_cast<std::size_t>(60s / every) - 2);
  }
}

TEST(SourceSelector, a_source_that_says_bye_is_replaced_at_once) {
  Line line;
  for (int i = 0; i < 50; ++i) line.packet('A', Time(20ms * i));
  line.packet('B', Time(985ms));
  line.selector.end('A');
  line.packet('B', Time(990ms));
  EXPECT_EQ(line.text(), "A0-49 B0-1");
}

TEST(SourceSelector, padding_neither_selects_a_source_nor_keeps_it_selected) {
  SourceSelector selector;
  const RtpHeader a{true, 96, 1, 1, 1}, b{true, 96, 1, 1, 2};
  EXPECT_EQ(selector.choose(a, {}, std::nullopt, Time(0ms)), SourceSelector::Choice::not_selected);
  EXPECT_FALSE(selector.selected());
  EXPECT_EQ(selector.choose(a, kMedia, std::nullopt, Time(1ms)), SourceSelector::Choice::selected);
  for (int i = 1; i < 100; ++i) EXPECT_EQ(selector.choose(a, {}, std::nullopt, Time(20ms * i)), SourceSelector::Choice::selected);
  EXPECT_EQ(selector.choose(b, kMedia, std::nullopt, Time(2s)), SourceSelector::Choice::selected);
}

TEST(SourceSelector, a_flood_of_sources_moves_nothing_and_its_memory_is_bounded) {
  SourceSelector selector;
  std::size_t selected = 0, most_held = 0;
  const Bytes large(1200);
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const Time now(Duration(100us) * i);
    if (i % 200 == 0) selected += selector.choose({true, 96, 0, 0, 7}, kMedia, std::nullopt, now) == SourceSelector::Choice::selected;
    EXPECT_NE(selector.choose({true, 96, 0, 0, 1000 + i}, large, std::nullopt, now), SourceSelector::Choice::selected);
    EXPECT_FALSE(selector.poll(now));
    most_held = std::max(most_held, selector.held());
  }
  EXPECT_EQ(selected, 500u) << "the source that goes on loses nothing";
  EXPECT_EQ(selector.selected(), 7u);
  EXPECT_LE(most_held, SourceSelector::kMostHeld);
  EXPECT_GT(selector.take_dropped(), 1000u);
  selector.choose({true, 96, 0, 0, 7}, kMedia, std::nullopt, Time(20s));
  EXPECT_EQ(selector.held(), 0u);
}

}  // namespace amphi::rtp
