#include "recording/mp4_header.h"

#include <algorithm>

namespace amphi::recording {
namespace {

void write_sample_tables(BoxWriter& out, const Frame& first) {
  const auto stbl = out.begin("stbl");
  const auto stsd = out.begin_full("stsd", 0, 0);
  out.u32(1);
  const auto avc1 = out.begin("avc1");
  out.zeros(6);
  out.u16(1);  // the data reference
  out.zeros(16);
  out.u16(first.width);
  out.u16(first.height);
  out.u32(0x480000);  // 72 dpi
  out.u32(0x480000);
  out.u32(0);
  out.u16(1);
  out.zeros(32);  // the compressor's name
  out.u16(24);
  out.u16(0xffff);
  const auto avcc = out.begin("avcC");
  out.bytes(avc_configuration(first));
  out.end(avcc);
  out.end(avc1);
  out.end(stsd);
  for (const char* type : {"stts", "stsc", "stsz", "stco"}) {  // empty: all samples are in fragments
    const auto table = out.begin_full(type, 0, 0);
    if (type == std::string_view("stsz")) out.u32(0);
    out.u32(0);
    out.end(table);
  }
  out.end(stbl);
}

void write_media(BoxWriter& out, const Frame& first, const Mp4Durations& durations) {
  const auto mdia = out.begin("mdia");
  const auto mdhd = out.begin_full("mdhd", 0, 0);
  out.zeros(8);
  out.u32(kMp4MediaScale);
  out.u32(durations.media);
  out.u16(0x55c4);  // language: undetermined
  out.u16(0);
  out.end(mdhd);
  const auto hdlr = out.begin_full("hdlr", 0, 0);
  out.u32(0);
  out.text("vide");
  out.zeros(12);
  out.text(std::string_view("video\0", 6));
  out.end(hdlr);
  const auto minf = out.begin("minf");
  const auto vmhd = out.begin_full("vmhd", 0, 1);
  out.zeros(8);
  out.end(vmhd);
  const auto dinf = out.begin("dinf");
  const auto dref = out.begin_full("dref", 0, 0);
  out.u32(1);
  out.end(out.begin_full("url ", 0, 1));  // the media is in this file
  out.end(dref);
  out.end(dinf);
  write_sample_tables(out, first);
  out.end(minf);
  out.end(mdia);
}

void write_track(BoxWriter& out, const Frame& first, const Mp4Durations& durations) {
  const auto trak = out.begin("trak");
  const auto tkhd = out.begin_full("tkhd", 0, 3);  // enabled, in the movie
  out.zeros(8);
  out.u32(1);
  out.u32(0);
  out.u32(durations.movie);
  out.zeros(16);
  out.unity_matrix();
  out.u32(first.width << 16);
  out.u32(first.height << 16);
  out.end(tkhd);
  write_media(out, first, durations);
  out.end(trak);
}

}  // namespace

Bytes avc_configuration(const Frame& first) {
  BoxWriter out;
  const Bytes& sps = first.sps.front();  // at least four bytes: it was parsed
  const auto profile = static_cast<unsigned>(sps[1]);
  out.u8(1);
  out.bytes(ByteView(sps).subspan(1, 3));
  out.u8(0xff);  // NAL units behind four bytes of length
  const auto write_sets = [&](const std::vector<Bytes>& sets, std::size_t most, unsigned flags) {
    const auto fits = [](const Bytes& set) { return set.size() <= 0xffff; };
    const auto count = std::min(most, static_cast<std::size_t>(std::count_if(sets.begin(), sets.end(), fits)));
    out.u8(flags | count);
    std::size_t written = 0;
    for (const Bytes& set : sets) {
      if (!fits(set) || written++ == count) continue;
      out.u16(set.size());
      out.bytes(set);
    }
  };
  write_sets(first.sps, 31, 0xe0);
  write_sets(first.pps, 255, 0);
  if (profile == 100) {  // High is 4:2:0 in eight bits
    out.u8(0xfc | 1);
    out.u8(0xf8);
    out.u8(0xf8);
    out.u8(0);
  }
  return out.take();
}

void write_mp4_header(BoxWriter& out, const Frame& first, const std::optional<Mp4Durations>& known) {
  const Mp4Durations durations = known.value_or(Mp4Durations{});
  const auto ftyp = out.begin("ftyp");
  out.text("iso5");
  out.u32(0x200);
  for (const char* brand : {"iso5", "iso6", "avc1", "mp41"}) out.text(brand);
  out.end(ftyp);

  const auto moov = out.begin("moov");
  const auto mvhd = out.begin_full("mvhd", 0, 0);
  out.zeros(8);
  out.u32(kMp4MovieScale);
  out.u32(durations.movie);
  out.u32(0x10000);  // rate 1
  out.u16(0x100);    // volume 1
  out.zeros(10);
  out.unity_matrix();
  out.zeros(24);
  out.u32(2);  // the next track's number
  out.end(mvhd);
  write_track(out, first, durations);

  const auto mvex = out.begin("mvex");
  const auto extends = known ? out.begin_full("mehd", 0, 0) : out.begin("free");  // of 16 bytes, either
  if (!known) out.u32(0);
  out.u32(durations.movie);
  out.end(extends);
  const auto trex = out.begin_full("trex", 0, 0);
  out.u32(1);
  out.u32(1);
  out.zeros(12);
  out.end(trex);
  out.end(mvex);
  out.end(moov);
}

}  // namespace amphi::recording
