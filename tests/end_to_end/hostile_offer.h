// An offer without media, as a hostile guest makes it by hand. Thread: any.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace amphi::end_to_end {

/// An offer of `lines` feeds without media in twice as many places: the even turns use the first half, the odd turns the second.
inline nlohmann::json offer_without_media(int turn, int lines = 8) {
  std::string sdp = "v=0\r\no=- 1 " + std::to_string(turn + 1) + " IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE";
  for (int line = 0; line < 2 * lines; ++line) sdp += " " + std::to_string(line);
  sdp += "\r\n";
  nlohmann::json feeds = nlohmann::json::array();
  for (int line = 0; line < 2 * lines; ++line) {
    const bool active = (line < lines) == (turn % 2 == 0);
    sdp += "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcdefgh\r\na=ice-pwd:abcdefghabcdefghabcdefgh\r\n"
           "a=fingerprint:sha-256 ";
    for (int i = 0; i < 32; ++i) sdp += i == 0 ? "AB" : ":AB";
    sdp += "\r\na=setup:actpass\r\na=mid:" + std::to_string(line) + "\r\na=" + (active ? "sendonly" : "inactive") + "\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n";
    if (active) feeds.push_back({{"mid", std::to_string(line)}, {"kind", "audio"}, {"label", "guest " + std::to_string(turn) + "/" + std::to_string(line)}});
  }
  return {{"type", "publishOffer"}, {"sdp", sdp}, {"feeds", feeds}};
}

}  // namespace amphi::end_to_end
