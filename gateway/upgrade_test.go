package gateway_test

import (
	"strings"
	"testing"

	"github.com/latchward/latchward/gateway"
)

// bar 92: only WebSocket may be switched to
func TestUpgradeIsNotForwarded(t *testing.T) {
	const webSocket = "Upgrade: websocket"
	tests := []struct {
		method    string
		lines     []string
		forwarded bool
	}{
		{"GET", []string{webSocket}, true},
		{"GET", []string{"Upgrade: WebSocket"}, true},
		{"GET", []string{"Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"}, false},
		{"GET", []string{"Upgrade: h2c, websocket"}, false},
		{"GET", []string{webSocket, "Upgrade: h2c"}, false},
		{"GET", []string{"Upgrade: TLS/1.0"}, false},
		{"GET", []string{"Upgrade: x"}, false},
		{"POST", []string{webSocket, "Content-Length: 0"}, false},
		{"GET", []string{webSocket, "Connection: x"}, true},
		{"GET", []string{webSocket, "http2_settings: x"}, true},
	}
	w := start(t, nil)
	for _, test := range tests {
		lines := append([]string{"Connection: Upgrade, HTTP2-Settings"}, test.lines...)
		raw := strings.Replace(w.request(test.method, "/api/a", lines...), "Connection: close\r\n", "", 1)
		raw += w.request("GET", "/api/last")
		answers := w.raw(raw)
		taken := w.upstream.take()
		if len(answers) != 2 || len(taken) != 2 || answers[0].status != 200 {
			t.Errorf("%q: answers %+v, the upstream saw %+v", test.lines, answers, taken)
			continue
		}
		h := taken[0].header
		if got := h["Upgrade"] != nil; got != test.forwarded || got != (h.Get("Connection") == "Upgrade") {
			t.Errorf("%q: the upstream gets Upgrade %q, Connection %q", test.lines, h["Upgrade"], h["Connection"])
		}
		for name := range h {
			if strings.Contains(strings.ToLower(name), "settings") {
				t.Errorf("%q: the upstream gets %s", test.lines, name)
			}
		}
	}
	w = start(t, nil, func(o *gateway.Options) { o.Upstreams[0].NoWebSocket = true })
	w.only(w.request("GET", "/api/a", "Connection: Upgrade", webSocket))
	if h := w.upstream.one(t).header; h["Upgrade"] != nil {
		t.Errorf("an upstream without WebSockets gets %v", h)
	}
	w = start(t, nil)
	w.only("GET /api/a HTTP/1.0\r\nAuthorization: Bearer " + w.token + "\r\nConnection: Upgrade\r\n" + webSocket + "\r\n\r\n")
	if h := w.upstream.one(t).header; h["Upgrade"] != nil {
		t.Errorf("an upgrade from HTTP/1.0 arrives: %v", h)
	}
}
