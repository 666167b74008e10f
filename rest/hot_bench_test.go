package rest_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// replayed is a body that can be sent again and again.
type replayed struct{ bytes.Reader }

func (*replayed) Close() error { return nil }

// quiet is a ResponseWriter that keeps nothing but the status.
type quiet struct {
	header http.Header
	status int
}

func (q *quiet) Header() http.Header         { return q.header }
func (q *quiet) WriteHeader(status int)      { q.status = status }
func (q *quiet) Write(b []byte) (int, error) { return len(b), nil }

// hotVerify returns a function that sends one verification through the handler, without a connection.
func hotVerify(t testing.TB, extra string) func() int {
	w := newWorld(t, func(s *latchward.Options, o *rest.Options) {
		s.Now, o.Now = time.Now, time.Now
		s.Journal = forgetful{}
	})
	caller := w.verifier()
	issued := w.issue(latchward.NewToken{RateLimit: latchward.MaxRateLimit, AllowedEndpoints: []string{"/products*"}})
	text := []byte(`{"token":"` + issued.Secret.Expose() +
		`","method":"GET","path":"/products/1","address":"192.0.2.1"` + extra + `}`)
	body := &replayed{}
	r, err := http.NewRequest(http.MethodPost, "/api/latchward/verify", io.NopCloser(body))
	must(t, err)
	r.RemoteAddr, r.ContentLength, r.Body = "192.0.2.9:4711", int64(len(text)), body
	r.Header.Set("Authorization", "Bearer "+caller.Secret.Expose())
	r.Header.Set("Content-Type", "application/json")
	answer := &quiet{header: http.Header{}}
	return func() int {
		body.Reset(text)
		answer.status = http.StatusOK
		clear(answer.header)
		w.handler.ServeHTTP(answer, r)
		return answer.status
	}
}

// BenchmarkVerifyHandler is what of BenchmarkVerifyHTTP is ours.
func BenchmarkVerifyHandler(b *testing.B) {
	verify := hotVerify(b, "")
	b.ReportAllocs()
	for b.Loop() {
		if status := verify(); status != http.StatusOK {
			b.Fatal(status)
		}
	}
}
