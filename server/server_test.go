package server_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/demo"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

// running is a server that takes requests, and what it wrote.
type running struct {
	*server.Server
	config server.Config
	log    *logBuffer
	stop   context.CancelFunc
	ended  chan error // receives what Run returned
}

// logBuffer is an io.Writer for several goroutines.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(data)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// folder returns a temporary folder with a short path: that of a Unix socket may have about 100 bytes.
func folder(t *testing.T) string {
	t.Helper()
	path, err := os.MkdirTemp("", "lw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(path) })
	return path
}

// settings returns a configuration on free ports of this machine, changed by pairs of key and value.
func settings(t *testing.T, data string, pairs ...string) server.Config {
	t.Helper()
	flags := map[string]string{
		"data": data, "api.listen": "127.0.0.1:0", "operations.listen": "127.0.0.1:0", "pages.listen": "127.0.0.1:0", "shutdown.delay": "0s",
		"usage.ring_mib": "1",
	}
	for i := 0; i < len(pairs); i += 2 {
		flags[pairs[i]] = pairs[i+1]
	}
	c, err := server.Load(server.Sources{File: os.DevNull, Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	c.Version = "v9.8.7-test"
	return c
}

// start runs a server until the test ends.
func start(t *testing.T, c server.Config) *running {
	t.Helper()
	r := &running{config: c, log: &logBuffer{}, ended: make(chan error, 1)}
	r.config.Logs = r.log
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	var err error
	if r.Server, err = server.Open(t.Context(), r.config); err != nil {
		stop()
		t.Fatal(err)
	}
	go func() { r.ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-r.ended; err != nil {
			t.Errorf("Run: %v\n%s", err, r.log)
		}
	})
	return r
}

// wait stops the server and returns what Run returned.
func (r *running) wait() error {
	r.stop()
	err := <-r.ended
	r.ended <- nil // for the clean-up
	return err
}

// upstream starts the sample API.
func upstream(t *testing.T) string {
	t.Helper()
	api := httptest.NewServer(demo.API())
	t.Cleanup(api.Close)
	return api.URL
}

// administrator returns a client that acts as one.
func (r *running) administrator(t *testing.T) *rest.Client {
	t.Helper()
	client, err := rest.NewClient(r.URL(), rest.ClientOptions{JWT: r.jwt(t)})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (r *running) jwt(t *testing.T) latchward.Secret {
	t.Helper()
	jwt, err := server.MintJWT(r.config, server.Person{Subject: "ada", Administrator: true, ExpiresIn: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return jwt
}

// token creates a token and returns its id and secret.
func (r *running) token(t *testing.T, n rest.NewToken) (int64, string) {
	t.Helper()
	reply, err := r.administrator(t).CreateToken(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return reply.Token.ID, reply.Token.Secret.Expose()
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
	closes bool // the server wants the connection to be closed
}

// get sends a request with an Authorization header, if there is one.
func get(t *testing.T, url, authorization string) answer {
	t.Helper()
	return send(t, http.DefaultClient, "GET", url, authorization, nil)
}

func send(t *testing.T, client *http.Client, method, url, authorization string, body io.Reader) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	response, err := client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text), err, response.Close}
}

func (a answer) want(t *testing.T, what string, status int, texts ...string) {
	t.Helper()
	if a.err != nil || a.status != status {
		t.Errorf("%s: status %d, %v, want %d: %s", what, a.status, a.err, status, a.body)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			t.Errorf("%s: no %q in %s", what, text, a.body)
		}
	}
}

// S1-20, S2-10: the whole way of a device's token, over real listeners.
func TestDeviceToken(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t), "gateway.accept_jwt", "true"))
	client := r.administrator(t)
	id, secret := r.token(t, rest.NewToken{
		Name: rest.Some("Hive 7"), AllowedEndpoints: rest.Some([]string{"POST /metrics"}), IdleTimeoutDays: rest.Null[int](),
	})
	reading := `{"device":"hive-7","metric":"weight_kg","value":38.5}`
	post := func() answer {
		return send(t, http.DefaultClient, "POST", r.URL()+"/api/metrics", "Bearer "+secret, strings.NewReader(reading))
	}
	post().want(t, "metric", 202, "hive-7")
	get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "another endpoint", 403, "Endpoint not allowed for this token")
	get(t, r.URL()+"/api/products?store_id=1", "Bearer "+r.jwt(t).Expose()).want(t, "with a JWT", 200, "products")
	get(t, r.URL()+"/api/products", "").want(t, "without a credential", 401, "Authentication required")

	list, err := client.Tokens(t.Context(), rest.TokenQuery{})
	if err != nil || len(list.Tokens) != 1 || list.Tokens[0].LastUsedAt.IsZero() || list.Tokens[0].TotalRequests != 2 {
		t.Errorf("the list does not show the use: %+v, %v", list, err)
	}
	if _, err := client.RevokeToken(t.Context(), id, rest.Revocation{Reason: rest.Some("stolen")}); err != nil {
		t.Fatal(err)
	}
	post().want(t, "after the revocation", 401, "Invalid token")
}

func TestPathsAndSurfaces(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t)))
	_, secret := r.token(t, rest.NewToken{})
	bearer := "Bearer " + secret
	get(t, r.URL()+"/api/nothing", bearer).want(t, "unknown to the upstream", 404, `{"error":"Not found"}`)
	get(t, r.URL()+"/other", bearer).want(t, "outside the base", 404, "not_found")
	get(t, r.URL()+"/", "").want(t, "root", 404, "not_found")
	get(t, r.URL()+"/apix/products", bearer).want(t, "beside the base", 404, "not_found")
	get(t, r.URL()+"/api/api-tokens", bearer).want(t, "management with a token", 403)
	get(t, r.URL()+"/api/%61pi-tokens", bearer).want(t, "management, spelled otherwise", 404, "not_found")
	get(t, r.URL()+"/api/latchward/nothing", bearer).want(t, "unknown route of ours", 404, "not_found")
	get(t, r.URL()+"/api/latchward/openapi.json", "").want(t, "description", 200, "v9.8.7-test")
	get(t, r.URL()+"/api/whoami", bearer).want(t, "whoami", 200, `"authorization_received":false`, `"X-Latchward-Token-Id":"1"`,
		`"path":"/api/whoami"`)
}

func TestBaseAndSeveralUpstreams(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "saw "+r.URL.EscapedPath())
	}))
	defer echo.Close()
	r := start(t, settings(t, folder(t), "base", "/v1", "upstreams",
		"/="+echo.URL+",/billing="+echo.URL+"/internal,/files="+echo.URL+"/"))
	_, secret := r.token(t, rest.NewToken{})
	for path, want := range map[string]string{
		"/v1/products":   "saw /v1/products",
		"/v1/billing/7":  "saw /internal/billing/7",
		"/v1/files/a%20": "saw /files/a%20",
	} {
		get(t, r.URL()+path, "Bearer "+secret).want(t, path, 200, want)
	}
	get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "old base", 404)
}

func TestWithoutUpstreams(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	_, secret := r.token(t, rest.NewToken{})
	get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "nothing behind", 404, "not_found")
}

// S3-19
func TestWithoutAuthentication(t *testing.T) {
	r := start(t, settings(t, folder(t), "authentication", "off", "upstreams", upstream(t)))
	for _, credential := range []string{"", "Bearer nonsense", "Basic x", "Bearer " + r.jwt(t).Expose()} {
		get(t, r.URL()+"/api/products", credential).want(t, "open API", 200, "products")
	}
	request, _ := http.NewRequest("GET", r.URL()+"/api/whoami", nil)
	request.Header.Set("X-Latchward-Token-Id", "1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); !strings.Contains(string(text), `"identity":{}`) {
		t.Errorf("a client's identity header came through: %s", text)
	}
	for _, path := range []string{"/api/api-tokens", "/api/latchward/users", "/api/latchward/verify"} {
		get(t, r.URL()+path, "Bearer "+r.jwt(t).Expose()).want(t, path, 409,
			`"error":"API tokens are not available in non-authenticated mode"`)
	}
	if !strings.Contains(r.log.String(), "level=WARN") || !strings.Contains(r.log.String(), "AUTHENTICATION IS OFF") {
		t.Errorf("the log does not say so loudly: %s", r.log)
	}
	get(t, r.OperationsURL()+"/metrics", "").want(t, "metrics", 200, "latchward_authentication 0")
}
