package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/latchward/latchward"
)

// The error codes that are answered.
const (
	codeInvalidRequest   = "invalid_request"         // RFC 6749 §5.2
	codeInvalidClient    = "invalid_client"          // RFC 6749 §5.2
	codeUnsupportedGrant = "unsupported_grant_type"  // RFC 6749 §5.2
	codeInvalidScope     = "invalid_scope"           // RFC 6749 §5.2
	codeInvalidTarget    = "invalid_target"          // RFC 8707 §2
	codeUnsupportedType  = "unsupported_token_type"  // RFC 7009 §2.2.1
	codeInvalidToken     = "invalid_token"           // RFC 6750 §3.1
	codeScope            = "insufficient_scope"      // RFC 6750 §3.1
	codeUnauthorized     = "unauthorized_client"     // RFC 6749 §5.2
	codeUnavailable      = "temporarily_unavailable" // RFC 6749 §4.1.2.1
	codeServerError      = "server_error"            // RFC 6749 §4.1.2.1
)

// fault is a refusal as RFC 6749 §5.2 has it.
type fault struct {
	status     int // 0 = 400
	code       string
	text       string   // for people
	challenges []string // of WWW-Authenticate
	allow      string   // methods, for 405
	retryAfter int64    // seconds; 0 = not told
}

func (f *fault) Error() string { return f.code + ": " + f.text }

func invalidRequest(text string) error { return &fault{code: codeInvalidRequest, text: text} }

// errorBody is the JSON of a fault.
type errorBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// refuse answers with what the caller may know of err and logs the rest.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var f *fault
	if !errors.As(err, &f) {
		f = faultOf(err)
		if f.status >= http.StatusInternalServerError {
			h.log.ErrorContext(r.Context(), "Request failed.", "method", r.Method, "path", r.URL.Path, "error", err)
		}
	}
	header := w.Header()
	for _, challenge := range f.challenges {
		header.Add("WWW-Authenticate", challenge)
	}
	if f.allow != "" {
		header.Set("Allow", f.allow)
	}
	if f.retryAfter > 0 {
		header.Set("Retry-After", strconv.FormatInt(f.retryAfter, 10))
	}
	status := f.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	writeJSON(w, status, errorBody{f.code, describable(f.text)})
}

// faultOf is the one table from the codes of errors to OAuth's.
func faultOf(err error) *fault {
	text := latchward.ErrorMessage(err)
	switch latchward.ErrorCode(err) {
	case latchward.CodeInvalid, latchward.CodeForbidden, latchward.CodeNotFound, latchward.CodeConflict:
		if field := latchward.ErrorField(err); field != "" && !strings.Contains(text, field) {
			text = field + ": " + text
		}
		return &fault{code: codeInvalidRequest, text: text}
	case latchward.CodeUnauthenticated: // RFC 8693 §2.2.2: a subject token that is no good is an invalid request
		return &fault{code: codeInvalidRequest, text: text}
	case latchward.CodeExhausted:
		return &fault{status: http.StatusTooManyRequests, code: codeUnavailable, text: text, retryAfter: 60}
	case latchward.CodeUnavailable:
		return &fault{status: http.StatusServiceUnavailable, code: codeUnavailable, text: "Temporarily unavailable", retryAfter: 1}
	default:
		return &fault{status: http.StatusInternalServerError, code: codeServerError, text: "Internal error"}
	}
}

// describable returns text in the characters that error_description may have (RFC 6749 §5.2).
func describable(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '"':
			return '\''
		case c == '\\':
			return '/'
		case c < ' ' || c > '~':
			return '?'
		}
		return c
	}, text)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // all bodies encode
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that is gone needs no answer
}
