package main

import (
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v3"
)

// watch answers each offer of the server, and counts the packets of each track.
func watch(connection *signalling) error {
	peer := newConnection(defaultMedia())
	peer.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { count(peer, track) })
	return connection.listen(func(m message) {
		if m.Type != "subscribeOffer" {
			report(m)
			return
		}
		check(peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: m.SDP}))
		answer, err := peer.CreateAnswer(nil)
		check(err)
		sdp := describe(peer, answer)
		connection.send(message{Type: "subscribeAnswer", OfferID: m.OfferID, SDP: sdp})
		say(map[string]interface{}{"event": "answered", "sdp": sdp, "feeds": m.Feeds})
	})
}

// count reads a track to its end, asks for a keyframe at its beginning, and reports every 30 packets.
func count(peer *webrtc.PeerConnection, track *webrtc.TrackRemote) {
	if track.Kind() == webrtc.RTPCodecTypeVideo {
		_ = peer.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(track.SSRC())}})
	}
	packets, bytes, lost := 0, 0, 0
	var last uint16
	begin := time.Now()
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		if packets > 0 {
			lost += int(int16(packet.SequenceNumber-last)) - 1
		}
		last = packet.SequenceNumber
		packets++
		bytes += len(packet.Payload)
		if packets%30 == 0 {
			say(map[string]interface{}{"event": "track", "kind": track.Kind().String(), "codec": track.Codec().MimeType, "fmtp": track.Codec().SDPFmtpLine,
				"packets": packets, "bytes": bytes, "lost": lost, "seconds": time.Since(begin).Seconds()})
		}
	}
}
