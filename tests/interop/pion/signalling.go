// The signalling connection (docs/protocol.md): JSON text messages over a WebSocket. Messages are handled one at a time, in order.
package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/websocket"
)

type feed struct {
	Mid    string `json:"mid,omitempty"`
	FeedID string `json:"feedId,omitempty"`
	Kind   string `json:"kind,omitempty"`
	Label  string `json:"label,omitempty"`
}

// message has the fields of all messages that this client sends or reads.
type message struct {
	Type    string          `json:"type"`
	Version int             `json:"version,omitempty"`
	Token   string          `json:"token,omitempty"`
	Client  string          `json:"client,omitempty"`
	OfferID string          `json:"offerId,omitempty"`
	SDP     string          `json:"sdp,omitempty"`
	Feeds   []feed          `json:"feeds,omitempty"`
	Refused json.RawMessage `json:"refused,omitempty"`
	FeedID  string          `json:"feedId,omitempty"`
	Code    string          `json:"code,omitempty"`
	Message string          `json:"message,omitempty"`
	Fatal   bool            `json:"fatal,omitempty"`
	Reason  string          `json:"reason,omitempty"`
}

type signalling struct {
	socket *websocket.Conn
	closed chan struct{}
	mutex  sync.Mutex // guards writing and `left`
	left   bool
}

// join opens the connection and waits for `joined`.
func join(server, session, token string) (*signalling, error) {
	address := strings.Replace(server, "http", "ws", 1) + "/v1/sessions/" + session + "/signalling"
	socket, err := websocket.Dial(address, "", server)
	if err != nil {
		return nil, err
	}
	connection := &signalling{socket: socket, closed: make(chan struct{})}
	connection.send(message{Type: "join", Version: 1, Token: token, Client: "pion"})
	var first message
	if err := websocket.JSON.Receive(socket, &first); err != nil {
		return nil, err
	}
	if first.Type != "joined" {
		return nil, fmt.Errorf("%s: %s", first.Code, first.Message)
	}
	connection.send(message{Type: "ping"}) // acknowledges `joined`
	go func() {
		for range time.Tick(3 * time.Second) {
			connection.send(message{Type: "ping"})
		}
	}()
	return connection, nil
}

func (s *signalling) send(m message) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.left = s.left || m.Type == "leave"
	_ = websocket.JSON.Send(s.socket, m) // a broken connection is found by listen
}

// leave ends the connection gracefully, and waits until the server has closed it.
func (s *signalling) leave() {
	s.send(message{Type: "leave"})
	<-s.closed
}

// listen gives each message to handle until the connection ends. The error is nil after `leave`.
func (s *signalling) listen(handle func(message)) error {
	defer close(s.closed)
	for {
		var next message
		if err := websocket.JSON.Receive(s.socket, &next); err != nil {
			s.mutex.Lock()
			defer s.mutex.Unlock()
			if s.left {
				return nil
			}
			return err
		}
		switch next.Type {
		case "ping":
			s.send(message{Type: "pong"})
		case "pong":
		default:
			handle(next)
		}
	}
}
