package shape

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/latchward/latchward"
)

// Fault is a refusal that no [latchward.Code] stands for, because it is about HTTP alone.
type Fault struct {
	Status  int
	Message string
	Code    latchward.Code // "" = invalid
	Allow   string         // methods, for 405
}

// Error implements error.
func (f *Fault) Error() string { return f.Message }

// Unwrap returns the [latchward.Error] that comes nearest, for whoever does not care about HTTP.
func (f *Fault) Unwrap() error { return latchward.Errorf(f.code(), "%s", f.Message) }

func (f *Fault) code() latchward.Code {
	if f.Code == "" {
		return latchward.CodeInvalid
	}
	return f.Code
}

func unsupported(message string) error {
	return &Fault{Status: http.StatusUnsupportedMediaType, Message: message}
}

// ReadBody appends the body of r, of at most most bytes, to buffer. An empty body is as good as none and needs no media
// type. A browser can send JSON as text/plain without asking first, and a compressed body has no bound: both are
// refused (bar 98, 114). Errors are a [Fault] or of code invalid.
func ReadBody(w http.ResponseWriter, r *http.Request, buffer []byte, most int64) ([]byte, error) {
	switch encoding := r.Header.Get("Content-Encoding"); {
	case r.ContentLength == 0:
		return buffer, nil
	case r.ContentLength > most:
		return buffer, tooLarge(most)
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return buffer, unsupported("Send the body as it is: no Content-Encoding is understood")
	}
	body := r.Body
	if r.ContentLength < 0 { // otherwise net/http ends it where it said it would
		body = http.MaxBytesReader(w, body, most)
	}
	buffer, err := readAll(body, buffer, r.ContentLength)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return buffer, tooLarge(most)
	case err != nil:
		return buffer, latchward.Errorf(latchward.CodeInvalid, "The body ended too early")
	case len(buffer) > 0 && !isJSON(r.Header["Content-Type"]):
		return buffer, unsupported("Send the body with Content-Type: application/json")
	}
	return buffer, nil
}

func tooLarge(most int64) error {
	size := fmt.Sprintf("%d bytes", most)
	if most%(1<<20) == 0 {
		size = fmt.Sprintf("%d MiB", most>>20)
	}
	return &Fault{Status: http.StatusRequestEntityTooLarge, Message: "The body is larger than " + size}
}

// readAll is io.ReadAll into a buffer that may have been used before. Without a known length it grows by reading.
func readAll(from io.Reader, buffer []byte, length int64) ([]byte, error) {
	if n := int(length) + 1; length > 0 && cap(buffer) < n { // one more, so that the end is seen without growing
		buffer = make([]byte, 0, n)
	}
	for {
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, 0)[:len(buffer)]
		}
		n, err := from.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if err == io.EOF { // readers return it bare
			return buffer, nil
		}
		if err != nil {
			return buffer, err
		}
	}
}

func isJSON(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	if contentType[0] == "application/json" {
		return true
	}
	media, parameters, err := mime.ParseMediaType(contentType[0])
	if err != nil || media != "application/json" || len(parameters) > 1 {
		return false
	}
	charset, ok := parameters["charset"]
	return len(parameters) == 0 || ok && strings.EqualFold(charset, "utf-8")
}

// QueryText returns a query as the JSON text of an object of shape sh, so that queries are checked like bodies. Errors
// are of code invalid and name the parameter.
func (sh *Shape) QueryText(raw string) ([]byte, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, latchward.Errorf(latchward.CodeInvalid, "The query cannot be read")
	}
	members := make(map[string]json.RawMessage, len(values))
	for name, given := range values {
		_, m := sh.Member([]byte(name))
		switch {
		case m == nil:
			return nil, latchward.Invalid(Showable([]byte(name)), "is not a parameter here")
		case len(given) > 1:
			return nil, latchward.Invalid(name, "must not be given twice")
		}
		if members[name], err = m.Literal(given[0]); err != nil {
			return nil, Within(name, err)
		}
	}
	return json.Marshal(members)
}

// Literal returns the JSON of a parameter's value, which is checked unless it is a text.
func (sh *Shape) Literal(value string) (json.RawMessage, error) {
	if sh.Kind == KindText {
		return json.Marshal(value)
	}
	s := &Scanner{text: []byte(value)}
	if err := sh.Check(s); err != nil || s.End() != nil || strings.TrimSpace(value) != value {
		return nil, latchward.Invalid("", "must be %s", sh.described())
	}
	return json.RawMessage(value), nil
}
