#include "recording/track.h"

#include "recording/matroska.h"
#include "recording/mp4.h"

namespace amphi::recording {

std::string_view file_extension(rtp::CodecName codec) {
  return codec == rtp::CodecName::h264 ? ".mp4" : ".webm";
}

std::unique_ptr<TrackFile> make_track_file(FileAppender file, std::string name, const rtp::Codec& codec,
                                           const Frame& first) {
  if (codec.name == rtp::CodecName::h264) return std::make_unique<Mp4File>(std::move(file), std::move(name), first);
  return std::make_unique<WebmFile>(std::move(file), std::move(name), codec, first);
}

}  // namespace amphi::recording
