// The parts that a video feed is built from: where pictures come from, how they are coded, where they go.
// All are plain values; give one to the session and it is used from there on.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <tl/expected.hpp>
#include <variant>

namespace amphi {

enum class PixelFormat {
  i420,  ///< Three planes: Y, and U and V of half the width and height.
  rgba,  ///< One plane of four bytes a pixel: red, green, blue, alpha (ignored).
};

/// A picture that is borrowed for the length of a call.
struct VideoFrame {
  PixelFormat format = PixelFormat::i420;
  int width = 0;                                 ///< pixels
  int height = 0;                                ///< pixels
  std::array<const std::uint8_t*, 3> planes{};   ///< Y, U, V; for `rgba` only the first
  std::array<int, 3> strides{};                  ///< bytes from one row to the next, for each plane
  std::chrono::nanoseconds timestamp{};          ///< on CLOCK_MONOTONIC (std::chrono::steady_clock)
};

/// A moving synthetic picture; needs no device.
struct VideoInputComponentTestPattern {
  enum class Pattern { smpte, ball, snow, black };
  Pattern pattern = Pattern::ball;
  bool frameNumber = false;  ///< number the pictures that are encoded, from 0, by a code that `amphi/frame_barcode.h` reads back
};

/// The pictures of a file, in real time. The feed stops at the end of the file unless it loops. With an `AudioInputComponentFile` of
/// the same path that begins within 3 s of it, it plays in step.
struct VideoInputComponentFile {
  std::string path;
  bool loop = false;
};

/// A Video4Linux capture device.
struct VideoInputComponentDevice {
  std::string device = "/dev/video0";
};

/// Pictures from the application. Copies of a component are handles to the same input.
class VideoInputComponentApplication {
 public:
  VideoInputComponentApplication();

  /// Hands over one picture, which is copied. Any thread; does not block.
  /// @param frame     I420 or RGBA; its size may differ from the encoding's (it is scaled) and change between frames.
  ///                  `timestamp` is when it was captured; zero: now.
  /// @return `invalidArgument` (no planes, no size), `invalidState` (no running feed uses this component yet, or any more),
  ///         `limitExceeded` (the encoder does not keep up: the picture was dropped).
  tl::expected<void, std::error_code> pushFrame(const VideoFrame& frame);

  struct State;
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  std::shared_ptr<State> state_;
};

using VideoInputComponent = std::variant<VideoInputComponentTestPattern, VideoInputComponentFile, VideoInputComponentDevice,
                                         VideoInputComponentApplication>;

enum class VideoCodec { vp8, h264 };

/// How a video feed is coded.
struct VideoEncodingComponent {
  VideoCodec codec = VideoCodec::vp8;
  std::uint32_t bitrate = 1'500'000;  ///< bits per second, at most: the bandwidth estimate lowers it
  int width = 1280;                   ///< pixels, even
  int height = 720;                   ///< pixels, even
  int framesPerSecond = 30;
};

/// Decodes and counts the pictures, and shows them nowhere.
struct VideoOutputComponentNull {};

/// A window of its own. The feed fails with `outputFailed` where there is no screen.
struct VideoOutputComponentWindow {};

/// Gives each picture to the application as I420.
struct VideoOutputComponentApplication {
  /// Called on the session's callback thread; the frame is valid during the call. Slow: frames are dropped, oldest first.
  std::function<void(const VideoFrame& frame)> onFrame;
};

using VideoOutputComponent =
    std::variant<VideoOutputComponentNull, VideoOutputComponentWindow, VideoOutputComponentApplication>;

/// What an outgoing video feed is built from.
struct OutgoingVideoComponents {
  VideoInputComponent input;
  VideoEncodingComponent encoding;
};

}  // namespace amphi
