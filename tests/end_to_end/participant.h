// Somebody who shares one picture and sees those of all others. Thread: the test's.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {

struct Participant {
  Participant(const ServerProcess& server, const std::string& host, const std::string& who)
      : identity(who), probe("http://" + host + ":" + std::to_string(server.port()) + "/s/theatre", server.token("theatre", who)) {}
  bool join() {
    if (!probe.connect()) return false;
    outgoing = probe->addOutgoingVideoFeed("of " + identity, {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 150'000, 320, 180, 10}});
    return true;
  }
  /// All others' pictures arrive.
  bool sees(std::size_t others) {
    if (!probe.wait([&] { return probe.happened().feeds.size() == others; })) return false;
    incoming.clear();
    for (const auto& feed : probe.happened().feeds) incoming.push_back(probe->subscribeVideoFeed(feed.id, VideoOutputComponentNull{}));
    return sees_more(10, 15s);
  }
  /// So many more pictures of each arrive in time.
  bool sees_more(std::uint64_t frames, std::chrono::milliseconds limit) {
    std::vector<std::uint64_t> before;
    for (const auto& feed : incoming) before.push_back(feed->statistics().frames);
    return probe.wait([&] {
      for (std::size_t i = 0; i < incoming.size(); ++i)
        if (incoming[i]->statistics().frames <= before[i] + frames) return false;
      return true;
    }, limit);
  }

  std::string identity;
  SessionProbe probe;
  std::shared_ptr<OutgoingVideoFeed> outgoing;
  std::vector<std::shared_ptr<IncomingVideoFeed>> incoming;
};

}  // namespace amphi::end_to_end
