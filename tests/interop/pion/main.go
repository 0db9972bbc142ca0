// A participant on Pion, written from docs/protocol.md alone, for tests. Prints one JSON line per event.
//
//	amphi-pion watch   --server URL --session S --token T
//	amphi-pion publish --server URL --session S --token T [--vp8 FILE.ivf] [--h264 FILE.h264] [--fmtp FMTP] [--opus FILE.ogg] [--single-nal]
//
// watch subscribes with Pion's default settings. publish sends the files in a loop until its input ends.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"

	"github.com/pion/webrtc/v3"
)

var printing sync.Mutex

func say(event map[string]interface{}) {
	printing.Lock()
	defer printing.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(event)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "amphi-pion:", err)
		os.Exit(1)
	}
}

// newConnection is Pion's default peer connection, but for loopback candidates: the tests run on loopback.
func newConnection(media *webrtc.MediaEngine) *webrtc.PeerConnection {
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(settings))
	connection, err := api.NewPeerConnection(webrtc.Configuration{})
	check(err)
	connection.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		say(map[string]interface{}{"event": "connection", "state": state.String()})
	})
	return connection
}

func defaultMedia() *webrtc.MediaEngine {
	media := &webrtc.MediaEngine{}
	check(media.RegisterDefaultCodecs())
	return media
}

// describe sets the local description and gives it with all candidates: there is no trickle.
func describe(connection *webrtc.PeerConnection, description webrtc.SessionDescription) string {
	gathered := webrtc.GatheringCompletePromise(connection)
	check(connection.SetLocalDescription(description))
	<-gathered
	return connection.LocalDescription().SDP
}

func report(m message) {
	say(map[string]interface{}{"event": m.Type, "code": m.Code, "message": m.Message, "feedId": m.FeedID, "refused": m.Refused, "feeds": m.Feeds})
}

func main() {
	if len(os.Args) < 2 {
		check(fmt.Errorf("watch or publish"))
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	server := flags.String("server", "", "http://HOST:PORT")
	session := flags.String("session", "", "")
	token := flags.String("token", "", "")
	source := sources{
		vp8: flags.String("vp8", "", "IVF file"), h264: flags.String("h264", "", "Annex B file"), opus: flags.String("opus", "", "Ogg file"),
		fmtp: flags.String("fmtp", "", "of H.264"), single: flags.Bool("single-nal", false, "packetization mode 0: each NAL unit in a packet of its own"),
	}
	check(flags.Parse(os.Args[2:]))
	connection, err := join(*server, *session, *token)
	check(err)
	say(map[string]interface{}{"event": "joined"})
	role, known := map[string]func() error{
		"watch":   func() error { return watch(connection) },
		"publish": func() error { return publish(connection, source) },
	}[os.Args[1]]
	if !known {
		check(fmt.Errorf("watch or publish"))
	}
	go func() {
		check(role())
	}()
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
	}
	connection.leave()
}
