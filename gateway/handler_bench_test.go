package gateway

import (
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

type stub struct{}

func (stub) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: 11, Body: io.NopCloser(strings.NewReader(`{"data":[]}`)),
		Header: http.Header{"Content-Type": {"application/json"}, "Content-Length": {"11"}, "Date": {"Sun, 22 Nov 2026 10:00:00 GMT"}}}, nil
}

type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

func BenchmarkHandler(b *testing.B) {
	upstream, _ := url.Parse("http://127.0.0.1:1/v1")
	service, token := benchService(b)
	g, err := New(Options{Verifier: service, Recorder: &ring{}, Base: "/api", Upstreams: []Upstream{{Prefix: "/", URL: upstream}}})
	if err != nil {
		b.Fatal(err)
	}
	g.roundTripper = stub{}
	twin := newTwin(upstream, stub{}).(*httputil.ReverseProxy)
	for name, h := range map[string]http.Handler{"gateway": g, "twin": twin} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			u, _ := url.ParseRequestURI("/api/products?store_id=1")
			for range b.N {
				r := &http.Request{Method: "GET", RequestURI: "/api/products?store_id=1", URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "api.example.com", RemoteAddr: "127.0.0.1:1234", Body: http.NoBody,
					Header: http.Header{"Authorization": {"Bearer " + token}, "User-Agent": {"bench/1.0"}, "Accept": {"application/json"}, "Accept-Encoding": {"gzip"}, "X-Request-Id": {"0123456789"}}}
				r = r.WithContext(b.Context())
				h.ServeHTTP(&sink{http.Header{}}, r)
			}
		})
	}
}
