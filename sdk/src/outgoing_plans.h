// Launch descriptions for what an application can send: which elements make an input, an encoder and a payloader.
#pragma once

#include <string>

#include "amphi/audio_components.h"
#include "amphi/video_components.h"

namespace amphi::sdk {

struct VideoPlan {
  std::string description;   // elements `source` (file, device, appsrc), `scaled` (test pattern: what is encoded), `enc`, `pay` and the appsink `packets`
  std::string file;
  bool loop = false;
};
VideoPlan plan_video(const OutgoingVideoComponents& components);
VideoPlan plan_audio(const AudioInputComponent& input, const AudioEncodingComponent& encoding);

/// The encoder's own unit for its bitrate property, and the property's name.
struct BitrateProperty {
  const char* name;
  std::uint32_t divisor;
};
BitrateProperty bitrate_property(std::string_view encoder_factory);

}  // namespace amphi::sdk
