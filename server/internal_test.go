package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

const (
	someToken = "lw_1N4zTurdzTjeiJA69qxwNL9DynGBh16RhIIbeHMAHkFQ4CrulU"
	someJWT   = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.Qrfu4Z8b89Vx1YobuM0p-g_kHa"
)

// bar 129, 130
func TestLogHidesCredentials(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var text bytes.Buffer
		log := newLogger(&Config{Prefix: "lw_", LogLevel: "debug", LogFormat: format, Logs: &text})
		log.Info("about "+someToken, "path", "/a/"+someToken+"/b", "error", fmt.Errorf("bad: %w", errors.New(someJWT)),
			"secret", latchward.SecretFromText(someToken), slog.Group("group", "jwt", someJWT), "token_prefix", "lw_1N4zTurd",
			"agent", "evil\r\n\x1b[31m\u2028line "+strings.Repeat("x", 100_000))
		line := text.String()
		for _, secret := range []string{someToken[14:36], "QrfuZ8b89", "eyJzdWIi"} {
			if strings.Contains(line, secret) {
				t.Errorf("%s: the log shows %q", format, secret)
			}
		}
		if !strings.Contains(line, "lw_1N4zTurd") || strings.Contains(line, "lw_1N4zTurdz") {
			t.Errorf("%s: the display prefix is not secret and must stay: %.300s", format, line)
		}
		if strings.Count(line, "\n") != 1 || strings.ContainsAny(line, "\r\x1b\u2028") || len(line) > 8<<10 {
			t.Errorf("%s: not one clean line of at most 8 KiB: %d bytes: %.200q", format, len(line), line)
		}
	}
}

func TestLogCutsBetweenCharacters(t *testing.T) {
	var text bytes.Buffer
	log := newLogger(&Config{Prefix: "lw_", LogLevel: "info", LogFormat: "json", Logs: &text})
	log.Info("x", "name", strings.Repeat("é", maxLogText))
	if strings.Contains(text.String(), `\ufffd`) || strings.ContainsRune(text.String(), '\ufffd') {
		t.Error("a character was cut in two")
	}
	log.Debug("not at this level")
	if strings.Contains(text.String(), "level\":\"DEBUG") {
		t.Error("the level is not obeyed")
	}
}

// testServer returns a server that only has a log, which goes to the buffer.
func testServer(log *bytes.Buffer) *Server {
	c := Config{Prefix: "lw_", LogLevel: "debug", LogFormat: "text", Logs: log}
	return &Server{protection: &protection{core: &core{config: c, log: newLogger(&c)}}}
}

// bar 130, 131
func TestPanicsAreAnswered(t *testing.T) {
	var log bytes.Buffer
	s := testServer(&log)
	var nothing map[string]int
	for what, cause := range map[string]func(w http.ResponseWriter){
		"text":    func(http.ResponseWriter) { panic("secret " + someToken) },
		"error":   func(http.ResponseWriter) { panic(errors.New("marked-secret")) },
		"runtime": func(http.ResponseWriter) { nothing["x"] = 1 },
		"fmt": func(http.ResponseWriter) {
			panic(fmt.Sprintf("%s", "marked-secret"))
		},
	} {
		recorder := httptest.NewRecorder()
		s.plain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { cause(w) })).
			ServeHTTP(recorder, httptest.NewRequest("GET", "/", nil))
		if recorder.Code != 500 || !strings.Contains(recorder.Body.String(), `"error"`) ||
			strings.Contains(recorder.Body.String(), "secret") {
			t.Errorf("%s: %d %s", what, recorder.Code, recorder.Body)
		}
	}
	if text := log.String(); strings.Contains(text, "marked-secret") || strings.Contains(text, someToken) ||
		!strings.Contains(text, "assignment to entry in nil map") || !strings.Contains(text, "internal_test.go") {
		t.Errorf("log: %s", text)
	}
}

// bar 131: half an answer must not look like a whole one.
func TestPanicAfterTheAnswerBegan(t *testing.T) {
	var log bytes.Buffer
	server := httptest.NewServer(testServer(&log).plain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("x", 10_000))
		panic("late")
	})))
	defer server.Close()
	response, err := http.Get(server.URL)
	if err == nil {
		defer response.Body.Close()
		_, err = io.ReadAll(response.Body)
	}
	if err == nil {
		t.Error("the client takes half an answer for a whole one")
	}
	if response, err := http.Get(server.URL); err == nil {
		response.Body.Close() // the process lives
	}
}

func TestAbortIsNoPanic(t *testing.T) {
	var log bytes.Buffer
	defer func() {
		if recover() != http.ErrAbortHandler || log.Len() > 0 {
			t.Errorf("not passed on, or logged: %s", &log)
		}
	}()
	testServer(&log).plain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

func TestBoundsOfConnections(t *testing.T) {
	var log bytes.Buffer
	server := testServer(&log).serve("x", nil, nil, false).server
	if server.ReadHeaderTimeout <= 0 || server.ReadHeaderTimeout > 10*time.Second || server.IdleTimeout <= 0 ||
		server.MaxHeaderBytes != maxHeader || server.ReadTimeout != 0 || server.WriteTimeout != 0 {
		t.Errorf("%+v", server)
	}
}

func TestSurfaces(t *testing.T) {
	for path, want := range map[string]surface{
		"/api/api-tokens": surfaceManagement, "/api/api-tokens/1/usage": surfaceManagement, "/api/api-tokens/": surfaceManagement,
		"/api/%61pi-tokens": surfaceManagement, "/api/latchward/users": surfaceManagement, "/api/latchward": surfaceManagement,
		"/api/latchward/verify": surfaceVerify, "/api/latchward/verify/batch": surfaceVerify, "/api/latchward/usage": surfaceVerify,
		"/api/products": surfaceGateway, "/api/api-tokensx": surfaceGateway, "/api/latchwardx": surfaceGateway,
		"/api/../api/api-tokens": surfaceGateway, "/": surfaceGateway, "/API/api-tokens": surfaceGateway,
	} {
		if got := surfaceOf(httptest.NewRequest("GET", path, nil)); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := map[string]bool{"jwt.secret": true, "base": true, "prefix": true}
	for name, want := range map[string]string{
		"jwt.secert": "jwt.secret", "bases": "base", "Prefix": "prefix", "": "", "webhooks": "", "bas": "base",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}
