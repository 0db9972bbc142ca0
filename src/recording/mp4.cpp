#include "recording/mp4.h"

#include <algorithm>

#include "recording/box.h"
#include "recording/mp4_header.h"

namespace amphi::recording {
namespace {

constexpr std::uint32_t kSyncSample = 0x02000000;
constexpr std::uint32_t kOtherSample = 0x01010000;
constexpr std::int64_t kMost32 = 0xffff'ffff;

std::int64_t ticks(Duration time) {
  const std::int64_t ns = time.count();
  return ns / 1'000'000'000 * kMp4MediaScale + (ns % 1'000'000'000 * kMp4MediaScale + 500'000'000) / 1'000'000'000;
}

std::uint32_t in_movie_scale(std::int64_t media_ticks) {
  return static_cast<std::uint32_t>(std::min(media_ticks * kMp4MovieScale / kMp4MediaScale, kMost32));
}

}  // namespace

Mp4File::Mp4File(FileAppender file, std::string name, const Frame& first, std::size_t index_entries)
    : TrackFile(std::move(file)) {
  file_.open(std::move(name));
  write_header(first, index_entries);
}

void Mp4File::write_header(const Frame& first, std::size_t index_entries) {
  BoxWriter out;
  const Mp4Places places = write_mp4_header(out, first);
  movie_duration_ = places.movie_duration;
  track_duration_ = places.track_duration;
  media_duration_ = places.media_duration;
  extends_ = places.extends;
  index_ = out.size();
  index_bytes_ = 40 + 12 * std::max<std::size_t>(index_entries, 1) + 8;  // and a free box behind it
  const auto reserve = out.begin("free");
  out.zeros(index_bytes_ - 8);
  out.end(reserve);
  file_.append(out.take());
}

void Mp4File::settle(std::int64_t next_time) {
  if (!newest_) return;
  newest_->duration = std::clamp<std::int64_t>(next_time - newest_->time, 1, kMost32);
  end_ = newest_->time + newest_->duration;
  samples_.push_back(std::move(*newest_));
  newest_.reset();
}

void Mp4File::add(Frame frame, Duration time, Time now) {
  std::int64_t at = std::max<std::int64_t>(ticks(time), 0);
  at = std::max(at, newest_ ? newest_->time + 1 : end_);
  settle(at);
  const std::int64_t begun = samples_.empty() ? at : samples_.front().time;
  if (frame.keyframe || at - begun >= ticks(kSpan) || bytes_ + frame.data.size() > kMaxPieceBytes) write_fragment();
  if (samples_.empty()) opened_ = now;
  bytes_ += frame.data.size();
  newest_.emplace(Sample{at, 0, frame.keyframe, std::move(frame.data), now});
}

Time Mp4File::next_timeout() const {
  if (!samples_.empty()) return opened_ + kSpan;
  return newest_ ? newest_->added + kSpan : Time::max();
}

void Mp4File::handle_timeout(Time now) {
  if (now < next_timeout()) return;
  // A frame that nothing follows is written with a short duration, for a crash must not take it; the fragment after it
  // tells its own time.
  if (newest_ && now - newest_->added >= kSpan) settle(newest_->time + ticks(33ms));
  write_fragment();
}

void Mp4File::write_fragment() {
  if (samples_.empty()) return;
  BoxWriter out;
  const auto moof = out.begin("moof");
  const auto mfhd = out.begin_full("mfhd", 0, 0);
  out.u32(++fragments_);
  out.end(mfhd);
  const auto traf = out.begin("traf");
  const auto tfhd = out.begin_full("tfhd", 0, 0x020000);  // offsets count from the moof
  out.u32(1);
  out.end(tfhd);
  const auto tfdt = out.begin_full("tfdt", 1, 0);
  out.u64(static_cast<std::uint64_t>(samples_.front().time));
  out.end(tfdt);
  const auto trun = out.begin_full("trun", 0, 0x000701);  // data offset; durations, sizes, flags
  out.u32(samples_.size());
  const std::size_t data_offset = out.size();
  out.u32(0);
  for (const Sample& sample : samples_) {
    out.u32(static_cast<std::uint64_t>(sample.duration));
    out.u32(sample.data.size());
    out.u32(sample.keyframe ? kSyncSample : kOtherSample);
  }
  out.end(trun);
  out.end(traf);
  out.end(moof);
  const auto mdat = out.begin("mdat");
  out.patch_u32(data_offset, static_cast<std::uint32_t>(out.size()));
  for (const Sample& sample : samples_) {
    bytes_ -= sample.data.size();
    out.bytes(sample.data);
  }
  out.end(mdat);
  add_piece({samples_.front().time, file_.size(), out.size(), samples_.front().keyframe});
  samples_.clear();
  file_.append(out.take());
  file_.sync();
}

void Mp4File::add_piece(const Piece& piece) {
  // One entry per keyframe, and for those a second apart: what one can seek to, and no more than memory should hold.
  const bool entry = pieces_.empty() || (piece.keyframe && piece.time - pieces_.back().time >= kMp4MediaScale);
  if (entry)
    pieces_.push_back(piece);
  else
    pieces_.back().size += piece.size;
}

void Mp4File::write_sidx() {
  const std::size_t capacity = (index_bytes_ - 48) / 12;
  std::vector<Piece> entries = pieces_;
  while (entries.size() > capacity) {
    std::vector<Piece> merged;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (i % 2 == 0)
        merged.push_back(entries[i]);
      else
        merged.back().size += entries[i].size;
    }
    entries = std::move(merged);
  }
  BoxWriter out;
  const auto sidx = out.begin_full("sidx", 1, 0);
  out.u32(1);
  out.u32(kMp4MediaScale);
  out.u64(static_cast<std::uint64_t>(entries.front().time));
  out.u64(index_bytes_ - (40 + 12 * entries.size()));  // from the end of this box to the first fragment
  out.u16(0);
  out.u16(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::int64_t until = i + 1 < entries.size() ? entries[i + 1].time : end_;
    const std::int64_t duration = until - entries[i].time;
    if (entries[i].size > 0x7fff'ffff || duration > kMost32) return;  // beyond what an entry can say: better no index
    out.u32(entries[i].size);
    out.u32(static_cast<std::uint64_t>(duration));
    out.u32(entries[i].keyframe ? 0x90000000 : 0);
  }
  out.end(sidx);
  const auto rest = out.begin("free");
  out.zeros(index_bytes_ - out.size());
  out.end(rest);
  file_.patch(index_, out.take());
}

void Mp4File::write_mfra() {
  BoxWriter out;
  const auto mfra = out.begin("mfra");
  const auto tfra = out.begin_full("tfra", 1, 0);
  out.u32(1);
  out.u32(0);  // numbers of traf, trun and sample take a byte each
  const auto keyframes = std::count_if(pieces_.begin(), pieces_.end(), [](const Piece& p) { return p.keyframe; });
  out.u32(static_cast<std::uint64_t>(keyframes));
  for (const Piece& piece : pieces_) {
    if (!piece.keyframe) continue;
    out.u64(static_cast<std::uint64_t>(piece.time));
    out.u64(piece.position);
    for (int i = 0; i < 3; ++i) out.u8(1);
  }
  out.end(tfra);
  const auto mfro = out.begin_full("mfro", 0, 0);
  out.u32(out.size() + 4 - mfra);
  out.end(mfro);
  out.end(mfra);
  file_.append(out.take());
}

void Mp4File::patch_durations() {
  const auto patch = [this](std::uint64_t at, std::uint32_t value) {
    BoxWriter out;
    out.u32(value);
    file_.patch(at, out.take());
  };
  patch(movie_duration_, in_movie_scale(end_));
  patch(track_duration_, in_movie_scale(end_));
  patch(media_duration_, static_cast<std::uint32_t>(std::min(end_, kMost32)));
  BoxWriter out;
  const auto mehd = out.begin_full("mehd", 0, 0);
  out.u32(in_movie_scale(end_));
  out.end(mehd);
  file_.patch(extends_, out.take());
}

void Mp4File::finish(Duration duration) {
  settle(ticks(duration));
  write_fragment();
  end_ = std::max(end_, ticks(duration));
  write_mfra();
  file_.sync();  // what the front is about to point to
  write_sidx();
  patch_durations();
  file_.sync();
}

Duration Mp4File::end() const {
  const std::int64_t end = newest_ ? std::max(end_, newest_->time + 1) : end_;
  return Duration(end / kMp4MediaScale * 1'000'000'000 + end % kMp4MediaScale * 1'000'000'000 / kMp4MediaScale);
}

}  // namespace amphi::recording
