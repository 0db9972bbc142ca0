package main

import (
	"errors"
	"io"
	"math/rand"
	"os"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"
	"github.com/pion/webrtc/v3/pkg/media"
	"github.com/pion/webrtc/v3/pkg/media/h264reader"
	"github.com/pion/webrtc/v3/pkg/media/ivfreader"
	"github.com/pion/webrtc/v3/pkg/media/oggreader"
)

const frame = time.Second / 30

type sources struct {
	vp8, h264, opus, fmtp *string
	single                *bool
}

// publish offers a line per file, and sends once the connection is there.
func publish(connection *signalling, source sources) error {
	engine := defaultMedia()
	if *source.fmtp != "" { // only this H.264, so that the server cannot choose another
		engine = &webrtc.MediaEngine{}
		check(engine.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: h264Capability(*source.fmtp), PayloadType: 125}, webrtc.RTPCodecTypeVideo))
		check(engine.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus,
			ClockRate: 48000, Channels: 2}, PayloadType: 111}, webrtc.RTPCodecTypeAudio))
	}
	peer := newConnection(engine)
	senders := map[string]func(){}
	add := func(track webrtc.TrackLocal, send func()) {
		transceiver, err := peer.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		check(err)
		go func() { // RTCP has to be read for Pion's interceptors to see it
			for buffer := make([]byte, 1500); ; {
				if _, _, err := transceiver.Sender().Read(buffer); err != nil {
					return
				}
			}
		}()
		senders[track.Kind().String()] = send
	}
	if *source.vp8 != "" {
		track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "video", "pion")
		check(err)
		add(track, func() { sendVP8(track, *source.vp8) })
	}
	if *source.h264 != "" {
		track, err := webrtc.NewTrackLocalStaticRTP(h264Capability(*source.fmtp), "video", "pion")
		check(err)
		add(track, func() { sendH264(track, *source.h264, *source.single) })
	}
	if *source.opus != "" {
		track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "audio", "pion")
		check(err)
		add(track, func() { sendOpus(track, *source.opus) })
	}
	peer.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		say(map[string]interface{}{"event": "connection", "state": state.String()})
		if state == webrtc.PeerConnectionStateConnected {
			for _, send := range senders {
				go send()
			}
		}
	})
	offer, err := peer.CreateOffer(nil)
	check(err)
	sdp := describe(peer, offer)
	var feeds []feed
	for _, transceiver := range peer.GetTransceivers() {
		kind := transceiver.Kind().String()
		feeds = append(feeds, feed{Mid: transceiver.Mid(), Kind: kind, Label: "pion " + kind})
	}
	connection.send(message{Type: "publishOffer", SDP: sdp, Feeds: feeds})
	return connection.listen(func(m message) {
		if m.Type == "publishAnswer" {
			check(peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: m.SDP}))
		}
		report(m)
	})
}

func h264Capability(fmtp string) webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: fmtp, RTCPFeedback: []webrtc.RTCPFeedback{
		{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}}}
}

func sendVP8(track *webrtc.TrackLocalStaticSample, path string) {
	ticker := time.NewTicker(frame)
	for {
		file, err := os.Open(path)
		check(err)
		reader, _, err := ivfreader.NewWith(file)
		check(err)
		for {
			data, _, err := reader.ParseNextFrame()
			if errors.Is(err, io.EOF) {
				break
			}
			check(err)
			<-ticker.C
			check(track.WriteSample(media.Sample{Data: data, Duration: frame}))
		}
		file.Close()
	}
}

func sendOpus(track *webrtc.TrackLocalStaticSample, path string) {
	const packet = 20 * time.Millisecond
	ticker := time.NewTicker(packet)
	for {
		file, err := os.Open(path)
		check(err)
		reader, _, err := oggreader.NewWith(file)
		check(err)
		for {
			data, _, err := reader.ParseNextPage() // FFmpeg's -page_duration 20000: a packet per page
			if errors.Is(err, io.EOF) {
				break
			}
			check(err)
			if len(data) >= 8 && string(data[:4]) == "Opus" { // OpusHead, OpusTags
				continue
			}
			<-ticker.C
			check(track.WriteSample(media.Sample{Data: data, Duration: packet}))
		}
		file.Close()
	}
}

// sendH264 packetizes by RFC 6184: single NAL unit packets, and FU-A for larger ones unless `single`. Access unit delimiters part frames.
func sendH264(track *webrtc.TrackLocalStaticRTP, path string, single bool) {
	const largest = 1100
	header := rtp.Header{Version: 2, SequenceNumber: uint16(rand.Uint32()), Timestamp: rand.Uint32()}
	ticker := time.NewTicker(frame)
	for {
		for _, unit := range accessUnits(path) {
			<-ticker.C
			header.Timestamp += 3000
			var payloads [][]byte
			for _, nal := range unit {
				if len(nal) <= largest || single {
					payloads = append(payloads, nal)
					continue
				}
				for at := 1; at < len(nal); at += largest {
					end := at + largest
					flags := nal[0] & 31
					if at == 1 {
						flags |= 0x80
					}
					if end >= len(nal) {
						end = len(nal)
						flags |= 0x40
					}
					payloads = append(payloads, append([]byte{nal[0]&0xe0 | 28, flags}, nal[at:end]...))
				}
			}
			for i, payload := range payloads {
				header.Marker = i == len(payloads)-1
				check(track.WriteRTP(&rtp.Packet{Header: header, Payload: payload}))
				header.SequenceNumber++
			}
		}
	}
}

func accessUnits(path string) [][][]byte {
	file, err := os.Open(path)
	check(err)
	defer file.Close()
	reader, err := h264reader.NewReader(file)
	check(err)
	var units [][][]byte
	for {
		nal, err := reader.NextNAL()
		if errors.Is(err, io.EOF) {
			return units
		}
		check(err)
		if nal.UnitType == h264reader.NalUnitTypeAUD {
			units = append(units, nil)
			continue
		}
		if len(units) > 0 {
			units[len(units)-1] = append(units[len(units)-1], nal.Data)
		}
	}
}
