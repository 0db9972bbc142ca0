// Numbers of the RTCP wire format that its parser and its writer share (RFC 3550 12.1, RFC 4585 6.1, RFC 5104 4.3.1).
#pragma once

#include <cstddef>
#include <cstdint>

namespace amphi::rtp::wire {

enum PacketType : std::uint8_t {
  kSenderReport = 200,
  kReceiverReport = 201,
  kSourceDescription = 202,
  kBye = 203,
  kTransportLayerFeedback = 205,
  kPayloadFeedback = 206,
};
enum FeedbackFormat : std::uint8_t {
  kNack = 1,                // of kTransportLayerFeedback
  kTransportFeedback = 15,  // of kTransportLayerFeedback
  kPictureLoss = 1,         // of kPayloadFeedback
  kFullIntraRequest = 4,    // of kPayloadFeedback
  kApplicationLayer = 15,   // of kPayloadFeedback: REMB, where its identifier follows
};
enum Symbol : std::uint8_t { kNotReceived = 0, kSmallDelta = 1, kLargeDelta = 2 };

inline constexpr std::uint8_t kCnameItem = 1;
inline constexpr std::uint32_t kRembIdentifier = 0x52454d42;  // "REMB"
inline constexpr std::size_t kMaxCount = 31;        // what the five-bit count can say
inline constexpr std::int64_t kReferenceUnits = 256;  // transport feedback: 64 ms in units of 250 us
inline constexpr std::size_t kRunSymbols = 8191;
inline constexpr std::size_t kOneBitSymbols = 14;
inline constexpr std::size_t kTwoBitSymbols = 7;

}  // namespace amphi::rtp::wire
