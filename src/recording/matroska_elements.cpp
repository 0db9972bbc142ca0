#include "recording/matroska_elements.h"

namespace amphi::recording::matroska {
namespace {

constexpr std::uint16_t kOpusPreSkip = 312;  // libopus's look-ahead, 6.5 ms

Bytes opus_head(std::uint8_t channels) {  // RFC 7845 5.1
  Bytes head = to_bytes(as_bytes("OpusHead"));
  const std::uint8_t rest[] = {1, channels, kOpusPreSkip & 0xff, kOpusPreSkip >> 8, 0x80, 0xbb, 0, 0, 0, 0, 0};
  for (const std::uint8_t byte : rest) head.push_back(std::byte{byte});
  return head;
}

void write_opus(EbmlWriter& out, std::uint8_t channels) {
  out.text(kCodecId, "A_OPUS");
  out.binary(kCodecPrivate, opus_head(channels));
  out.unsigned_integer(kCodecDelay, std::uint64_t{kOpusPreSkip} * 1'000'000'000 / 48'000);
  out.unsigned_integer(kSeekPreRoll, 80'000'000);
  const auto audio = out.begin(kAudio);
  out.floating(kSamplingFrequency, 48'000);
  out.unsigned_integer(kChannels, channels);
  out.end(audio);
}

}  // namespace

void write_ebml_head(EbmlWriter& out, std::string_view doc_type) {
  const auto ebml = out.begin(kEbml);
  out.unsigned_integer(kEbmlVersion, 1);
  out.unsigned_integer(kEbmlReadVersion, 1);
  out.unsigned_integer(kEbmlMaxIdLength, 4);
  out.unsigned_integer(kEbmlMaxSizeLength, 8);
  out.text(kDocType, doc_type);
  out.unsigned_integer(kDocTypeVersion, 4);
  out.unsigned_integer(kDocTypeReadVersion, 2);
  out.end(ebml);
}

void write_seek_head(EbmlWriter& out, std::initializer_list<std::pair<std::uint32_t, std::uint64_t>> places) {
  const auto seek_head = out.begin(kSeekHead);
  for (const auto& [element, position] : places) {
    const auto seek = out.begin(kSeek);
    EbmlWriter id;
    id.id(element);
    out.binary(kSeekId, id.take());
    out.unsigned_integer(kSeekPosition, position);
    out.end(seek);
  }
  out.end(seek_head);
}

void write_track_basics(EbmlWriter& out, std::uint64_t number, const rtp::Codec& codec) {
  out.unsigned_integer(kTrackNumber, number);
  out.unsigned_integer(kTrackUid, number);
  out.unsigned_integer(kTrackType, codec.kind() == rtp::Kind::video ? 1 : 2);
  out.unsigned_integer(kFlagLacing, 0);
}

void write_codec(EbmlWriter& out, const rtp::Codec& codec, std::uint32_t width, std::uint32_t height, ByteView avc) {
  if (codec.name == rtp::CodecName::opus) return write_opus(out, codec.channels == 1 ? 1 : 2);
  const bool h264 = codec.name == rtp::CodecName::h264;
  out.text(kCodecId, h264 ? "V_MPEG4/ISO/AVC" : "V_VP8");
  if (h264) out.binary(kCodecPrivate, avc);
  const auto video = out.begin(kVideo);
  out.unsigned_integer(kPixelWidth, width);
  out.unsigned_integer(kPixelHeight, height);
  out.end(video);
}

}  // namespace amphi::recording::matroska
