package httpauth_test

import (
	"math"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// field parses a structured field of one named item (RFC 9651).
func field(t *testing.T, h http.Header, name string) (string, map[string]int64) {
	t.Helper()
	list, err := httpsfv.UnmarshalList(h.Values(name))
	if err != nil || len(list) != 1 {
		t.Fatalf("%s: %q: %v", name, h.Values(name), err)
	}
	item, ok := list[0].(httpsfv.Item)
	if !ok {
		t.Fatalf("%s is no item", name)
	}
	text, ok := item.Value.(string)
	if !ok {
		t.Fatalf("%s has a name of type %T, not a string", name, item.Value)
	}
	numbers := map[string]int64{}
	for _, parameter := range item.Params.Names() {
		value, _ := item.Params.Get(parameter)
		numbers[parameter], ok = value.(int64)
		if !ok || numbers[parameter] < 0 || numbers[parameter] > 999_999_999_999_999 {
			t.Fatalf("%s: %s is %v", name, parameter, value)
		}
	}
	return text, numbers
}

func allowed() *latchward.Verdict {
	return &latchward.Verdict{
		Reason: latchward.ReasonAllowed, At: epoch, Token: latchward.VerdictToken{ID: 7},
		Subject: latchward.Subject{Type: latchward.SubjectUser, ID: 3, Name: "Ada"},
		Limit: latchward.LimitStatus{
			Name: "rate_limit", Limit: 100, Window: time.Minute, Remaining: 37, Current: 63,
			Reset: epoch.Add(11*time.Second + 400*time.Millisecond + 1),
		},
	}
}

// S2-13, bar 43
func TestSetLimitHeaders(t *testing.T) {
	h := http.Header{}
	httpauth.SetLimitHeaders(h, allowed())
	want := map[string]string{
		"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "37",
		"X-RateLimit-Reset": "2025-01-15T10:30:11.401Z", // rounded up
		"RateLimit":         `"rate_limit";r=37;t=12`,
		"RateLimit-Policy":  `"rate_limit";q=100;w=60`,
	}
	for name, value := range want {
		if got := h.Values(name); len(got) != 1 || got[0] != value {
			t.Errorf("%s is %q", name, got)
		}
	}
	if len(h) != len(want) {
		t.Errorf("headers %v", h)
	}
	h.Add("RateLimit", "of the handler")
	if h.Get("RateLimit-Policy") != want["RateLimit-Policy"] {
		t.Error("adding to one header changes another")
	}
}

func TestSetLimitHeadersReplacesOthers(t *testing.T) {
	h := http.Header{}
	h.Add("RateLimit", `"x";r=9`) // bar 100
	h.Add("X-RateLimit-Limit", "1")
	httpauth.SetLimitHeaders(h, allowed())
	if got := h.Values("RateLimit"); len(got) != 1 || got[0] == `"x";r=9` {
		t.Errorf("RateLimit is %q", got)
	}
	h = http.Header{}
	httpauth.SetLimitHeaders(h, &latchward.Verdict{Reason: latchward.ReasonAllowed})
	if len(h) != 0 {
		t.Errorf("a verdict without limit set %v", h)
	}
}

// bar 43, 44: whatever a verdict says, the fields parse and their numbers are in range
func TestLimitHeadersParse(t *testing.T) {
	isReset := regexp.MustCompile(`^\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	durations := []time.Duration{
		-time.Hour, 0, 1, time.Millisecond, time.Second, 59999999999, time.Minute, 366 * 24 * time.Hour,
	}
	counts := []int64{math.MinInt64, -1, 0, 1, 100, 999_999_999_999_999, math.MaxInt64}
	for name, sent := range map[string]string{
		"rate_limit": "rate_limit", "per day": "per day", `a"b\c`: `a"b\c`, " ~": " ~", "na\u00efve\x00\x7f\n": "nave",
	} {
		for _, reason := range []latchward.Reason{latchward.ReasonAllowed, latchward.ReasonRateLimited} {
			for _, wait := range durations {
				for _, count := range counts {
					v := &latchward.Verdict{Reason: reason, At: epoch, Limit: latchward.LimitStatus{
						Name: name, Limit: count, Remaining: count, Window: wait, Reset: epoch.Add(wait),
					}}
					h := http.Header{}
					httpauth.SetLimitHeaders(h, v)
					if got := checkLimitHeaders(t, h, v); got != sent {
						t.Fatalf("name %q is sent as %q", name, got)
					}
					if !isReset.MatchString(h.Get("X-RateLimit-Reset")) {
						t.Fatalf("X-RateLimit-Reset is %q", h.Get("X-RateLimit-Reset"))
					}
				}
			}
		}
	}
}

// checkLimitHeaders checks that the headers say what v does, and returns the name they give the limit.
func checkLimitHeaders(t *testing.T, h http.Header, v *latchward.Verdict) string {
	t.Helper()
	name, limit := field(t, h, "RateLimit")
	policyName, policy := field(t, h, "RateLimit-Policy")
	if name != policyName || len(limit) != 2 || len(policy) != 2 || policy["w"] < 1 {
		t.Fatalf("RateLimit %q, RateLimit-Policy %q", h.Get("RateLimit"), h.Get("RateLimit-Policy"))
	}
	if wait := v.Limit.Reset.Sub(v.At); time.Duration(limit["t"])*time.Second < wait {
		t.Fatalf("t is %d, the reset is in %v", limit["t"], wait)
	}
	if h.Get("X-RateLimit-Limit") != strconv.FormatInt(policy["q"], 10) ||
		h.Get("X-RateLimit-Remaining") != strconv.FormatInt(limit["r"], 10) {
		t.Fatalf("headers disagree: %v", h)
	}
	reset, err := time.Parse(time.RFC3339, h.Get("X-RateLimit-Reset"))
	if late := reset.Sub(v.Limit.Reset); err != nil || late < 0 || late >= time.Millisecond {
		t.Fatalf("X-RateLimit-Reset %q is %v late: %v", h.Get("X-RateLimit-Reset"), late, err)
	}
	if retry := v.RetryAfter(); retry > 0 && limit["t"] != int64(retry/time.Second) {
		t.Fatalf("t is %d, Retry-After %v", limit["t"], retry)
	}
	return name
}

// S2-03
func TestFormatTime(t *testing.T) {
	zone := time.FixedZone("", 3600)
	for want, at := range map[string]time.Time{
		"2025-01-15T10:30:00.000Z": epoch,
		"2025-01-15T10:30:00.009Z": epoch.Add(9*time.Millisecond + 999999),
		"2025-01-15T10:30:00.120Z": epoch.Add(120 * time.Millisecond).In(zone),
	} {
		if got := httpauth.FormatTime(at); got != want {
			t.Errorf("%v: %s", at, got)
		}
	}
}

func remainingOf(w interface{ Header() http.Header }) int64 {
	remaining, err := strconv.ParseInt(w.Header().Get("X-RateLimit-Remaining"), 10, 64)
	if err != nil {
		return -1
	}
	return remaining
}
