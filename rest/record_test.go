package rest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

func reportLine(id string, more string) string {
	return `{"request_id":"` + id + `","token_id":1,"path":"/products","method":"GET","status":200` + more + `}`
}

func (p *populated) report(events ...string) int {
	p.t.Helper()
	r := p.do(http.MethodPost, "/api/latchward/usage", p.tokens[3].Secret.Expose(), `{"events":[`+strings.Join(events,
		",")+`]}`)
	return r.Code
}

// S2-30: every field of a report becomes a field of the event, and an event is counted once.
func TestReport(t *testing.T) {
	p := newPopulated(t)
	full := `{"request_id":"r1","token_id":1,"path":"/products/%31","method":"POST","status":404,"duration_ms":12.5,
"request_bytes":3,"response_bytes":4,"address":"2001:db8::1","user_agent":"curl",
"reason":"allowed","at":"2025-01-15T10:29:00.000Z"}`
	if status := p.report(full, reportLine("r2", ""), full); status != 200 {
		t.Fatalf("status %d", status)
	}
	if status := p.report(full); status != 200 {
		t.Fatalf("status %d", status)
	}
	usage, err := p.service.TokenUsage(asAdmin(), 1, 1)
	must(t, err)
	if len(usage.Recent) != 2 {
		t.Fatalf("%d events", len(usage.Recent))
	}
	want := latchward.UsageEvent{
		At: start.Add(-time.Minute), TokenID: 1, Credential: latchward.CredentialToken, Reason: latchward.ReasonAllowed,
		Endpoint: "/products/1", Method: "POST", Status: 404, Duration: 12500 * time.Microsecond, RequestBytes: 3,
		ResponseBytes: 4,
		Address:       netip.MustParseAddr("2001:db8::1"), UserAgent: "curl", RequestID: "r1",
	}
	if got := usage.Recent[1]; got != want {
		t.Errorf("event\n%+v, want\n%+v", got, want)
	}
	if got := usage.Recent[0]; !got.At.Equal(start) || got.Reason != latchward.ReasonAllowed || got.Address.IsValid() {
		t.Errorf("event %+v", got)
	}
	jwt := `{"request_id":"r3","user_id":2,"path":"/a","method":"GET","status":200}`
	if status := p.report(jwt); status != 200 { // S2-41
		t.Errorf("status %d", status)
	}
	o, err := p.service.UsageOverview(asAdmin(), 1)
	must(t, err)
	if o.JWT.Requests != 1 {
		t.Errorf("overview %+v", o)
	}
}

// Clocks that are wrong, by far or by little, move no usage out of sight.
func TestReportTimes(t *testing.T) {
	p := newPopulated(t)
	for at, want := range map[string]time.Time{
		"2025-01-15T10:00:00Z": start.Add(-30 * time.Minute), "2020-01-01": start.Add(-24 * time.Hour),
		"2099-01-01": start.Add(time.Minute), "2025-01-15T10:30:30Z": start.Add(30 * time.Second),
	} {
		if status := p.report(reportLine("at-"+at, `,"at":"`+at+`"`)); status != 200 {
			t.Fatalf("status %d", status)
		}
		found := false
		usage, err := p.service.TokenUsage(asAdmin(), 1, 2)
		must(t, err)
		for _, e := range usage.Recent {
			found = found || e.RequestID == "at-"+at && e.At.Equal(want)
		}
		if !found {
			t.Errorf("%s is not recorded as %v", at, want)
		}
	}
}

func TestInvalidReports(t *testing.T) {
	p := newPopulated(t)
	for event, field := range map[string]string{
		reportLine("", ""): "request_id", reportLine(strings.Repeat("x", 65), ""): "request_id",
		`{"request_id":"a","path":"/a","method":"GET","status":200}`:    "token_id",
		reportLine("a", `,"user_id":2`):                                 "token_id",
		reportLine("a", `,"token_id":1`):                                "token_id",
		reportLine("a", `,"duration_ms":-1`):                            "duration_ms",
		reportLine("a", `,"duration_ms":1e9`):                           "duration_ms",
		reportLine("a", `,"duration_ms":1e400`):                         "duration_ms",
		reportLine("a", `,"request_bytes":-1`):                          "request_bytes",
		reportLine("a", `,"response_bytes":0.5`):                        "response_bytes",
		reportLine("a", `,"address":"here"`):                            "address",
		reportLine("a", `,"reason":"fun"`):                              "reason",
		reportLine("a", `,"reason":"malformed"`):                        "reason", // unproven is not usage
		reportLine("a", `,"reason":"revoked"`):                          "reason",
		reportLine("a", `,"at":"now"`):                                  "at",
		strings.Replace(reportLine("a", ""), "/products", "/a/../b", 1): "path",
		strings.Replace(reportLine("a", ""), "/products", "", 1):        "path",
		strings.Replace(reportLine("a", ""), "GET", "get", 1):           "method",
		strings.Replace(reportLine("a", ""), "200", "99", 1):            "status",
		strings.Replace(reportLine("a", ""), "200", "600", 1):           "status",
		strings.Replace(reportLine("a", ""), "200", `"200"`, 1):         "status",
	} {
		r := p.do(http.MethodPost, "/api/latchward/usage", p.tokens[3].Secret.Expose(), `{"events":[`+reportLine("good",
			"")+`,`+event+`]}`)
		if got := problem(t, r); got.Status != 400 || got.Field != "events[1]."+field {
			t.Errorf("%s: %+v", event, got)
		}
	}
	usage, err := p.service.TokenUsage(asAdmin(), 1, 1)
	must(t, err)
	if len(usage.Recent) != 0 {
		t.Errorf("of refused reports %d events were taken", len(usage.Recent))
	}
}

// A journal that is full refuses the report, which can then be repeated as it is.
func TestReportToFullJournal(t *testing.T) {
	left := 1000
	w := newWorld(t, func(o *latchward.Options, _ *rest.Options) { o.Journal = full{left: &left} })
	token := w.verifier().Secret.Expose()
	left = 1
	r := w.do(http.MethodPost, "/api/latchward/usage", token, `{"events":[`+reportLine("a", "")+`,`+reportLine("b",
		"")+`]}`)
	if p := problem(t, r); p.Status != http.StatusServiceUnavailable || r.Header().Get("Retry-After") == "" {
		t.Errorf("%+v", p)
	}
}

// reporter is a client whose requests go to a function.
func reporter(t testing.TB, o rest.ClientOptions, f roundTrip) *rest.Client {
	o.HTTPClient = &http.Client{Transport: f}
	c, err := rest.NewClient("http://local", o)
	must(t, err)
	return c
}

func event(i int) *latchward.UsageEvent {
	return &latchward.UsageEvent{
		TokenID: 1, Endpoint: fmt.Sprintf("/e/%c", 'a'+i%26), Method: "GET", Status: 200, Reason: latchward.ReasonAllowed, At: start,
		Duration: 1500 * time.Microsecond, Address: netip.MustParseAddr("192.0.2.1"),
	}
}

// Everything recorded arrives at the service, in reports of at most 1,000, each event under an id of its own.
func TestRecordReachesTheService(t *testing.T) {
	p := newPopulated(t)
	var reports atomic.Int64
	c := reporter(t, rest.ClientOptions{}, func(r *http.Request) (*http.Response, error) {
		reports.Add(1)
		return inMemory{p.handler}.RoundTrip(r)
	})
	const n = 2345
	for i := range n {
		if !c.Record(event(i % 10)) {
			t.Fatal("not taken")
		}
	}
	must(t, c.Flush(context.Background()))
	usage, err := p.service.TokenUsage(asAdmin(), 1, 1)
	must(t, err)
	if usage.Hours[0].Requests != n || len(usage.Endpoints) != 10 || usage.Recent[0].Duration != 1500*time.Microsecond {
		t.Errorf("%+v", usage.Hours)
	}
	if got := reports.Load(); got != 3 || c.Dropped() != 0 {
		t.Errorf("%d reports, %d dropped", got, c.Dropped())
	}
}

// Run reports in the background, at once when a batch is complete, and what is left when it ends.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sizes []int
		c := reporter(t, rest.ClientOptions{FlushInterval: time.Second}, func(r *http.Request) (*http.Response, error) {
			text, err := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			sizes = append(sizes, strings.Count(string(text), `"request_id"`))
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{}`))}, err
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		want := func(what string, expected ...int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if fmt.Sprint(sizes) != fmt.Sprint(expected) {
				t.Errorf("%s: reports of %v, want %v", what, sizes, expected)
			}
		}
		c.Record(event(1))
		want("at first")
		<-time.After(1100 * time.Millisecond)
		want("after the interval", 1)
		for i := range rest.MaxBatch {
			c.Record(event(i))
		}
		want("when a batch is complete", 1, rest.MaxBatch)
		c.Record(event(1))
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want("at the end", 1, rest.MaxBatch, 1)
	})
}

// While the server is away nothing is lost up to the buffer, and the same ids are sent again.
func TestRecordWhileServerIsAway(t *testing.T) {
	p := newPopulated(t)
	away := true
	var lost int
	c := reporter(t, rest.ClientOptions{UsageBuffer: 5}, func(r *http.Request) (*http.Response, error) {
		if !away {
			return inMemory{p.handler}.RoundTrip(r)
		}
		if lost++; lost%2 == 0 { // the server takes it, the answer is lost
			_, _ = inMemory{p.handler}.RoundTrip(r)
		}
		return nil, errTest
	})
	taken := 0
	for i := range 8 {
		if c.Record(event(i)) {
			taken++
		}
		if err := c.Flush(context.Background()); latchward.ErrorCode(err) != latchward.CodeUnavailable {
			t.Errorf("flushing to nobody: %v", err)
		}
	}
	if taken != 5 || c.Dropped() != 3 {
		t.Errorf("%d taken, %d dropped", taken, c.Dropped())
	}
	away = false
	must(t, c.Flush(context.Background()))
	usage, err := p.service.TokenUsage(asAdmin(), 1, 1)
	must(t, err)
	if usage.Hours[0].Requests != 5 {
		t.Errorf("%d requests counted", usage.Hours[0].Requests)
	}
}

// One event that the server refuses takes no other with it.
func TestRecordOfPoison(t *testing.T) {
	p := newPopulated(t)
	c := reporter(t, rest.ClientOptions{}, inMemory{p.handler}.RoundTrip)
	for i := range 100 {
		e := event(i % 5)
		if i == 37 {
			e.Endpoint = "/../x"
		}
		e.UserAgent = strings.Repeat("\x01", 300) + "\xff"
		c.Record(e)
	}
	must(t, c.Flush(context.Background()))
	usage, err := p.service.TokenUsage(asAdmin(), 1, 1)
	must(t, err)
	if usage.Hours[0].Requests != 99 || c.Dropped() != 1 {
		t.Errorf("%d counted, %d dropped", usage.Hours[0].Requests, c.Dropped())
	}
}

// A report never is larger than the server takes.
func TestRecordOfLongEvents(t *testing.T) {
	p := newPopulated(t)
	largest := int64(0)
	c := reporter(t, rest.ClientOptions{}, func(r *http.Request) (*http.Response, error) {
		largest = max(largest, r.ContentLength)
		return inMemory{p.handler}.RoundTrip(r)
	})
	for range rest.MaxBatch {
		e := event(1)
		e.UserAgent = strings.Repeat("\x01", 255) // six bytes each in JSON: 1.7 MB in all
		c.Record(e)
	}
	must(t, c.Flush(context.Background()))
	usage, err := p.service.TokenUsage(asAdmin(), 1, 1)
	must(t, err)
	if usage.Hours[0].Requests != rest.MaxBatch || largest > rest.MaxBody {
		t.Errorf("%d counted, a report of %d bytes", usage.Hours[0].Requests, largest)
	}
}
