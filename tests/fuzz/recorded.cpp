#include "recorded.h"

using namespace amphi::recording;

namespace amphi::fuzz {
namespace {

Bytes payload(std::initializer_list<int> values) {
  Bytes out;
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}
const Bytes kKeyframe = payload({0x90, 0x80, 0x81, 0x02, 0x90, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01, 0, 0, 0, 0, 0, 0, 0, 0});
const Bytes kInterframe = payload({0x90, 0x80, 0x81, 0x03, 0x91, 0x00, 0x00, 0, 0, 0, 0, 0, 0, 0});
const Bytes kSps = payload({0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xec, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0c, 0x83, 0xc6, 0x0c, 0xa8});
const Bytes kPps = payload({0x68, 0xce, 0x3c, 0x80});
const Bytes kIdr = payload({0x65, 0xb8, 0x84, 1, 2, 3, 4});
const Bytes kSlice = payload({0x41, 0x9a, 1, 2, 3});
const Bytes kOpus = payload({0xf8, 0xff, 0xfe});


class Take {
 public:
  explicit Take(Recorded& out) : out_(out), disk_(out.folder), recorder_({RecordingId("rec_1"), SessionId("ses_1"), "surgeon", {1'795'000'000'000}}, Time{1h}) {
    const rtp::Codec codecs[] = {{rtp::CodecName::vp8, 90'000, 0, ""}, {rtp::CodecName::h264, 90'000, 0, "packetization-mode=1"}, {rtp::CodecName::opus, 48'000, 2, ""}};
    for (std::size_t i = 0; i < 3; ++i) recorder_.add_feed({feeds_[i], ParticipantId("par_1"), "surgeon", "Camera", codecs[i]}, now_);
    recorder_.add_marker("incision", "nurse", now_);
    for (int i = 0; i < 30; ++i) {
      if (i < 10 || i > 12) packet(0, i, i == 0 || i == 15 ? kKeyframe : kInterframe);
      packet(2, i, kOpus);
    }
    packet(1, 0, kSps, false);
    packet(1, 1, kPps, false);
    packet(1, 2, kIdr);
    packet(1, 3, kSlice);
    recorder_.stop(now_, {1'795'000'001'000});
    drain();
  }

 private:
  void packet(std::size_t feed, rtp::Seq seq, const Bytes& data, bool marker = true) {
    now_ += 11ms;
    recorder_.handle_packet(feeds_[feed], seq, {marker, 96, static_cast<rtp::WireSeq>(seq), static_cast<rtp::WireTimestamp>(seq * 2970), 7}, data, now_);
    recorder_.handle_timeout(now_);
    drain();
  }
  void drain() {
    while (auto output = recorder_.poll_output()) {
      const auto* op = std::get_if<FileOp>(&*output);
      if (op == nullptr) continue;
      if (const auto* write = std::get_if<WriteFile>(op); write != nullptr && write->file != 0) out_.heads_and_pieces.push_back(write->data);
      disk_.carry_out(*op, recorder_, now_);
    }
  }

  const FeedId feeds_[3] = {FeedId("fd_1"), FeedId("fd_2"), FeedId("fd_3")};
  Time now_{1h};
  Recorded& out_;
  MemoryDisk disk_;
  Recorder recorder_;
};

}  // namespace

Recorded::Recorded() { Take take(*this); }

}  // namespace amphi::fuzz
