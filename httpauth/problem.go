package httpauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/shape"
)

const (
	problemMediaType = "application/problem+json; charset=utf-8"
	blankType        = "about:blank" // the title is that of the status (RFC 9457 §4.2.1)

	// From draft-ietf-httpapi-ratelimit-headers, "Problem Types for Rate Limits".
	quotaType  = "https://iana.org/assignments/http-problem-types#quota-exceeded"
	quotaTitle = "Request cannot be satisfied as assigned quota has been exceeded"
)

// Problem is the JSON body of every refusal and failure: RFC 9457's members together with those of the flat
// {"error": …} that clients of such APIs know.
type Problem struct {
	Type             string   `json:"type"`
	Title            string   `json:"title"`
	Status           int      `json:"status"`
	Detail           string   `json:"detail"`
	Error            string   `json:"error"`                       // what was wrong, for people
	Code             string   `json:"code"`                        // what was wrong, for programs
	Field            string   `json:"field,omitempty"`             // the member of the input at fault
	Limit            *int64   `json:"limit,omitempty"`             // units per window; with a limit only
	Current          *int64   `json:"current,omitempty"`           // units in the window, with those refused now
	RetryAfter       int64    `json:"retry_after,omitempty"`       // seconds, at least 1; as in the header
	ViolatedPolicies []string `json:"violated-policies,omitempty"` // names of the limits that refused
}

// StatusOfCode returns the HTTP status for the code of an Error. A code that is not in the table is 500.
func StatusOfCode(code latchward.Code) int {
	switch code {
	case latchward.CodeInvalid:
		return http.StatusBadRequest
	case latchward.CodeUnauthenticated:
		return http.StatusUnauthorized
	case latchward.CodeForbidden:
		return http.StatusForbidden
	case latchward.CodeNotFound:
		return http.StatusNotFound
	case latchward.CodeConflict:
		return http.StatusConflict
	case latchward.CodeExhausted:
		return http.StatusTooManyRequests
	case latchward.CodeUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// WriteError answers with what an outsider may know of err: code, message and field of the first
// [latchward.Error] in its chain, and a generic 500 for any other error. It logs nothing.
func WriteError(w http.ResponseWriter, err error) {
	var fault *shape.Fault
	if errors.As(err, &fault) {
		writeFault(w, fault)
		return
	}
	code := latchward.ErrorCode(err)
	if code == "" {
		code = latchward.CodeInternal
	}
	p := problemOf(StatusOfCode(code), string(code), latchward.ErrorMessage(err))
	p.Field = latchward.ErrorField(err)
	h := w.Header()
	switch code {
	case latchward.CodeUnauthenticated:
		h.Set("WWW-Authenticate", challenge)
	case latchward.CodeExhausted:
		p.RetryAfter = int64(attemptWindow / time.Second)
	case latchward.CodeUnavailable:
		p.RetryAfter = 1
		p.Error, p.Detail = "Temporarily unavailable", orText(p.Detail, "Temporarily unavailable")
	}
	if code == latchward.CodeInternal {
		p.Field = ""
	}
	WriteProblem(w, &p)
}

// writeFault answers with what is wrong with a request as HTTP.
func writeFault(w http.ResponseWriter, f *shape.Fault) {
	if f.Allow != "" {
		w.Header().Set("Allow", f.Allow)
	}
	p := problemOf(f.Status, string(latchward.ErrorCode(f.Unwrap())), f.Message)
	WriteProblem(w, &p)
}

// WriteProblem answers with p, which needs at least a Status. A RetryAfter above zero is sent in the header, too.
func WriteProblem(w http.ResponseWriter, p *Problem) {
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(p.RetryAfter, 10))
	}
	writeProblem(w, p.Status, encodeProblem(p))
}

func encodeProblem(p *Problem) []byte {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // for people in terminals; the media type keeps browsers from seeing HTML
	if err := encoder.Encode(p); err != nil {
		panic(err) // nothing in a Problem fails to encode
	}
	return body.Bytes()
}

func problemOf(status int, code, text string) Problem {
	return Problem{
		Type: blankType, Title: http.StatusText(status), Status: status, Detail: text, Error: text, Code: code,
	}
}

func orText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// writeProblem answers with a body that is ready.
func writeProblem(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", problemMediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Authorization")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}
