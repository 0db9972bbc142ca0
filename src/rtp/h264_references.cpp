#include "rtp/h264_references.h"

#include <algorithm>

namespace amphi::rtp {

bool H264References::add(const H264SliceHeader& picture, const H264Sps& sps) {
  if (picture.idr) known_ = Known{picture.number, picture.number, true};
  if (!known_) return true;
  if (!picture.idr && !goes_on(picture, sps)) return false;
  known_->newest = picture.number;
  known_->was_reference = picture.reference;
  if (picture.reference) known_->reference = picture.number;
  if (picture.anew) known_->reference = known_->newest = 0;
  return true;
}

bool H264References::goes_on(const H264SliceHeader& picture, const H264Sps& sps) {
  const std::int64_t modulus = std::int64_t{1} << sps.number_bits;
  const auto ahead = [&](std::int64_t of) { return (picture.number - of) & (modulus - 1); };
  if (!known_->was_reference && !picture.field && ahead(known_->newest) == 0) strict_ = true;
  const std::int64_t step = ahead(known_->reference);
  if (step == 1) steps_ = std::min(steps_ + 1, kTrusted);
  // Some encoders count disposable pictures too.
  if (step <= 1 || sps.number_gaps || (!strict_ && ahead(known_->newest) <= 1)) return true;
  const bool trusted = steps_ >= kTrusted;
  steps_ = 0;
  return !trusted;
}

}  // namespace amphi::rtp
