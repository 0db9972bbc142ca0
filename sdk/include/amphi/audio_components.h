// The parts that an audio feed is built from: where sound comes from, how it is coded (Opus), where it goes.
// All are plain values; give one to the session and it is used from there on.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <variant>

namespace amphi {

/// Sound that is borrowed for the length of a call: signed 16-bit samples at 48 kHz, two channels interleaved.
struct AudioFrame {
  static constexpr int kSampleRate = 48'000;
  static constexpr int kChannels = 2;
  const std::int16_t* samples = nullptr;
  std::size_t samplesPerChannel = 0;
  std::chrono::nanoseconds timestamp{};  ///< of the first sample, on CLOCK_MONOTONIC (std::chrono::steady_clock)
};

/// Silence; needs no device. For applications without sound in sessions that want an audio feed.
struct AudioInputComponentSilence {};

/// A sine tone; needs no device.
struct AudioInputComponentTone {
  double frequency = 440.0;  ///< Hz
  double volume = 0.2;       ///< 0 to 1
};

/// The sound of a file, in real time. The feed stops at the end of the file unless it loops. With a `VideoInputComponentFile` of the
/// same path that begins within 3 s of it, it plays in step.
struct AudioInputComponentFile {
  std::string path;
  bool loop = false;
};

/// A microphone; empty: the system's default. The feed fails with `inputFailed` where there is none.
struct AudioInputComponentDevice {
  std::string device;
};

using AudioInputComponent = std::variant<AudioInputComponentSilence, AudioInputComponentTone, AudioInputComponentFile,
                                         AudioInputComponentDevice>;

/// How an audio feed is coded: Opus, 48 kHz, stereo, 20 ms a packet.
struct AudioEncodingComponent {
  std::uint32_t bitrate = 64'000;  ///< bits per second
};

/// Decodes and mixes, and plays nowhere.
struct AudioOutputComponentNull {};

/// A loudspeaker; empty: the system's default. The feed fails with `outputFailed` where there is none.
struct AudioOutputComponentDevice {
  std::string device;
};

/// Gives the mix to the application.
struct AudioOutputComponentApplication {
  /// Called on the session's callback thread; the frame is valid during the call. Slow: sound is dropped, oldest first.
  std::function<void(const AudioFrame& frame)> onFrame;
};

using AudioOutputComponent =
    std::variant<AudioOutputComponentNull, AudioOutputComponentDevice, AudioOutputComponentApplication>;

}  // namespace amphi
