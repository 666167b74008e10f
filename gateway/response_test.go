package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/gateway"
)

// bar 100: what passes for ours in an upstream's answer is taken out; the rest arrives
func TestAnswerIsCleaned(t *testing.T) {
	const text = "HTTP/1.1 201 Created\r\nConnection: RateLimit, X-RateLimit-Limit, Vary, X-Hop\r\nX-Hop: a\r\n" +
		"RateLimit: \"x\";r=9\r\nRateLimit-Policy: \"x\";q=9;w=1\r\nX-RateLimit-Limit: 9\r\nX-RateLimit-Remaining: 9\r\n" +
		"X-RateLimit-Reset: never\r\nX-RateLimit-Limit-Day: 5\r\nServer: upstream/1.0\r\nAlt-Svc: h3=\":443\"\r\n" +
		"X-Latchward-Subject: user:7\r\nx_latchward_owner: user:7\r\nContent-Type: text/plain\r\nETag: \"e\"\r\n" +
		"Set-Cookie: a=b; Path=/\r\nSet-Cookie: __Host-latchward=forged; Path=/\r\nSet-Cookie: latchward_local=forged\r\n" +
		"Set-Cookie:  __Host-latchward_portal=forged\r\nStrict-Transport-Security: max-age=0\r\nContent-Length: 2\r\n\r\nhi"
	w := start(t, nil, to("http://"+scripted(t, answering(text))))
	handler := w.gateway
	w.address = w.listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000") // as Latchward's server does
		handler.ServeHTTP(w, r)
	}))
	a := w.only(w.requestAs(w.issue(latchward.NewToken{RateLimit: 500}), "GET", "/api/a"))
	if a.status != 201 || a.body != "hi" {
		t.Errorf("%d %q", a.status, a.body)
	}
	want := map[string][]string{
		"X-Ratelimit-Limit": {"500"}, "X-Ratelimit-Remaining": {"499"}, "Ratelimit-Policy": {`"rate_limit";q=500;w=60`},
		"Ratelimit": {`"rate_limit";r=499;t=60`}, "X-Ratelimit-Limit-Day": {"5"}, "Server": nil, "Alt-Svc": nil, "X-Hop": nil,
		"Content-Type": {"text/plain"}, "Etag": {`"e"`}, "Set-Cookie": {"a=b; Path=/"},
		"X-Latchward-Subject": nil, "X_latchward_owner": nil, "Strict-Transport-Security": {"max-age=31536000"},
		"Vary": {"Authorization"}, "Cache-Control": {"private"},
	}
	for name, values := range want {
		if got := a.header[name]; !slices.Equal(got, values) {
			t.Errorf("%s: %q, want %q", name, got, values)
		}
	}
	if reset := a.header["X-Ratelimit-Reset"]; len(reset) != 1 || !strings.HasSuffix(reset[0], "Z") {
		t.Errorf("X-RateLimit-Reset: %q", reset)
	}
}

// bar 20: no shared cache keeps the answer to a judged request; what the upstream says about private ones stands
func TestAnswersArePrivate(t *testing.T) {
	tests := []struct{ said, want string }{
		{"", "private"},
		{"Cache-Control: max-age=60\r\n", "max-age=60|private"},
		{"Cache-Control: public, s-maxage=60\r\n", "public, s-maxage=60|private"},
		{"Cache-Control: no-store\r\n", "no-store"},
		{"Cache-Control: max-age=60, Private\r\n", "max-age=60, Private"},
		{"Cache-Control: max-age=60\r\nCache-Control: no-store\r\n", "max-age=60|no-store"},
		{"X-Accel-Expires: 60\r\nVary: Accept\r\n", "private"},
	}
	for _, test := range tests {
		upstream := "http://" + scripted(t, answering("HTTP/1.1 200 OK\r\n"+test.said+"Content-Length: 0\r\n\r\n"))
		w := start(t, nil, to(upstream))
		a := w.only(w.request("GET", "/api/a"))
		if got := strings.Join(a.header["Cache-Control"], "|"); got != test.want {
			t.Errorf("%q: Cache-Control %q, want %q", test.said, got, test.want)
		}
		if vary := a.header["Vary"]; vary[len(vary)-1] != "Authorization" || a.header["X-Accel-Expires"] != nil {
			t.Errorf("%q: %v", test.said, a.header)
		}
		w = start(t, nil, to(upstream), func(o *gateway.Options) { o.Open, o.Verifier = true, nil })
		a = w.only(w.request("GET", "/api/a")) // in open mode nobody was judged
		told := fmt.Sprintf("Cache-Control: %s\r\n", strings.Join(a.header["Cache-Control"], "\r\nCache-Control: "))
		if strings.HasPrefix(test.said, "Cache-Control") && told != test.said || a.header.Get("Vary") == "Authorization" {
			t.Errorf("%q in open mode: %v", test.said, a.header)
		}
	}
	w := start(t, nil) // refusals
	a := w.only(w.requestAs("lw_nonsense", "GET", "/api/a"))
	if a.status != 401 || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Vary") != "Authorization" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

// bar 100: interim answers arrive, cleaned, and take nothing from the final one
func TestInterimAnswers(t *testing.T) {
	const early = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-Latchward-Subject: forged\r\nRateLimit: forged\r\n" +
		"Set-Cookie: __Host-latchward=forged\r\nX-Early: yes\r\n\r\n"
	const final = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Late: yes\r\n\r\nhi"
	w := start(t, nil, to("http://"+scripted(t, answering(early+early+final))))
	c, reader := w.dial()
	send(t, c, w.request("GET", "/api/a"))
	for range 2 {
		response, err := http.ReadResponse(reader, nil)
		if err != nil || response.StatusCode != 103 {
			t.Fatalf("%+v, %v", response, err)
		}
		h := response.Header
		if h.Get("Link") != "</a.css>" || h.Get("X-Early") != "yes" || len(h) != 2 {
			t.Errorf("the interim answer's header is %v", h)
		}
	}
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%+v, %v", response, err)
	}
	h := response.Header
	if body, _ := io.ReadAll(response.Body); string(body) != "hi" || h.Get("X-Late") != "yes" || h["X-Early"] != nil ||
		h.Get("X-RateLimit-Limit") == "" || len(h["Ratelimit"]) != 1 {
		t.Errorf("the final answer is %q with %v", body, h)
	}
	if e := w.event(); e.Status != 200 || e.ResponseBytes != 2 {
		t.Errorf("recorded as %+v", e)
	}
	old := w.raw("GET /api/a HTTP/1.0\r\nAuthorization: Bearer " + w.token + "\r\n\r\n") // knows of none
	if len(old) != 1 || old[0].status != 200 || old[0].header.Get("X-Late") != "yes" {
		t.Errorf("HTTP/1.0 gets %+v", old)
	}
}

// bar 100, 43: trailers arrive but for what passes for ours, announced or not
func TestAnswerTrailers(t *testing.T) {
	trailers := "X-Sum: 7\r\nX-Latchward-Subject: forged\r\nRateLimit: forged\r\nSet-Cookie: __Host-latchward=forged\r\n" +
		"X-RateLimit-Limit: 7\r\n"
	for _, announced := range []string{"", "Trailer: X-Sum\r\n", "Trailer: X-Sum, X-Latchward-Subject, RateLimit, Set-Cookie, X-RateLimit-Limit\r\n"} {
		text := "HTTP/1.1 200 OK\r\n" + announced + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n" + trailers + "\r\n"
		w := start(t, nil, to("http://"+scripted(t, answering(text))))
		c, reader := w.dial()
		send(t, c, w.request("GET", "/api/a", "TE: trailers"))
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if string(body) != "hi" || err != nil || len(response.Trailer) != 1 || response.Trailer.Get("X-Sum") != "7" {
			t.Errorf("%q: %q, %v, trailer %v", announced, body, err, response.Trailer)
		}
		if limits := response.Header["Ratelimit"]; len(limits) != 1 || strings.Contains(limits[0], "forged") {
			t.Errorf("%q: RateLimit %q", announced, limits)
		}
	}
}

// S2-13: our headers are on whatever the upstream answers
func TestLimitHeadersOnEveryAnswer(t *testing.T) {
	w := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/v1/%d", &status)
		w.WriteHeader(status)
	}))
	for i, status := range []int{200, 204, 206, 301, 304, 400, 404, 418, 500, 503} {
		a := w.only(w.request("GET", fmt.Sprintf("/api/%d", status)))
		if want := fmt.Sprint(latchward.MaxRateLimit - i - 1); a.status != status || a.header.Get("X-RateLimit-Remaining") != want {
			t.Errorf("%d: %d, remaining %s, want %s", status, a.status, a.header.Get("X-RateLimit-Remaining"), want)
		}
		if e := w.event(); e.Status != status {
			t.Errorf("%d is recorded as %d", status, e.Status)
		}
	}
}

// bar 94: a redirect is the client's to follow; the credential goes nowhere
func TestRedirectIsPassedOn(t *testing.T) {
	w := start(t, http.RedirectHandler("http://elsewhere.example/x", http.StatusFound))
	a := w.only(w.request("GET", "/api/a"))
	if a.status != 302 || a.header.Get("Location") != "http://elsewhere.example/x" || strings.Contains(a.body, w.token) {
		t.Errorf("%+v", a)
	}
	if n := len(w.upstream.take()); n != 1 {
		t.Errorf("the upstream saw %d requests", n)
	}
}

// What the client asks to be compressed, or not, arrives as the upstream sends it.
func TestEncodingIsPassedOn(t *testing.T) {
	w := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "as it is, for "+r.Header.Get("Accept-Encoding"))
	}))
	for _, accepted := range []string{"gzip", "br", ""} {
		a := w.only(w.request("GET", "/api/a", "Accept-Encoding: "+accepted))
		if a.body != "as it is, for "+accepted || a.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%q: %q %v", accepted, a.body, a.header)
		}
	}
}

// A HEAD has the head of a GET, and no body.
func TestHead(t *testing.T) {
	w := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
	}))
	c, reader := w.dial()
	send(t, c, w.request("HEAD", "/api/a"))
	text, err := io.ReadAll(reader)
	head, body, _ := strings.Cut(string(text), "\r\n\r\n")
	if err != nil || body != "" || !strings.Contains(head, "Content-Length: 1000") {
		t.Errorf("%q, %v", text, err)
	}
	if e := w.event(); e.ResponseBytes != 0 || e.Method != "HEAD" {
		t.Errorf("recorded as %+v", e)
	}
}
