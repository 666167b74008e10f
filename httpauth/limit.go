package httpauth

import (
	"net/http"
	"strconv"
	"time"

	"github.com/latchward/latchward"
)

// The limit headers as the map of a Header spells them; header names have no case on the wire (RFC 9110 §5.1).
const (
	headerLimit           = "X-Ratelimit-Limit"
	headerRemaining       = "X-Ratelimit-Remaining"
	headerReset           = "X-Ratelimit-Reset"
	headerRateLimit       = "Ratelimit"
	headerRateLimitPolicy = "Ratelimit-Policy"
)

const (
	timeLayout = "2006-01-02T15:04:05.000Z"
	maxInteger = 999_999_999_999_999 // of a structured field (RFC 9651 §3.3.1)
)

// FormatTime returns t in UTC with three digits of milliseconds, as in 2025-01-15T10:30:00.000Z. What is finer is cut.
func FormatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// AppendTime appends what FormatTime returns, in a third of the time.
func AppendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, timeLayout)
	}
	hour, minute, second := t.Clock()
	b = appendTwo(appendTwo(b, year/100), year%100)
	b = appendTwo(append(appendTwo(append(b, '-'), int(month)), '-'), day)
	b = appendTwo(append(appendTwo(append(appendTwo(append(b, 'T'), hour), ':'), minute), ':'), second)
	millisecond := t.Nanosecond() / int(time.Millisecond)
	b = appendTwo(append(b, '.', byte('0'+millisecond/100)), millisecond%100)
	return append(b, 'Z')
}

// appendTwo appends n, 0 to 99, as two digits.
func appendTwo(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// SetLimitHeaders sets X-RateLimit-Limit, -Remaining and -Reset (S2-13) and the structured fields RateLimit and
// RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers) from what v says about a limit. It changes nothing when v
// says nothing.
//
// Reset, the t of RateLimit and Retry-After name the same moment: Reset rounded up to a millisecond, the others to a
// second.
func SetLimitHeaders(h http.Header, v *latchward.Verdict) {
	if v.Limit.Name == "" {
		return
	}
	// All five values are parts of one string in one slice: two allocations, since every admitted request pays them.
	var space [256]byte
	var ends [5]int
	text := space[:0]
	text, ends[0] = mark(strconv.AppendInt(text, bounded(v.Limit.Limit), 10))
	text, ends[1] = mark(strconv.AppendInt(text, bounded(v.Limit.Remaining), 10))
	text, ends[2] = mark(AppendTime(text, v.Limit.Reset.Add(time.Millisecond-1)))
	text, ends[3] = mark(appendRateLimit(text, v))
	text, ends[4] = mark(appendRateLimitPolicy(text, &v.Limit))
	all, values, start := string(text), make([]string, len(ends)), 0
	for i, name := range [...]string{headerLimit, headerRemaining, headerReset, headerRateLimit, headerRateLimitPolicy} {
		values[i] = all[start:ends[i]]
		h[name] = values[i : i+1 : i+1]
		start = ends[i]
	}
}

func mark(text []byte) ([]byte, int) { return text, len(text) }

// appendRateLimit appends "name";r=<remaining>;t=<seconds until reset>.
func appendRateLimit(b []byte, v *latchward.Verdict) []byte {
	b = appendFieldString(b, v.Limit.Name)
	b = append(b, ";r="...)
	b = strconv.AppendInt(b, bounded(v.Limit.Remaining), 10)
	b = append(b, ";t="...)
	return strconv.AppendInt(b, resetSeconds(v), 10)
}

// appendRateLimitPolicy appends "name";q=<limit>;w=<seconds of the window>.
func appendRateLimitPolicy(b []byte, limit *latchward.LimitStatus) []byte {
	b = appendFieldString(b, limit.Name)
	b = append(b, ";q="...)
	b = strconv.AppendInt(b, bounded(limit.Limit), 10)
	b = append(b, ";w="...)
	return strconv.AppendInt(b, max(1, ceilSeconds(limit.Window)), 10)
}

// resetSeconds returns the seconds from the verdict to its reset, rounded up: at least 1 after a refusal, and 0 when
// nothing is counted.
func resetSeconds(v *latchward.Verdict) int64 {
	if wait := v.RetryAfter(); wait > 0 {
		return bounded(int64(wait / time.Second))
	}
	return bounded(ceilSeconds(v.Limit.Reset.Sub(v.At)))
}

func ceilSeconds(d time.Duration) int64 {
	seconds := int64(d / time.Second)
	if d%time.Second > 0 {
		seconds++
	}
	return seconds
}

// bounded returns n as a structured field can carry it: limits are counts, so never below zero.
func bounded(n int64) int64 { return min(max(n, 0), maxInteger) }

// appendFieldString appends a string of a structured field (RFC 9651 §4.1.6). What it cannot carry is left out.
func appendFieldString(b []byte, text string) []byte {
	b = append(b, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c > '~':
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
