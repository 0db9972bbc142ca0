#include "recording/mp4.h"

#include <algorithm>

#include "recording/box.h"
#include "recording/frame_clock.h"
#include "recording/mp4_header.h"

namespace amphi::recording {
namespace {

constexpr std::uint32_t kSyncSample = 0x02000000;
constexpr std::uint32_t kOtherSample = 0x01010000;
constexpr std::int64_t kMost32 = 0xffff'ffff;

std::int64_t ticks(Duration time) { return to_ticks(time, kMp4MediaScale); }

/// As the manifest says it: one number for one duration.
std::uint32_t in_movie_scale(std::int64_t media_ticks) {
  static_assert(kMp4MovieScale == 1000);
  return static_cast<std::uint32_t>(std::min(rounded_ms(from_ticks(media_ticks, kMp4MediaScale)), kMost32));
}

/// And a free box behind it.
std::size_t place_for(std::size_t index_entries) { return 40 + 12 * std::max<std::size_t>(index_entries, 1) + 8; }

Frame without_data(Frame frame) {
  frame.data.clear();
  return frame;
}

}  // namespace

Mp4File::Mp4File(TrackOutput output, std::string name, const Frame& first, std::size_t index_entries)
    : TrackFile(std::move(output)), first_(without_data(first)), index_bytes_(place_for(index_entries)) {
  output_.open(std::move(name), head(std::nullopt));
}

Mp4File::Mp4File(TrackOutput output, const JournalTrack& track)
    : TrackFile(std::move(output)), first_(track.first), index_bytes_(place_for(kIndexEntries)) {
  for (const Piece& piece : track.pieces) {
    add_piece(piece);
    ++fragments_;
    end_ = piece.to;
  }
  output_.reopen(track.record.summary.path, track.record.bytes);
}

Bytes Mp4File::head(std::optional<std::int64_t> end) const {
  BoxWriter out;
  std::optional<Mp4Durations> durations;
  if (end) durations = Mp4Durations{in_movie_scale(*end), static_cast<std::uint32_t>(std::min(*end, kMost32))};
  write_mp4_header(out, first_, durations);
  const std::size_t full = out.size() + index_bytes_;
  if (end) out.bytes(index());
  const auto rest = out.begin("free");
  out.zeros(full - out.size());
  out.end(rest);
  return out.take();
}

void Mp4File::settle() {
  if (!newest_) return;
  if (samples_.empty()) opened_ = newest_->added;
  samples_.push_back(std::move(*newest_));
  newest_.reset();
}

void Mp4File::add(Frame frame, std::int64_t at, Time now) {
  settle();
  clock_.expect(at, frame.keyframe);
  Sample next{at, frame.keyframe, std::move(frame.data), now};
  const std::int64_t begun = samples_.empty() ? at : samples_.front().time;
  if (next.keyframe || at - begun >= ticks(kSpan) || bytes_ + next.data.size() > kMaxPieceBytes) write_fragment(&next);
  bytes_ += next.data.size();
  newest_.emplace(std::move(next));
}

Time Mp4File::next_timeout() const {
  if (!samples_.empty()) return opened_ + kSpan;
  return newest_ ? newest_->added + kSpan : Time::max();
}

void Mp4File::handle_timeout(Time now) {
  if (now < next_timeout()) return;
  // A frame that nothing follows is written as if it lasted a tick, for a crash must not take it; the fragment after it tells its own time.
  if (newest_ && now - newest_->added >= kSpan) settle();
  write_fragment(newest_ ? &*newest_ : nullptr);
}

void Mp4File::write_fragment(const Sample* next, std::int64_t end) {
  if (samples_.empty()) return;
  std::vector<std::int64_t> decoded;  // when each sample is; behind them where the last one ends
  std::int64_t first = samples_.front().time;
  for (const Sample& sample : samples_) {
    decoded.push_back(clock_.place(sample.time, sample.keyframe));
    first = std::min(first, sample.time);
    newest_time_ = std::max(newest_time_, sample.time);
  }
  if (next != nullptr) end = DecodeClock(clock_).place(next->time, next->keyframe);
  decoded.push_back(decoded.back() + std::clamp<std::int64_t>(end - decoded.back(), 1, kMost32));
  end_ = std::max({end_, decoded.back(), newest_time_ + 1});

  Bytes fragment = write_boxes(decoded);
  const Piece piece{{output_.size(), fragment.size(), {}, std::nullopt}, first, end_, samples_.size(), samples_.front().keyframe};
  samples_.clear();
  add_piece(piece);
  output_.piece(std::move(fragment), piece);
}

Bytes Mp4File::write_boxes(const std::vector<std::int64_t>& decoded) {
  const auto offset = [&](std::size_t i) { return samples_[i].time - decoded[i]; };
  bool reordered = false, before = false;  // some frame is shown at another time than decoded; even before it is
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    reordered = reordered || offset(i) != 0;
    before = before || offset(i) < 0;
  }
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
  out.u64(static_cast<std::uint64_t>(decoded.front()));
  out.end(tfdt);
  // Data offset; durations, sizes, flags, and composition offsets, which version 1 has with a sign.
  const auto trun = out.begin_full("trun", before ? 1 : 0, reordered ? 0x000f01 : 0x000701);
  out.u32(samples_.size());
  const std::size_t data_offset = out.size();
  out.u32(0);
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    out.u32(static_cast<std::uint64_t>(decoded[i + 1] - decoded[i]));
    out.u32(samples_[i].data.size());
    out.u32(samples_[i].keyframe ? kSyncSample : kOtherSample);
    if (reordered) out.u32(static_cast<std::uint32_t>(offset(i)));
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
  return out.take();
}

void Mp4File::add_piece(const Piece& piece) {
  // One entry per keyframe, and for those a second apart: what one can seek to, and no more than memory should hold.
  const bool entry = entries_.empty() || (piece.keyframe && piece.from - entries_.back().time >= kMp4MediaScale);
  if (entry)
    entries_.push_back({piece.from, piece.extent.at, piece.extent.size, piece.keyframe});
  else
    entries_.back().size += piece.extent.size;
}

/// Empty where it cannot say what it has to: better no index than a false one.
Bytes Mp4File::index() const {
  const std::size_t capacity = (index_bytes_ - 48) / 12;
  std::vector<Entry> entries = entries_;
  if (entries.empty()) return {};
  while (entries.size() > capacity) {
    std::vector<Entry> merged;
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
    if (entries[i].size > 0x7fff'ffff || duration > kMost32) return {};
    out.u32(entries[i].size);
    out.u32(static_cast<std::uint64_t>(duration));
    out.u32(entries[i].keyframe ? 0x90000000 : 0);
  }
  out.end(sidx);
  return out.take();
}

Bytes Mp4File::mfra() const {
  BoxWriter out;
  const auto mfra = out.begin("mfra");
  const auto tfra = out.begin_full("tfra", 1, 0);
  out.u32(1);
  out.u32(0);  // numbers of traf, trun and sample take a byte each
  const auto keyframes = std::count_if(entries_.begin(), entries_.end(), [](const Entry& e) { return e.keyframe; });
  out.u32(static_cast<std::uint64_t>(keyframes));
  for (const Entry& entry : entries_) {
    if (!entry.keyframe) continue;
    out.u64(static_cast<std::uint64_t>(entry.time));
    out.u64(entry.position);
    for (int i = 0; i < 3; ++i) out.u8(1);
  }
  out.end(tfra);
  const auto mfro = out.begin_full("mfro", 0, 0);
  out.u32(out.size() + 4 - mfra);
  out.end(mfro);
  out.end(mfra);
  return out.take();
}

TrackEnd Mp4File::finish(Duration duration) {
  settle();
  write_fragment(nullptr, ticks(duration));
  end_ = std::max(end_, ticks(duration));
  return output_.finish(mfra(), head(end_));
}

Duration Mp4File::end() const {
  const std::int64_t end = newest_ ? std::max(end_, newest_->time + 1) : end_;
  return from_ticks(end, kMp4MediaScale);
}

}  // namespace amphi::recording
