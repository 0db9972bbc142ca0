// A feed that sends whatever a sender can get wrong, from a seed: repeated, backward and jumping timestamps, markers on every packet or on
// none, start codes inside payloads, B frames, garbage, other sources and sizes. Every packet tells which part of which frame it carries.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"
#include "recording/test_files.h"
#include "rtp/h264.h"
#include "rtp/test_nal_builder.h"

namespace amphi::recording::test {

/// Part `index` of `count` of frame `frame`: eight bytes, none of them zero, so that no start code of H.264 appears.
inline Bytes part_tag(std::uint32_t frame, unsigned index, unsigned count) {
  Bytes tag{std::byte{0xa5}};
  for (int shift = 21; shift >= 0; shift -= 7) tag.push_back(static_cast<std::byte>(0x80u | (frame >> shift & 0x7fu)));
  tag.push_back(static_cast<std::byte>(0x80u | index));
  tag.push_back(static_cast<std::byte>(0x80u | count));
  tag.push_back(std::byte{0x5a});
  return tag;
}

class HostileSender {
 public:
  enum class Marks { right, every, never, random };
  struct Packet {
    rtp::WireTimestamp timestamp = 0;
    std::uint32_t ssrc = 0;
    bool marker = false;
    Bytes payload;
  };

  HostileSender(rtp::CodecName codec, std::uint64_t seed) : codec_(codec), random_(seed) {
    const auto odds = [&](double most) { return random_.unit() < 0.5 ? 0.0 : random_.unit() * most; };
    marks_ = static_cast<Marks>(random_.below(4));
    repeats_ = odds(0.3);
    jumps_ = odds(0.02);
    garbage_ = odds(0.03);
    sources_ = odds(0.01);
    sizes_ = odds(0.05);
    keyframes_ = 0.02 + random_.unit() * 0.2;
    reordered_ = codec == rtp::CodecName::h264 && random_.unit() < 0.4;
    annex_b_ = random_.unit() < 0.3;
    timestamp_ = random_.u32();
    counted_ = random_.unit() < 0.6;
    in_sending_order_ = random_.unit() < 0.5;
    count_errors_ = odds(0.05);
  }
  Marks marks() const { return marks_; }
  bool has_garbage() const { return garbage_ > 0; }
  Duration interval() const { return codec_ == rtp::CodecName::opus ? 20ms : 33ms; }

  std::vector<Packet> next_frame() {
    const std::uint32_t rate = codec_ == rtp::CodecName::opus ? 960 : 3000;
    if (random_.unit() >= repeats_) timestamp_ += rate;
    if (random_.unit() < jumps_) timestamp_ += random_.unit() < 0.5 ? random_.u32() : static_cast<std::uint32_t>(random_.below(90'000)) - 45'000;
    if (random_.unit() < sources_) ++ssrc_, timestamp_ = random_.u32();
    if (random_.unit() < sizes_) large_ = !large_;
    if (random_.unit() < garbage_) return {{timestamp_, ssrc_, random_.unit() < 0.5, garbage()}};
    std::vector<Bytes> payloads = codec_ == rtp::CodecName::opus ? opus() : codec_ == rtp::CodecName::vp8 ? vp8() : h264();
    std::vector<Packet> packets;
    for (std::size_t i = 0; i < payloads.size(); ++i) packets.push_back({shown_, ssrc_, marked(i + 1 == payloads.size()), std::move(payloads[i])});
    ++frame_;
    return packets;
  }

 private:
  bool marked(bool last) {
    switch (marks_) {
      case Marks::right: return last;
      case Marks::every: return true;
      case Marks::never: return false;
      case Marks::random: return random_.unit() < 0.5;
    }
    return last;
  }
  Bytes garbage() {
    Bytes out(random_.below(40));
    random_.fill(out);
    return out;
  }
  static Bytes with(std::initializer_list<unsigned> head, const Bytes& tail) {
    Bytes out;
    for (const unsigned byte : head) out.push_back(static_cast<std::byte>(byte));
    out.insert(out.end(), tail.begin(), tail.end());
    return out;
  }

  std::vector<Bytes> opus() {
    shown_ = timestamp_;
    return {with({0x78}, part_tag(frame_, 0, 1))};
  }
  std::vector<Bytes> vp8() {
    shown_ = timestamp_;
    const bool key = frame_ == 0 || random_.unit() < keyframes_;
    const auto count = static_cast<unsigned>(1 + random_.below(4));
    std::vector<Bytes> out;
    for (unsigned i = 0; i < count; ++i) {
      const Bytes tag = part_tag(frame_, i, count);
      if (i > 0) out.push_back(with({0x00}, tag));
      else if (key) out.push_back(with({0x10, 0x90, 0, 0, 0x9d, 0x01, 0x2a, 0x40, large_ ? 2u : 1u, 0xb4, 0, 0, 0, 0, 0}, tag));
      else out.push_back(with({0x10, 0x91, 0, 0, 0, 0, 0, 0}, tag));
    }
    return out;
  }

  struct Bits {
    Bytes data;
    unsigned byte = 0;
    int used = 0;
    void bit(unsigned value) {
      byte = byte << 1 | value;
      if (++used == 8) data.push_back(static_cast<std::byte>(byte)), byte = 0, used = 0;
    }
    void golomb(std::uint32_t value) {
      int width = 0;
      while ((value + 1) >> (width + 1)) ++width;
      for (int i = 0; i < width; ++i) bit(0);
      for (int i = width; i >= 0; --i) bit((value + 1) >> i & 1);
    }
    Bytes take() {
      while (used != 0) bit(1);
      return std::move(data);
    }
  };
  Bytes slice(unsigned header, unsigned type, unsigned index, unsigned count) {
    Bits bits;
    bits.golomb(index * 4);
    bits.golomb(type);
    bits.golomb(0);
    if (counted_) {
      for (int i = 0; i < 4; ++i) bits.bit(0);  // frame_num
      if (type == 7) bits.golomb(0);            // idr_pic_id
      for (int i = 5; i >= 0; --i) bits.bit(count_ >> i & 1);
    }
    Bytes nal = with({header}, bits.take());
    const Bytes tag = part_tag(frame_, index, count);
    nal.insert(nal.end(), tag.begin(), tag.end());
    return nal;
  }
  /// Of the main profile: without a word about reordering, and with picture order counts of six bits.
  Bytes counting_sps() const {
    struct Sps : rtp::NalBuilder<Sps> {
      Sps() : NalBuilder(0x67) {}
    } sps;
    sps.put(77, 8).put(0, 8).put(10, 8).ue(0).ue(0).ue(0).ue(2).ue(4).put(0, 1);
    return sps.ue(large_ ? 19 : 10).ue(large_ ? 14 : 8).put(3, 2).put(0, 2).nal();
  }
  /// I and P pictures, or two B pictures behind every P picture; each of up to four slices, in single units, fragments or Annex B.
  std::vector<Bytes> h264() {
    const unsigned place = reordered_ ? run_++ % 3 : 0;
    const bool key = frame_ == 0 || (place == 0 && random_.unit() < keyframes_);
    if (key) run_ = 0;
    shown_ = timestamp_ + (!reordered_ || key ? 0 : place == 0 ? 2 * 3000u : 0u - 3000u);
    ++since_key_;
    if (key) since_key_ = 0;
    count_ = 2 * (since_key_ + (!reordered_ || key ? 0 : place == 0 ? 2 : -1u));
    if (random_.unit() < count_errors_) count_ = static_cast<unsigned>(random_.below(64));
    if (in_sending_order_) shown_ = timestamp_;
    const unsigned type = key ? 7 : place == 0 ? 5 : 6;
    const unsigned header = key ? 0x65 : place == 0 ? 0x41 : 0x01;
    const auto count = static_cast<unsigned>(1 + random_.below(4));
    std::vector<Bytes> units;
    if (key) {
      units.push_back(counted_ ? counting_sps() : large_ ? with({0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x78, 0x40}, {}) : with({0x67, 0x42, 0xc0, 0x0a, 0xda, 0x10, 0x9a, 0x10}, {}));
      units.push_back(with({0x68, 0xce, 0x3c, 0x80}, {}));
    }
    for (unsigned i = 0; i < count; ++i) units.push_back(slice(header, type, i, count));
    if (annex_b_ && random_.unit() < 0.5) {
      Bytes all;
      for (const Bytes& unit : units) all.insert(all.end(), {std::byte{0}, std::byte{0}, std::byte{1}}), all.insert(all.end(), unit.begin(), unit.end());
      return fragments(all);
    }
    std::vector<Bytes> out;
    for (const Bytes& unit : units) {
      if (random_.unit() < 0.7) {
        out.push_back(unit);
        continue;
      }
      for (Bytes& part : fragments(unit)) out.push_back(std::move(part));
    }
    return out;
  }
  std::vector<Bytes> fragments(const Bytes& unit) {
    const auto head = static_cast<unsigned>(unit[0]);
    std::vector<Bytes> out;
    for (std::size_t at = 1; at < unit.size(); at += 6) {
      const std::size_t size = std::min<std::size_t>(6, unit.size() - at);
      const unsigned flags = (at == 1 ? 0x80u : 0u) | (at + size == unit.size() ? 0x40u : 0u);
      out.push_back(with({(head & 0xe0) | 28u, flags | (head & 31)}, to_bytes(ByteView(unit).subspan(at, size))));
    }
    return out;
  }

  rtp::CodecName codec_;
  SeededRandom random_;
  Marks marks_;
  double repeats_, jumps_, garbage_, sources_, sizes_, keyframes_;
  double count_errors_;
  bool reordered_, annex_b_, counted_, in_sending_order_, large_ = false;
  unsigned count_ = 0, since_key_ = 0;  // picture order
  unsigned run_ = 0;
  std::uint32_t frame_ = 0, ssrc_ = 1;
  rtp::WireTimestamp timestamp_ = 0, shown_ = 0;
};

}  // namespace amphi::recording::test
