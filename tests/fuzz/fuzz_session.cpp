// A whole session behind its router: a publisher and a viewer with real handshakes, and inputs that no client would send. Offers and answers of any
// text, media of any payload, lost datagrams, datagrams from anywhere, participants that leave and return, feeds that are muted. In virtual time.
//
// Whatever happens, a datagram goes to an address that has sent one, and the recorder's tap hears of a feed before its packets and not after its end.
#include <deque>
#include <memory>
#include <set>

#include "fuzz.h"
#include "sfu/router.h"
#include "srtp/context.h"
#include "testing/collecting_batch.h"
#include "testing/peer/peer_node.h"

using namespace amphi;

namespace {

/// While one context lives, libsrtp's cipher library stays loaded: otherwise every input would load it anew.
const auto kKeepLoaded = srtp::make_context(srtp::Profile::aead_aes_128_gcm, Bytes(28), Bytes(28));

const Address kServer = Address::v4(10, 0, 0, 1, 443);
const Address kElsewhere = Address::v4(10, 0, 0, 9, 6000);
const ParticipantId kNames[] = {ParticipantId("par_1"), ParticipantId("par_2"), ParticipantId("par_3")};

/// One end of a client.
struct Node {
  Node(Address at, Random& random) : address(at), peer({peer::End::client, {at}, testing::shared_certificate(), "client"}, random) {}
  Address address;
  peer::Peer peer;
};

/// The recorder's place.
class CheckedTap final : public sfu::Tap {
 public:
  void feed_added(const sfu::FeedInfo& feed, Time) override { fuzz::require(feeds_.insert(feed.id).second, "a feed is added once"); }
  void feed_removed(const FeedId& feed, Time) override { fuzz::require(feeds_.erase(feed) == 1, "a feed that is removed was there"); }
  void packet(const FeedId& feed, const peer::ReceivedRtp&, Time) override { fuzz::require(feeds_.contains(feed), "a packet belongs to a feed that is there"); }
  void sender_report(const FeedId& feed, rtp::NtpTime, rtp::WireTimestamp, Time) override { fuzz::require(feeds_.contains(feed), "a report belongs to a feed that is there"); }

 private:
  std::set<FeedId> feeds_;
};

class World {
 public:
  World() : router_(random_) {
    sfu::SessionConfig config;
    config.id = SessionId("ses_1");
    config.local = {kServer};
    config.certificate = testing::shared_certificate();
    session_ = router_.create_session(std::move(config));
    session_->set_tap(&tap_, now);
    session_->add_participant(kNames[0], "surgeon", true, true, now);
    session_->add_participant(kNames[1], "nurse", false, true, now);
    lines_[0] = publishing_.peer.add_line({"", testing::vp8_codec(), "par_1", "fd_1"});
    lines_[1] = publishing_.peer.add_line({"", testing::opus_codec(), "par_1", "fd_2"});
    offer();
    run(1s);
    fuzz::require(publishing_.peer.connected() && viewing_.peer.connected(), "honest clients connect");
  }

  void offer() {
    const auto lines = publishing_.peer.lines();
    const std::vector<sfu::FeedDeclaration> feeds{{lines[lines_[0]].mid, rtp::Kind::video, "camera"}, {lines[lines_[1]].mid, rtp::Kind::audio, "talk"}};
    if (const auto answer = session_->publish_offer(kNames[0], publishing_.peer.create_offer(now), feeds, now))
      (void)publishing_.peer.accept_answer(answer->sdp, now);
  }
  void offer_text(std::size_t who, std::string_view sdp, std::string label) {
    (void)session_->publish_offer(kNames[who], sdp, {{"0", rtp::Kind::video, std::move(label)}, {"1", rtp::Kind::audio, "talk"}}, now);
  }
  void answer_text(std::size_t who, std::uint64_t offer_id, std::string_view sdp) { (void)session_->subscribe_answer(kNames[who], offer_id, sdp, now); }
  void restart(std::size_t who, bool ice) { (void)session_->restart_subscribe(kNames[who], ice, now); }
  void leave(std::size_t who) { session_->remove_participant(kNames[who], now); }
  void come(std::size_t who, std::uint8_t grants) { (void)session_->add_participant(kNames[who], "guest", grants & 1, grants & 2, now); }
  void media(std::size_t line, rtp::Seq step, std::uint32_t timestamp, ByteView payload) {
    seq_ += step;
    testing::CollectingBatch batch;
    publishing_.peer.send_rtp(lines_[line], seq_, {true, 96, static_cast<rtp::WireSeq>(seq_), timestamp, 1}, payload, batch, now);
    for (auto& transmit : batch.take()) to_server(transmit.local, transmit.data);
  }
  void datagram(std::uint8_t from, ByteView data) {
    const Address addresses[] = {publishing_.address, viewing_.address, kElsewhere, kServer};
    to_server(addresses[from % 4], to_bytes(data));
  }
  /// An administrator mutes one of the feeds, or a recorder asks for its keyframe.
  void administer(std::uint8_t what) {
    const auto feeds = session_->feeds();
    fuzz::require(session_->stats().feeds == feeds.size(), "the feeds are counted");
    if (feeds.empty()) return;
    const FeedId feed = feeds[(what >> 2) % feeds.size()].id;
    if (what & 2) return session_->request_keyframe(feed, now);
    const auto muted = session_->mute_feed(feed, what & 1, now);
    fuzz::require(muted && muted->muted == ((what & 1) != 0), "a feed is muted at once");
  }
  void lose(unsigned count) { lost_ = count; }
  void run(Duration duration) {
    for (const Time end = now + duration; now < end;) {
      router_.handle_timeout(batch_, now);
      for (Node* node : {&publishing_, &viewing_})
        if (node->peer.next_timeout() <= now) node->peer.handle_timeout(now);
      exchange();
      const Time next = std::min({router_.next_timeout(), publishing_.peer.next_timeout(), viewing_.peer.next_timeout()});
      now = std::min(end, std::max(next, now + 10ms));  // steps of 10 ms, but for the time in which nothing happens
    }
  }
  /// Everything that waits goes where it is addressed to.
  void exchange() {
    int rounds = 0;
    for (bool more = true; more;) {
      fuzz::require(++rounds < 10'000, "an exchange comes to an end");
      router_.drain(*session_, batch_, now);
      more = take_events();
      for (auto& transmit : batch_.take()) more = to_client(transmit) || more;
      for (Node* node : {&publishing_, &viewing_})
        while (auto output = node->peer.poll_output())
          if (auto* transmit = std::get_if<Transmit>(&*output)) {
            to_server(node->address, transmit->data);
            more = true;
          }
    }
  }

  Time now{1h};

 private:
  void to_server(const Address& from, Bytes data) {
    data.resize(std::min(data.size(), kMaxDatagram));
    heard_.insert(from);
    router_.handle_input({from, kServer, data}, batch_, now);
  }
  bool to_client(Transmit& transmit) {
    fuzz::require(heard_.contains(transmit.remote), "a datagram goes to an address that has sent one");
    for (Node* node : {&publishing_, &viewing_}) {
      if (node->address != transmit.remote) continue;
      if (lost_ > 0) return --lost_, false;
      node->peer.handle_input({kServer, node->address, transmit.data}, now);
      return true;
    }
    return false;
  }
  bool take_events() {
    bool any = false;
    while (const auto event = session_->poll_event()) {
      any = true;
      const auto* offered = std::get_if<sfu::SubscribeOffer>(&*event);
      if (offered == nullptr || offered->participant != kNames[1]) continue;
      if (const auto answer = viewing_.peer.accept_offer(offered->sdp, now)) (void)session_->subscribe_answer(kNames[1], offered->offer_id, *answer, now);
    }
    return any;
  }

  SeededRandom random_{1};
  CheckedTap tap_;
  sfu::Router router_;
  sfu::Session* session_ = nullptr;
  testing::CollectingBatch batch_;
  Node publishing_{Address::v4(10, 0, 0, 2, 5000), random_}, viewing_{Address::v4(10, 0, 0, 3, 5000), random_};
  peer::Line lines_[2]{};
  rtp::Seq seq_ = 65'500;
  std::set<Address> heard_;
  unsigned lost_ = 0;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  World world;
  std::uint32_t timestamp = 0xffff'0000;
  while (!in.done()) {
    const std::uint8_t what = in.u8();
    const std::size_t who = (what >> 4) % 3;
    switch (what & 15) {
      case 0: world.run(milliseconds(10) * (in.u8() & 63)); break;
      case 1: world.run(seconds(in.u8() & 7)); break;
      case 2: world.offer(); break;
      case 3: world.offer_text(who, as_text(in.piece()), std::string(as_text(in.short_piece()))); break;
      case 4: world.answer_text(who, in.u8(), as_text(in.piece())); break;
      case 5: world.restart(who, in.u8() & 1); break;
      case 6: world.leave(who); break;
      case 7: world.come(who, in.u8()); break;
      case 8: world.lose(in.u8()); break;
      case 9: world.datagram(in.u8(), in.piece()); break;
      case 10: timestamp += in.u16(); break;
      case 13: world.administer(in.u8()); break;
      default: world.media(what >> 4 & 1, what & 0x20 ? in.u8() : 1, timestamp, in.piece());
    }
    world.exchange();
  }
  world.run(1s);
  return 0;
}
