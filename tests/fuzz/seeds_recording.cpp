// Seeds of the targets that read what a recording leaves on a disk: written by a recorder.
#include "recording/manifest.h"
#include "recording/recorder.h"
#include "rtp/packet.h"
#include "testing/peer/peer_node.h"
#include "tests/fuzz/seeds.h"

using namespace amphi;
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

/// A second of three feeds; the video's has a hole.
class Recorded {
 public:
  Recorded() : recorder_({RecordingId("rec_1"), SessionId("ses_1"), "surgeon", {1'795'000'000'000}}, Time{1h}) {
    const rtp::Codec codecs[] = {testing::vp8_codec(), testing::h264_codec(), testing::opus_codec()};
    for (std::size_t i = 0; i < 3; ++i)
      recorder_.add_feed({feeds_[i], ParticipantId("par_1"), "surgeon", "Camera", codecs[i]}, now_);
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
  std::string journal, manifest;
  std::vector<Bytes> heads_and_pieces;

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
      if (const auto* write = std::get_if<WriteFile>(op)) {
        if (write->file == 0) journal += as_text(write->data);
        else heads_and_pieces.push_back(write->data);
      } else if (const auto* hash = std::get_if<HashFile>(op)) {
        recorder_.handle_hash(hash->file, {}, now_);
      } else if (const auto* replace = std::get_if<ReplaceFile>(op)) {
        manifest = std::string(as_text(replace->data));
        recorder_.handle_replaced(now_);
      }
    }
  }

  const FeedId feeds_[3] = {FeedId("fd_1"), FeedId("fd_2"), FeedId("fd_3")};
  Time now_{1h};
  Recorder recorder_;
};

}  // namespace

void add_recording(Seeds& seeds) {
  const Recorded recorded;
  seeds.add("manifest", recorded.manifest);
  seeds.add("manifest", iso8601({1'795'000'000'250}));
  seeds.add("journal", recorded.journal);
  seeds.add("journal", recorded.journal + "---\n" + recorded.manifest);
  seeds.add("journal", recorded.journal.substr(0, recorded.journal.size() * 2 / 3));
  for (const Bytes& bytes : recorded.heads_and_pieces)
    if (bytes.size() <= 4096) seeds.add("containers", bytes);
  seeds.add("export_plan", std::string("\0\0\0\0", 4) + recorded.manifest);
  seeds.add("export_plan", std::string("\0\x64\x02\0", 4) + recorded.manifest + "\n---\n" + recorded.manifest);
}

}  // namespace amphi::fuzz
