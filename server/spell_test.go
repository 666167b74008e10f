package server

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// S2-13: on the wire the headers are spelled as the documentation of such APIs spells them.
func TestHeadersAreSpelledAsPeopleKnowThem(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "5")
		w.Header().Set("RateLimit", `"a";r=1`)
		w.Header().Set("WWW-Authenticate", "Bearer")
		answer := &response{ResponseWriter: w}
		answer.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		name, _, _ := strings.Cut(lines.Text(), ":")
		seen[name] = true
	}
	for _, name := range []string{"X-RateLimit-Limit", "RateLimit", "WWW-Authenticate"} {
		if !seen[name] {
			t.Errorf("no %s among %v", name, seen)
		}
	}
}
