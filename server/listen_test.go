package server_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

// certificate writes a self-signed certificate for 127.0.0.1 and its key, modified at the given moment.
func certificate(t *testing.T, folder, name string, modified time.Time) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certText := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	cert, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	write(t, cert, string(certText), 0o644)
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})), 0o600)
	for _, path := range []string{cert, key} {
		if err := os.Chtimes(path, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certText)
	return cert, key, pool
}

// over returns a client that trusts pool and opens a connection for each request.
func over(pool *x509.CertPool, http2 bool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: http2, DisableKeepAlives: true,
	}}
}

func TestTLS(t *testing.T) {
	files := folder(t)
	cert, key, pool := certificate(t, files, "first", time.Unix(1_000, 0))
	r := start(t, settings(t, folder(t), "api.tls_cert", cert, "api.tls_key", key))
	if !strings.HasPrefix(r.URL(), "https://127.0.0.1:") {
		t.Errorf("URL %s", r.URL())
	}
	const hsts = "max-age=31536000"
	for _, two := range []bool{false, true} {
		a := send(t, over(pool, two), "GET", r.URL()+"/api/latchward/openapi.json", "", nil)
		a.want(t, fmt.Sprint("HTTP/2: ", two), 200)
		if got := a.header.Get("Strict-Transport-Security"); got != hsts {
			t.Errorf("HTTP/2: %v: Strict-Transport-Security %q", two, got)
		}
	}
	protocol := func() string {
		response, err := over(pool, true).Get(r.URL() + "/")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.Proto
	}
	if p := protocol(); p != "HTTP/2.0" {
		t.Errorf("protocol %s", p)
	}

	write(t, key, "half", 0o600) // a renewal caught between two files changes nothing
	if a := send(t, over(pool, true), "GET", r.URL()+"/", "", nil); a.err != nil {
		t.Errorf("during a renewal: %v", a.err)
	}
	_, _, second := certificate(t, files, "second", time.Unix(2_000, 0))
	if a := send(t, over(second, true), "GET", r.URL()+"/", "", nil); a.err != nil {
		t.Errorf("with the new certificate: %v", a.err)
	}
	if a := send(t, over(pool, true), "GET", r.URL()+"/", "", nil); a.err == nil {
		t.Error("the old certificate is still in use")
	}
}

func TestBadCertificates(t *testing.T) {
	files := folder(t)
	cert, key, _ := certificate(t, files, "one", time.Now())
	_, otherKey, _ := certificate(t, folder(t), "other", time.Now())
	refused := func(what, cert, key, text string) {
		t.Helper()
		c := settings(t, folder(t), "operations.tls_cert", cert, "operations.tls_key", key)
		refuses(t, c, latchward.CodeInvalid, text)
		if err := server.Check(c); err == nil {
			t.Errorf("%s: Check does not agree", what)
		}
	}
	refused("a key of another certificate", cert, otherKey, "operations.tls_cert")
	refused("no certificate", filepath.Join(files, "none"), key, "no such file")
	refused("no key", cert, filepath.Join(files, "none"), "no such file")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	refused("a key that all can read", cert, key, "is open to others")
}

// bar 140
func TestListenersAreSplit(t *testing.T) {
	r := start(t, settings(t, folder(t), "operations.profiling", "true", "upstreams", upstream(t)))
	_, secret := r.token(t, rest.NewToken{})
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/debug/pprof/", "/debug/vars"} {
		a := get(t, r.URL()+path, "Bearer "+secret)
		a.want(t, "API listener "+path, 404, "not_found")
		if server := a.header["Server"]; server != nil {
			t.Errorf("Server header %q", server)
		}
	}
	for _, path := range []string{"/api/api-tokens", "/api/products", "/api/latchward/openapi.json", "/"} {
		if a := get(t, r.OperationsURL()+path, "Bearer "+secret); a.status != 404 {
			t.Errorf("operations listener %s: status %d", path, a.status)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		a := get(t, r.OperationsURL()+path, "")
		a.want(t, path, 200)
		if text := a.body + fmt.Sprint(a.header); strings.Contains(text, "v9.8.7") || strings.Contains(text, "go1.") {
			t.Errorf("%s tells the version: %s", path, text)
		}
	}
	get(t, r.OperationsURL()+"/metrics", "").want(t, "metrics", 200, `latchward_build_info{go_version="go`, `version="v9.8.7-test"`)
	get(t, r.OperationsURL()+"/debug/pprof/goroutine?debug=1", "").want(t, "profile", 200, "goroutine profile")
}

func TestProfilingIsOff(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	if a := get(t, r.OperationsURL()+"/debug/pprof/", ""); a.status != 404 {
		t.Errorf("status %d", a.status)
	}
}

func TestOperationsSecret(t *testing.T) {
	c := settings(t, folder(t), "operations.profiling", "true")
	c.OperationsSecret = latchward.SecretFromText("operations-0123456789-abcdefghijk")
	r := start(t, c)
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		get(t, r.OperationsURL()+path, "").want(t, "without it", 401)
		get(t, r.OperationsURL()+path, "Bearer operations-0123456789-abcdefghijK").want(t, "with another one", 401)
		get(t, r.OperationsURL()+path, "Bearer "+c.OperationsSecret.Expose()).want(t, "with it", 200)
	}
	get(t, r.OperationsURL()+"/readyz", "").want(t, "health needs none", 200)
}

func TestOperationsOff(t *testing.T) {
	r := start(t, settings(t, folder(t), "operations.listen", "off"))
	if r.OperationsURL() != "" {
		t.Errorf("operations at %s", r.OperationsURL())
	}
	get(t, r.URL()+"/", "").want(t, "API", 404)
}

// S1-19, bar 99: what is counted, and that no request can add a label.
func TestMetrics(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t)))
	id, secret := r.token(t, rest.NewToken{RateLimit: rest.Some[int64](2)})
	series := func() []string {
		var names []string
		for line := range strings.Lines(get(t, r.OperationsURL()+"/metrics", "").body) {
			if name, _, ok := strings.Cut(line, " "); ok && strings.HasPrefix(name, "latchward_") {
				names = append(names, name)
			}
		}
		return names
	}
	before := series()
	for i := range 50 {
		request, err := http.NewRequest([]string{"GET", "PURGE", "X" + fmt.Sprint(i)}[i%3], r.URL()+fmt.Sprintf("/api/a%d/b?c=%d", i, i), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("User-Agent", fmt.Sprint("agent ", i))
		request.Header.Set("Authorization", "Bearer "+secret)
		request.Host = fmt.Sprintf("host%d.example.com", i)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	if _, err := r.administrator(t).RevokeToken(t.Context(), id, rest.Revocation{}); err != nil {
		t.Fatal(err)
	}
	if after := series(); !slices.Equal(before, after) {
		t.Errorf("series appeared: %d, then %d", len(before), len(after))
	}
	get(t, r.OperationsURL()+"/metrics", "").want(t, "metrics", 200,
		"latchward_tokens_created_total 1\n", "latchward_tokens_revoked_total 1\n", "latchward_tokens_failed_total 0\n",
		`latchward_verdicts_total{reason="allowed"} 2`, `latchward_verdicts_total{reason="rate_limited"} 15`,
		`latchward_http_requests_total{class="4xx",surface="gateway"} 50`,
		`latchward_http_requests_total{class="2xx",surface="management"} 2`, "latchward_ready 1\n",
		"latchward_remembered_tokens ", "latchward_store_reads_total", "latchward_usage_refused_total 0\n",
		"latchward_usage_accepted_total", "latchward_usage_flushed_total", "latchward_usage_flush_failures_total 0\n",
		"latchward_undecided_total 0\n", "go_goroutines")
}

// Is creation reliable, do valid tokens work, is revocation immediate, and who uses tokens at all (S1-19)?
func TestMetricsOfSuccess(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t)))
	used, secret := r.token(t, rest.NewToken{})
	revoked, _ := r.token(t, rest.NewToken{})
	for range 20 {
		get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "a valid token", 200)
	}
	client := r.administrator(t)
	if _, err := client.RevokeToken(t.Context(), revoked, rest.Revocation{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Token(t.Context(), used); err != nil { // which waits for what is recorded
		t.Fatal(err)
	}
	get(t, r.OperationsURL()+"/metrics", "").want(t, "metrics", 200,
		`latchward_verdicts_total{reason="allowed"} 20`, "latchward_tokens_created_total 2\n", "latchward_tokens_failed_total 0\n",
		`latchward_tokens{status="active"} 1`, `latchward_tokens{status="revoked"} 1`, `latchward_tokens{status="expired"} 0`,
		"latchward_users 1\n", "latchward_users_with_used_token 1\n", `latchward_change_duration_seconds_bucket{le="1"} `,
		`latchward_http_request_duration_seconds_count{surface="gateway"} 20`)
}

// bar 98
func TestBombs(t *testing.T) {
	r := start(t, settings(t, folder(t), "operations.listen", "off"))
	bearer := "Bearer " + r.jwt(t).Expose()
	url := r.URL() + "/api/api-tokens"
	request, err := http.NewRequest("POST", url, strings.NewReader("\x1f\x8b\x08"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", bearer)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Content-Encoding", "gzip")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 415 && response.StatusCode != 400 {
		t.Errorf("gzip: status %d", response.StatusCode)
	}
	for what, body := range map[string]string{
		"depth":     `{"metadata":` + strings.Repeat("[", 100_000),
		"number":    `{"rate_limit":` + strings.Repeat("9", 200_000) + `}`,
		"duplicate": `{"name":"a","name":"b"}`,
	} {
		a := send(t, http.DefaultClient, "POST", url, bearer, strings.NewReader(body))
		if a.status != 400 && a.status != 413 && a.status != 415 {
			t.Errorf("%s: status %d: %.200s", what, a.status, a.body)
		}
	}
	if a := send(t, http.DefaultClient, "GET", url, "Bearer "+strings.Repeat("x", 80<<10), nil); a.status != 431 {
		t.Errorf("80 KiB of header: status %d", a.status)
	}
}

// bar 26: net/http answers "OPTIONS *" itself unless told otherwise.
func TestOptionsOfNothing(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t)))
	connection, err := net.Dial("tcp", strings.TrimPrefix(r.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprint(connection, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil || !strings.Contains(line, "400") {
		t.Errorf("%q, %v", line, err)
	}
}

func TestCleartextHTTP2(t *testing.T) {
	r := start(t, settings(t, folder(t), "operations.listen", "off"))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols, DisableKeepAlives: true}}
	response, err := client.Get(r.URL() + "/api/latchward/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.ProtoMajor != 2 || response.StatusCode != 200 {
		t.Errorf("%s %d, %v", response.Proto, response.StatusCode, err)
	}
}
