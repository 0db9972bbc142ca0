// For tests: real media made by the ffmpeg command, split into coded frames (IVF, H.264 Annex B, Ogg), and minimal RTP
// packetizers (RFC 7741, RFC 6184, RFC 7587) that are independent of the code under test.
#pragma once

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "rtp/codec.h"

namespace amphi::recording::test {

struct CommandResult {
  int status = -1;
  std::string text;  // both of its streams
};
inline CommandResult run(const std::string& command) {
  CommandResult result;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return result;
  std::array<char, 4096> buffer;
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe))
    result.text.append(buffer.data(), count);
  result.status = ::pclose(pipe);
  return result;
}

inline Bytes read_whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return to_bytes(as_bytes(text));
}

inline unsigned at(ByteView data, std::size_t i) {
  return static_cast<unsigned>(data[i]);
}

inline std::vector<Bytes> ivf_frames(const Bytes& file) {
  std::vector<Bytes> frames;
  for (std::size_t i = 32; i + 12 <= file.size();) {
    const std::size_t size = at(file, i) | at(file, i + 1) << 8 | at(file, i + 2) << 16;
    frames.push_back(to_bytes(ByteView(file).subspan(i + 12, size)));
    i += 12 + size;
  }
  return frames;
}

/// The NAL units of each access unit; each begins with a delimiter, which is left out.
inline std::vector<std::vector<Bytes>> annexb_access_units(const Bytes& file) {
  std::vector<std::vector<Bytes>> units;
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i + 3 < file.size(); ++i) {
    if (at(file, i) == 0 && at(file, i + 1) == 0 && at(file, i + 2) == 1) starts.push_back(i + 3);
  }
  for (std::size_t n = 0; n < starts.size(); ++n) {
    std::size_t end = n + 1 < starts.size() ? starts[n + 1] - 3 : file.size();
    while (end > starts[n] && at(file, end - 1) == 0) --end;
    const ByteView nal = ByteView(file).subspan(starts[n], end - starts[n]);
    if ((at(nal, 0) & 31) == 9)
      units.emplace_back();
    else
      units.back().push_back(to_bytes(nal));
  }
  return units;
}

/// The packets of an Ogg stream after its two header packets.
inline std::vector<Bytes> ogg_packets(const Bytes& file) {
  std::vector<Bytes> packets;
  Bytes open;
  for (std::size_t i = 0; i + 27 <= file.size();) {
    const std::size_t segments = at(file, i + 26);
    std::size_t body = i + 27 + segments;
    for (std::size_t s = 0; s < segments; ++s) {
      const std::size_t size = at(file, i + 27 + s);
      open.insert(open.end(), file.begin() + static_cast<std::ptrdiff_t>(body),
                  file.begin() + static_cast<std::ptrdiff_t>(body + size));
      body += size;
      if (size < 255) packets.push_back(std::move(open)), open.clear();
    }
    i = body;
  }
  packets.erase(packets.begin(), packets.begin() + 2);
  return packets;
}

using Payloads = std::vector<Bytes>;  // of one frame; the last one carries the marker
constexpr std::size_t kMtu = 1100;

inline Bytes joined(std::initializer_list<unsigned> head, ByteView tail) {
  Bytes out;
  for (const unsigned byte : head) out.push_back(static_cast<std::byte>(byte));
  out.insert(out.end(), tail.begin(), tail.end());
  return out;
}

inline Payloads packetize_vp8(ByteView frame, unsigned picture_id) {
  Payloads payloads;
  for (std::size_t i = 0; i < frame.size(); i += kMtu) {
    const ByteView part = frame.subspan(i, std::min(kMtu, frame.size() - i));
    payloads.push_back(
        joined({0x80u | (i == 0 ? 0x10u : 0u), 0x80u, 0x80u | (picture_id >> 8 & 0x7f), picture_id & 0xff}, part));
  }
  return payloads;
}

/// Parameter sets in one STAP-A, what is larger than a packet in FU-As.
inline Payloads packetize_h264(const std::vector<Bytes>& nals) {
  Payloads payloads;
  Bytes sets;
  for (const Bytes& nal : nals) {
    const unsigned type = at(nal, 0) & 31;
    if (type == 7 || type == 8) {
      if (sets.empty()) sets = joined({0x78}, {});
      const Bytes unit =
          joined({static_cast<unsigned>(nal.size() >> 8), static_cast<unsigned>(nal.size() & 0xff)}, nal);
      sets.insert(sets.end(), unit.begin(), unit.end());
      continue;
    }
    if (!sets.empty()) payloads.push_back(std::move(sets)), sets.clear();
    if (nal.size() <= kMtu) {
      payloads.push_back(nal);
      continue;
    }
    for (std::size_t i = 1; i < nal.size(); i += kMtu) {
      const std::size_t size = std::min(kMtu, nal.size() - i);
      const unsigned flags = (i == 1 ? 0x80u : 0u) | (i + size == nal.size() ? 0x40u : 0u);
      payloads.push_back(joined({(at(nal, 0) & 0xe0) | 28u, flags | type}, ByteView(nal).subspan(i, size)));
    }
  }
  return payloads;
}

/// What a track file holds of an access unit.
inline Bytes length_prefixed(const std::vector<Bytes>& nals) {
  Bytes out;
  for (const Bytes& nal : nals) {
    const Bytes unit = joined({0, static_cast<unsigned>(nal.size() >> 16 & 0xff),
                               static_cast<unsigned>(nal.size() >> 8 & 0xff), static_cast<unsigned>(nal.size() & 0xff)},
                              nal);
    out.insert(out.end(), unit.begin(), unit.end());
  }
  return out;
}

}  // namespace amphi::recording::test
