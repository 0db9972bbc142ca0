#include "recording/picture_order.h"

#include <algorithm>

namespace amphi::recording {

/// The order without its wrap, since the keyframe (ITU-T H.264 8.2.1.1).
std::int64_t PictureOrder::extended(const Frame& frame) {
  std::int64_t order = frame.order->lsb;
  if (!frame.keyframe) {
    const std::int64_t modulus = frame.order->modulus;
    const std::int64_t ahead = (order - reference_) & (modulus - 1);
    order = reference_ + (ahead > modulus / 2 ? ahead - modulus : ahead);
  }
  if (frame.order->reference) reference_ = order;
  return order;
}

void PictureOrder::look(const Frame& frame, Time now) {
  if (!frame.order) return;
  const std::int64_t order = extended(frame);
  if (frame.keyframe || !frame.bidirectional || !newest_ || order > newest_->order) {
    newest_ = Shown{order, frame.timestamp};
    return;
  }
  const auto later = static_cast<std::int32_t>(frame.timestamp - newest_->timestamp);
  if (order == newest_->order || later == 0) return;  // the second field of a picture
  wrong_ = later > 0 ? std::min(wrong_ + 1, kEnough) : 0;
  wrong_at_ = now;
}

}  // namespace amphi::recording
