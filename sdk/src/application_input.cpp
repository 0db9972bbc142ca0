#include "application_input.h"

#include <cstring>

#include "amphi/error.h"
#include "runtime/clock.h"

namespace amphi {
namespace {

GstBuffer* copy_frame(const VideoFrame& frame, const GstVideoInfo& info) {
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, GST_VIDEO_INFO_SIZE(&info), nullptr);
  GstVideoFrame out;
  if (buffer == nullptr || !gst_video_frame_map(&out, &info, buffer, GST_MAP_WRITE)) {
    if (buffer != nullptr) gst_buffer_unref(buffer);
    return nullptr;
  }
  const bool i420 = frame.format == PixelFormat::i420;
  for (std::size_t plane = 0; plane < (i420 ? 3u : 1u); ++plane) {
    const int width = i420 && plane > 0 ? (frame.width + 1) / 2 : frame.width;
    const int height = i420 && plane > 0 ? (frame.height + 1) / 2 : frame.height;
    const auto row_bytes = static_cast<std::size_t>(i420 ? width : width * 4);
    auto* to = static_cast<std::uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(&out, plane));
    for (int y = 0; y < height; ++y)
      std::memcpy(to + static_cast<std::ptrdiff_t>(y) * GST_VIDEO_FRAME_PLANE_STRIDE(&out, plane),
                  frame.planes[plane] + static_cast<std::ptrdiff_t>(y) * frame.strides[plane], row_bytes);
  }
  gst_video_frame_unmap(&out);
  return buffer;
}

bool well_formed(const VideoFrame& frame) {
  if (frame.width <= 0 || frame.height <= 0 || frame.width > 16'384 || frame.height > 16'384) return false;
  if (frame.format == PixelFormat::rgba) return frame.planes[0] != nullptr && frame.strides[0] >= frame.width * 4;
  const int half = (frame.width + 1) / 2;
  return frame.planes[0] != nullptr && frame.planes[1] != nullptr && frame.planes[2] != nullptr && frame.strides[0] >= frame.width &&
         frame.strides[1] >= half && frame.strides[2] >= half;
}

tl::unexpected<std::error_code> refuse(Errc code) { return tl::unexpected<std::error_code>(make_error_code(code)); }

}  // namespace

void VideoInputComponentApplication::State::attach(GstElement* appsrc, GstElement* pipe) {
  std::lock_guard lock(mutex);
  source = appsrc;
  pipeline = pipe;
  format = GST_VIDEO_FORMAT_UNKNOWN;
}

void VideoInputComponentApplication::State::detach() {
  std::lock_guard lock(mutex);
  source = pipeline = nullptr;
}

VideoInputComponentApplication::VideoInputComponentApplication() : state_(std::make_shared<State>()) {}

tl::expected<void, std::error_code> VideoInputComponentApplication::pushFrame(const VideoFrame& frame) {
  if (!well_formed(frame)) return refuse(Errc::invalidArgument);
  std::lock_guard lock(state_->mutex);
  if (state_->source == nullptr) return refuse(Errc::invalidState);
  auto* source = GST_APP_SRC(state_->source);
  if (gst_app_src_get_current_level_buffers(source) >= 4) return refuse(Errc::limitExceeded);

  const GstVideoFormat format = frame.format == PixelFormat::i420 ? GST_VIDEO_FORMAT_I420 : GST_VIDEO_FORMAT_RGBA;
  GstVideoInfo info;
  gst_video_info_set_format(&info, format, static_cast<guint>(frame.width), static_cast<guint>(frame.height));
  if (state_->format != format || state_->width != frame.width || state_->height != frame.height) {
    GST_VIDEO_INFO_FPS_N(&info) = 0;  // variable
    const sdk::CapsPtr caps(gst_video_info_to_caps(&info));
    gst_app_src_set_caps(source, caps.get());
    state_->format = format;
    state_->width = frame.width;
    state_->height = frame.height;
  }
  GstBuffer* buffer = copy_frame(frame, info);
  if (buffer == nullptr) return refuse(Errc::internal);
  const auto at = frame.timestamp.count() > 0 ? frame.timestamp.count() : runtime::now().time_since_epoch().count();
  const auto base = static_cast<std::int64_t>(gst_element_get_base_time(state_->pipeline));
  GST_BUFFER_PTS(buffer) = static_cast<GstClockTime>(std::max<std::int64_t>(at - base, 0));
  return gst_app_src_push_buffer(source, buffer) == GST_FLOW_OK ? tl::expected<void, std::error_code>{} : refuse(Errc::invalidState);
}

}  // namespace amphi
