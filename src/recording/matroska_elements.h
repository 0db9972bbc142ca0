// What the Matroska files that Amphi writes have in common (RFC 9559; RFC 8794 for the head; RFC 7845 5.1 for Opus): the ids, and
// the elements that say what a track is. Thread: any; these are pure functions.
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>

#include "recording/ebml.h"
#include "rtp/codec.h"

namespace amphi::recording::matroska {

enum Id : std::uint32_t {
  kEbml = 0x1a45dfa3,
  kEbmlVersion = 0x4286,
  kEbmlReadVersion = 0x42f7,
  kEbmlMaxIdLength = 0x42f2,
  kEbmlMaxSizeLength = 0x42f3,
  kDocType = 0x4282,
  kDocTypeVersion = 0x4287,
  kDocTypeReadVersion = 0x4285,
  kSegment = 0x18538067,
  kSeekHead = 0x114d9b74,
  kSeek = 0x4dbb,
  kSeekId = 0x53ab,
  kSeekPosition = 0x53ac,
  kInfo = 0x1549a966,
  kTimestampScale = 0x2ad7b1,
  kDurationId = 0x4489,
  kMuxingApp = 0x4d80,
  kWritingApp = 0x5741,
  kTracks = 0x1654ae6b,
  kTrackEntry = 0xae,
  kTrackNumber = 0xd7,
  kTrackUid = 0x73c5,
  kTrackType = 0x83,
  kFlagLacing = 0x9c,
  kCodecId = 0x86,
  kCodecPrivate = 0x63a2,
  kCodecDelay = 0x56aa,
  kSeekPreRoll = 0x56bb,
  kVideo = 0xe0,
  kPixelWidth = 0xb0,
  kPixelHeight = 0xba,
  kAudio = 0xe1,
  kSamplingFrequency = 0xb5,
  kChannels = 0x9f,
  kCluster = 0x1f43b675,
  kTimestamp = 0xe7,
  kSimpleBlock = 0xa3,
  kCues = 0x1c53bb6b,
  kCuePoint = 0xbb,
  kCueTime = 0xb3,
  kCueTrackPositions = 0xb7,
  kCueTrack = 0xf7,
  kCueClusterPosition = 0xf1,
  kDateUtc = 0x4461,
  kFlagDefault = 0x88,
  kLanguage = 0x22b59c,
  kName = 0x536e,
  kChapters = 0x1043a770,
  kEditionEntry = 0x45b9,
  kChapterAtom = 0xb6,
  kChapterUid = 0x73c4,
  kChapterTimeStart = 0x91,
  kChapterTimeEnd = 0x92,
  kChapterDisplay = 0x80,
  kChapString = 0x85,
  kChapLanguage = 0x437c,
  kTags = 0x1254c367,
  kTag = 0x7373,
  kTargets = 0x63c0,
  kTagTrackUid = 0x63c5,
  kSimpleTag = 0x67c8,
  kTagName = 0x45a3,
  kTagString = 0x4487,
};

void write_ebml_head(EbmlWriter& out, std::string_view doc_type);
/// Where each element lies, from the Segment's data.
void write_seek_head(EbmlWriter& out, std::initializer_list<std::pair<std::uint32_t, std::uint64_t>> places);
/// Within a TrackEntry: number, kind, no lacing.
void write_track_basics(EbmlWriter& out, std::uint64_t number, const rtp::Codec& codec);
/// Within a TrackEntry: what a decoder needs. Of a picture: its size; of H.264 its avc_configuration, too.
void write_codec(EbmlWriter& out, const rtp::Codec& codec, std::uint32_t width, std::uint32_t height, ByteView avc = {});

}  // namespace amphi::recording::matroska
