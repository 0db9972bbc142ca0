#include "recording/h264_picture.h"

#include <algorithm>
#include <functional>
#include <string_view>

#include "rtp/h264_wire.h"

namespace amphi::recording {
namespace {

using namespace rtp::h264;

unsigned nal_type(ByteView nal) { return static_cast<unsigned>(nal[0]) & kTypeMask; }

bool is_set(ByteView nal) { return nal_type(nal) == kSps || nal_type(nal) == kPps; }

/// Cannot follow a slice of the same primary coded picture (7.4.1.2.3).
bool belongs_to_next(unsigned type) { return (type >= kSei && type <= kDelimiter) || (type >= 14 && type <= 18); }

void append_unit(Bytes& out, const Bytes& nal) {
  const auto size = static_cast<std::uint32_t>(nal.size());
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::byte>(size >> shift));
  out.insert(out.end(), nal.begin(), nal.end());
}

}  // namespace

bool H264ParameterSets::contains(ByteView nal) const {
  const auto is_same = [&](const auto& entry) { return std::equal(nal.begin(), nal.end(), entry.second.nal.begin(), entry.second.nal.end()); };
  return std::any_of(sps_.begin(), sps_.end(), is_same) || std::any_of(pps_.begin(), pps_.end(), is_same);
}

bool H264ParameterSets::add(ByteView nal) {
  if (nal.size() > kMaxSetBytes) return false;
  if (auto sps = rtp::parse_sps(nal)) {
    const std::uint8_t id = sps->id;
    const bool waits = active_ == id && sps->decoding != sps_[id].parsed.decoding;
    if (active_ == id) {
      next_sps_.reset();
      next_pps_.clear();
    }
    if (waits) next_sps_ = {to_bytes(nal), std::move(*sps)};
    else sps_[id] = {to_bytes(nal), std::move(*sps)};
    return true;
  }
  const auto pps = rtp::parse_pps(nal);
  if (!pps) return false;
  const bool waits = next_sps_ && pps->sps == active_;
  (waits ? next_pps_ : pps_)[pps->id] = {to_bytes(nal), *pps};
  return true;
}

bool H264ParameterSets::is_written(ByteView nal) const {
  return contains(nal) && std::none_of(pps_.begin(), pps_.end(), [&](const auto& entry) {
    return !is_usable(entry.second) && std::equal(nal.begin(), nal.end(), entry.second.nal.begin(), entry.second.nal.end());
  });
}

void H264ParameterSets::take_waiting() {
  if (next_sps_) sps_[*active_] = std::move(*next_sps_);
  next_sps_.reset();
  for (auto& [id, pps] : next_pps_) pps_[id] = std::move(pps);
  next_pps_.clear();
}

bool H264ParameterSets::activate(std::uint8_t pps) {
  deactivate();
  const auto active = find(pps);
  if (active) active_ = active->sps.id;
  return active.has_value();
}

void H264ParameterSets::deactivate() {
  take_waiting();
  active_.reset();
}

std::optional<H264ParameterSets::Active> H264ParameterSets::find(std::uint8_t id) const {
  const auto pps = pps_.find(id);
  const auto sps = pps == pps_.end() ? sps_.end() : sps_.find(pps->second.parsed.sps);
  if (sps == sps_.end()) return std::nullopt;
  return Active{sps->second.parsed, pps->second.parsed, active_.value_or(sps->first) == sps->first};
}

void H264ParameterSets::describe(Frame& keyframe, std::uint8_t id) const {
  const auto active = find(id);
  if (!active) return;
  keyframe.width = active->sps.width;
  keyframe.height = active->sps.height;
  for (const auto& [number, pps] : pps_)
    if (is_usable(pps)) keyframe.pps.push_back(pps.nal);
  for (const auto& entry : sps_) {
    const std::uint8_t number = entry.first;
    const bool referred = std::any_of(pps_.begin(), pps_.end(), [&](const auto& pps) { return is_usable(pps.second) && pps.second.parsed.sps == number; });
    if (referred) keyframe.sps.insert(number == active->sps.id ? keyframe.sps.begin() : keyframe.sps.end(), entry.second.nal);
  }
}

std::optional<Drop> H264Picture::take(Bytes nal, H264Stream& stream, bool is_known) {
  const unsigned type = nal_type(nal);
  if (type >= kSlice && type <= kIdr) {
    if (const auto why = take_slice(nal, type, stream)) return why;
  } else if (belongs_to_next(type) && slices_ > 0) {
    if (!next_begins_) decoder_changes_ = false;
    next_begins_ = next_begins_.value_or(units_.size());
    decoder_changes_ = decoder_changes_ || type == kDelimiter || (is_set(nal) && !is_known);
  }
  has_sps_ = has_sps_ || type == kSps;
  bytes_ += nal.size();
  units_.push_back(std::move(nal));
  return std::nullopt;
}

std::optional<Drop> H264Picture::take_slice(ByteView nal, unsigned type, H264Stream& stream) {
  const auto slice = rtp::parse_slice(nal);  // data partitions (types 2 to 4) have none: no decoder in use takes them
  // An IDR slice is intra coded and of a reference picture (7.4.1.2.4, 7.4.3).
  if (!slice || (type == kIdr && (!slice->intra || !slice->reference))) return Drop::invalid_frame;
  if (slices_ == 0 && slice->first_macroblock != 0) return Drop::incomplete_frame;
  if (slices_ == 0 && type == kIdr) stream.sets.activate(slice->pps);
  const auto active = stream.sets.find(slice->pps);
  if (!active) return type != kIdr && stream.sets.empty() ? Drop::frame_before_keyframe : Drop::missing_parameter_set;
  const bool in_order = slices_ == 0 || slice->first_macroblock > last_macroblock_;
  const bool of_one_kind = slices_ == 0 || ((type == kIdr) == frame_.keyframe && active->sps.id == sps_);
  if (!in_order || !of_one_kind || !active->goes_on || active->pps.slice_groups || slice->first_macroblock >= active->sps.macroblocks) return Drop::invalid_frame;
  if (next_begins_ && decoder_changes_) return Drop::invalid_frame;
  if (next_begins_) drop_repeated_sets();
  last_macroblock_ = slice->first_macroblock;
  frame_.keyframe = type == kIdr;
  frame_.bidirectional = frame_.bidirectional || slice->bidirectional;
  fingerprint_ = fingerprint_ * 31 + std::hash<std::string_view>()(as_text(nal));
  return slices_++ == 0 ? begin(nal, slice->pps, stream) : std::nullopt;
}

std::optional<Drop> H264Picture::begin(ByteView slice, std::uint8_t pps, H264Stream& stream) {
  const auto active = stream.sets.find(pps);
  sps_ = active->sps.id;
  std::erase_if(units_, [&](const Bytes& unit) { return is_set(unit) && !stream.sets.is_written(unit); });
  if (const auto header = rtp::parse_slice_header(slice, active->sps, active->pps)) {
    if (!stream.references.add(*header, active->sps)) return Drop::frame_before_keyframe;
    frame_.order = stream.orders.next(*header, active->sps);
  }
  if (frame_.keyframe) stream.sets.describe(frame_, pps);
  return std::nullopt;
}

/// Of what lies between two slices. GStreamer's payloader repeats the parameter sets before each slice of an IDR picture.
void H264Picture::drop_repeated_sets() {
  units_.erase(std::remove_if(units_.begin() + static_cast<std::ptrdiff_t>(*next_begins_), units_.end(), is_set), units_.end());
  next_begins_.reset();
}

std::vector<Bytes> H264Picture::take_next() {
  const auto from = units_.begin() + static_cast<std::ptrdiff_t>(slices_ == 0 ? 0 : next_begins_.value_or(units_.size()));
  std::vector<Bytes> next(std::make_move_iterator(from), std::make_move_iterator(units_.end()));
  units_.erase(from, units_.end());
  next_begins_.reset();
  return next;
}

/// Sets that came with a dropped picture, or long ago, are not in the file yet, or not where a player begins.
void H264Picture::add_missing_sets() {
  auto at = units_.begin() + (nal_type(units_.front()) == kDelimiter ? 1 : 0);
  for (const auto* sets : {&frame_.sps, &frame_.pps}) {
    for (const Bytes& set : *sets) {
      if (std::find(units_.begin(), units_.end(), set) != units_.end()) continue;
      at = units_.insert(at, set) + 1;
      bytes_ += set.size();
    }
  }
}

Frame H264Picture::finish() {
  if (frame_.keyframe) add_missing_sets();
  frame_.data.reserve(bytes_ + 4 * units_.size());
  for (const Bytes& nal : units_) append_unit(frame_.data, nal);
  units_.clear();
  return std::move(frame_);
}

}  // namespace amphi::recording
