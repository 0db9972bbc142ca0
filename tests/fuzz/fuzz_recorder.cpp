// A recording fed with whatever arrives: two feeds, any packets in any order, any answers of the storage. Its files are
// opened before they are written and closed at the end; every manifest reads back; it finishes exactly once.
#include <map>

#include "fuzz.h"
#include "recording/recorder.h"

using namespace amphi;
using namespace amphi::recording;

namespace {

struct World {
  Time now{1h};
  Recorder recorder{{RecordingId("rec_1"), SessionId("ses_1"), "surgeon", {1'795'000'000'000}}, now};
  std::map<FileNumber, bool> open;
  int finished = 0;
  bool storage_failed = false;  // then what is still open is the owner's to close

  void perform(const FileOp& op) {
    const auto is_open = [&](FileNumber file) { return open.contains(file) && open.at(file); };
    if (const auto* opened = std::get_if<OpenFile>(&op)) {
      fuzz::require(open.try_emplace(opened->file, true).second, "a file number is given once");
      fuzz::require(is_safe_path_name(opened->name), "a file's name is a plain name");
    } else if (const auto* write = std::get_if<WriteFile>(&op)) {
      fuzz::require(is_open(write->file), "only an open file is written");
    } else if (const auto* close = std::get_if<CloseFile>(&op)) {
      fuzz::require(is_open(close->file), "only an open file is closed");
      open[close->file] = false;
    } else if (const auto* hash = std::get_if<HashFile>(&op)) {
      recorder.handle_hash(hash->file, {}, now);
    } else if (const auto* replace = std::get_if<ReplaceFile>(&op)) {
      fuzz::require(parse_manifest(as_text(replace->data)).has_value(), "a manifest reads back");
      recorder.handle_replaced(now);
    }
  }
  void drain() {
    while (const auto output = recorder.poll_output()) {
      if (const auto* op = std::get_if<FileOp>(&*output)) perform(*op);
      if (std::holds_alternative<Finished>(*output)) fuzz::require(++finished == 1, "it finishes once");
    }
  }
  void move(Duration by) {
    now += by;
    recorder.handle_timeout(now);
  }
};

const rtp::Codec kCodecs[] = {{rtp::CodecName::vp8, 90'000, 0, ""},
                              {rtp::CodecName::h264, 90'000, 0, "packetization-mode=1;profile-level-id=42e01f"},
                              {rtp::CodecName::opus, 48'000, 2, ""}};

/// One feed's numbers: small steps most of the time, so that frames become whole.
struct Source {
  FeedId id;
  rtp::Seq seq = 65'530;
  std::uint32_t timestamp = 0xffff'0000;
};

void packet(World& world, Source& source, std::uint8_t flags, fuzz::Input& in) {
  source.seq += (flags & 0x10) ? static_cast<std::int8_t>(in.u8()) : 1;
  if (flags & 0x20) source.timestamp += (flags & 0x40) ? in.u16() * 0x1001u : 3000u;
  const rtp::RtpHeader header{(flags & 0x80) != 0, 96, static_cast<rtp::WireSeq>(source.seq), source.timestamp, 7};
  world.recorder.handle_packet(source.id, source.seq, header, in.piece(), world.now);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  World world;
  Source sources[] = {{FeedId("fd_1")}, {FeedId("fd_2")}};
  const std::uint8_t mode = in.u8();
  const std::string label(as_text(in.short_piece()));
  world.recorder.add_feed({sources[0].id, ParticipantId("par_1"), "surgeon", label, kCodecs[mode % 3]}, world.now);
  const FeedInfo second{sources[1].id, ParticipantId("par_2"), label, "light", kCodecs[mode / 3 % 3]};
  if (mode & 0x80) world.recorder.add_feed(second, world.now);

  while (!in.done()) {
    const std::uint8_t what = in.u8();
    Source& source = sources[what >> 3 & 1];
    switch (what & 7) {
      case 0: world.move(milliseconds(in.u8())); break;
      case 1: world.move(seconds(in.u8() & 0x1f)); break;
      case 2: {
        const std::uint64_t ntp = std::uint64_t{in.u8()} << 32 | std::uint64_t{in.u16()} << 16;
        world.recorder.handle_sender_report(source.id, {ntp}, source.timestamp + in.u16(), world.now);
        break;
      }
      case 3:
        switch (in.u8() & 7) {
          case 0: world.recorder.remove_feed(source.id, world.now); break;
          case 1: world.recorder.add_feed(second, world.now); break;
          case 2: world.recorder.handle_overflow(source.id, in.u16(), world.now); break;
          case 3:
            world.storage_failed = true;
            world.recorder.handle_storage_error({ErrorCode::storage, label}, world.now);
            break;
          case 4: world.recorder.stop(world.now, {1'795'000'100'000}); break;
        }
        break;
      default: packet(world, source, what, in);
    }
    world.drain();
  }
  world.recorder.stop(world.now, {1'795'000'100'000});
  world.drain();
  world.move(60s);
  world.drain();
  fuzz::require(world.finished == 1, "a stopped recording finishes");
  for (const auto& [file, is_open] : world.open) fuzz::require(!is_open || world.storage_failed, "every file is closed at the end");
  return 0;
}
