// A recording in virtual time whose every frame can be told apart: what is sent, by whom and when, and what a finished file holds.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "recording/repair.h"
#include "recording/test_containers.h"
#include "testing/disk/emulated_disk.h"

namespace amphi::recording::test {

/// The frame's number in its last four bytes, seven bits each: no byte is zero, so that no start code of H.264 appears.
inline void put_number(Bytes& out, std::uint32_t frame) {
  for (int shift = 21; shift >= 0; shift -= 7) out.push_back(static_cast<std::byte>(0x80u | (frame >> shift & 0x7fu)));
}
inline std::uint32_t last_number(ByteView data) {
  std::uint32_t value = 0;
  for (const std::byte byte : data.last(4)) value = value << 7 | (static_cast<std::uint32_t>(byte) & 0x7fu);
  return value;
}

/// A feed that sends a packet a frame on a steady clock.
struct Sender {
  std::string id;
  rtp::Codec codec;
  Duration interval;
  int keyframe_every = 25;
  std::size_t padding = 700;  // more than a sector

  FeedInfo info() const { return {FeedId(id), ParticipantId("par_" + id), id + "@example.org", "camera", codec}; }

  Bytes payload(std::uint32_t frame) const { return payload(frame, frame % static_cast<std::uint32_t>(keyframe_every) == 0); }
  Bytes payload(std::uint32_t frame, bool key) const {
    Bytes out;
    const auto put = [&](std::initializer_list<unsigned> values) {
      for (const unsigned value : values) out.push_back(static_cast<std::byte>(value));
    };
    if (codec.name == rtp::CodecName::opus) {
      put({0x78});
    } else if (codec.name == rtp::CodecName::vp8) {
      if (key)
        put({0x10, 0x90, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, 0, 0, 0, 0});
      else
        put({0x10, 0x91, 0, 0, 0, 0, 0, 0});
      out.resize(out.size() + padding);
    } else if (key) {  // parameter sets of 320x180 and a slice, in a STAP-A
      put({0x78, 0, 10, 0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x78, 0x40, 0, 4, 0x68, 0xce, 0x3c, 0x80, 0, 6, 0x65, 0xb8});
    } else {
      put({0x41, 0x9a});
      out.resize(out.size() + padding, std::byte{0xff});
    }
    put_number(out, frame);
    return out;
  }
};

inline rtp::Codec vp8() { return {rtp::CodecName::vp8, 90'000, 0, ""}; }
inline rtp::Codec h264() { return {rtp::CodecName::h264, 90'000, 0, "packetization-mode=1"}; }
inline rtp::Codec opus() { return {rtp::CodecName::opus, 48'000, 2, ""}; }

inline const std::vector<Sender>& four_senders() {
  static const std::vector<Sender> senders{{"wide", vp8(), 40ms, 25}, {"scope", h264(), std::chrono::microseconds(33'367), 25}, {"near", vp8(), 33ms, 60}, {"mic", opus(), 20ms, 25}};
  return senders;
}

/// Sends to `recorder` what falls due up to and including `until`, and runs its timers in between. `after` is called after each step
/// with its time; it returns false to stop.
class Studio4 {
 public:
  Studio4(Recorder& recorder, Time start, std::vector<Sender> senders = four_senders())
      : recorder_(recorder), start_(start), senders_(std::move(senders)), next_(senders_.size(), 0) {
    for (const Sender& sender : senders_) recorder_.add_feed(sender.info(), start);
  }

  template <class After>
  void run_until(Time until, After after) {
    while (true) {
      std::size_t who = 0;
      for (std::size_t i = 1; i < senders_.size(); ++i)
        if (due(i) < due(who)) who = i;
      const Time timer = recorder_.next_timeout();
      const Time now = std::min(due(who), timer);
      if (now > until) return;
      if (timer <= due(who))
        recorder_.handle_timeout(now);
      else
        send(who, now);
      if (!after(now)) return;
    }
  }
  /// When the frame was sent.
  Time sent_at(const std::string& feed, std::uint32_t frame) const {
    for (const Sender& sender : senders_)
      if (sender.id == feed) return start_ + sender.interval * frame;
    return Time::max();
  }

 private:
  Time due(std::size_t i) const { return start_ + senders_[i].interval * next_[i]; }
  void send(std::size_t who, Time now) {
    const Sender& sender = senders_[who];
    const std::uint32_t frame = next_[who]++;
    const auto ticks = (now - start_).count() / 1000 * sender.codec.clock_rate / 1'000'000;
    const rtp::RtpHeader header{true, 96, static_cast<rtp::WireSeq>(frame), static_cast<rtp::WireTimestamp>(ticks), static_cast<std::uint32_t>(who + 1)};
    recorder_.handle_packet(FeedId(sender.id), frame, header, sender.payload(frame), now);
  }

  Recorder& recorder_;
  Time start_;
  std::vector<Sender> senders_;
  std::vector<std::uint32_t> next_;
};

/// What a finished file holds, by its own words.
struct FileFacts {
  std::vector<std::uint32_t> frames;  // their numbers
  std::vector<double> times_ms;       // and where each lies
  std::int64_t duration_ms = 0;
  std::size_t cues = 0;
};

inline FileFacts facts_of(const std::string& path, const Bytes& data) {
  FileFacts facts;
  if (path.ends_with(".webm")) {
    const Node file = tree(parse_ebml(data));
    const Node& segment = file.get("18538067");
    EXPECT_FALSE(segment.unknown_size) << path;
    facts.duration_ms = static_cast<std::int64_t>(segment.get("1549a966").get("4489").floating());
    facts.cues = segment.get("1c53bb6b").all("bb").size();
    for (const Node* cluster : segment.all("1f43b675"))
      for (const Node* block : cluster->all("a3")) {
        facts.frames.push_back(last_number(block->data));
        const Node relative{"", 0, block->data.subspan(1, 2), false, {}};
        facts.times_ms.push_back(static_cast<double>(cluster->get("e7").number() + relative.number()));
      }
    return facts;
  }
  const Node file = tree(parse_boxes(data));
  facts.duration_ms = static_cast<std::int64_t>(file.get("moov").get("mvex").get("mehd").number(4, 4));
  facts.cues = file.get("mfra").get("tfra").number(12, 4);
  EXPECT_TRUE(file.find("sidx") != nullptr) << path;
  const auto moofs = file.all("moof");
  const auto mdats = file.all("mdat");
  EXPECT_EQ(moofs.size(), mdats.size()) << path;
  for (std::size_t i = 0; i < moofs.size(); ++i) {
    const Node& trun = moofs[i]->get("traf").get("trun");
    std::uint64_t ticks = moofs[i]->get("traf").get("tfdt").number(4, 8);
    std::size_t at = 0;
    for (std::size_t sample = 0; sample < trun.number(4, 4); ++sample) {
      at += trun.number(12 + 12 * sample + 4, 4);
      facts.frames.push_back(last_number(mdats[i]->data.first(at)));
      facts.times_ms.push_back(static_cast<double>(ticks) / 90);
      ticks += trun.number(12 + 12 * sample, 4);
    }
  }
  return facts;
}

}  // namespace amphi::recording::test
