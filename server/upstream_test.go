package server_test

import (
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

// An https upstream is trusted when a certificate of gateway.ca_file vouches for it, and not otherwise.
func TestUpstreamCA(t *testing.T) {
	api := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	api.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	api.StartTLS()
	t.Cleanup(api.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	for ca, want := range map[string]int{"": 502, file: 200} {
		r := start(t, settings(t, folder(t), "upstreams", api.URL, "gateway.ca_file", ca))
		_, secret := r.token(t, rest.NewToken{})
		get(t, r.URL()+"/api/a", "Bearer "+secret).want(t, "with "+ca, want)
	}
}

// bar 139: a file of certificates that is none is refused before the start.
func TestUpstreamCAIsChecked(t *testing.T) {
	for what, text := range map[string]string{"missing": "", "no PEM": "hello"} {
		file := filepath.Join(t.TempDir(), "ca.pem")
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c := settings(t, folder(t), "upstreams", "https://127.0.0.1:1", "gateway.ca_file", file)
		if err := server.Check(c); err == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
}

// bar 92: an upstream with websocket: false is not asked to upgrade; by default it is.
func TestUpstreamWithoutWebSocket(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "upgrade "+r.Header.Get("Upgrade"))
	}))
	t.Cleanup(api.Close)
	for _, allowed := range []bool{true, false} {
		c := settings(t, folder(t), "upstreams", api.URL)
		if !c.Upstreams[0].WebSocket {
			t.Error("by default there are no WebSockets")
		}
		c.Upstreams[0].WebSocket = allowed
		r := start(t, c)
		_, secret := r.token(t, rest.NewToken{})
		request, err := http.NewRequestWithContext(t.Context(), "GET", r.URL()+"/api/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = http.Header{"Authorization": {"Bearer " + secret}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if got := string(body) == "upgrade websocket"; got != allowed {
			t.Errorf("allowed %v: the upstream gets %q", allowed, body)
		}
	}
}
