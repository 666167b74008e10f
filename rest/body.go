package rest

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// MaxBody is the most that a request body may have, in bytes.
const MaxBody = 1 << 20

// fault is a refusal that no [latchward.Code] stands for, because it is about HTTP alone.
type fault struct {
	status  int
	message string
	allow   string // methods, for 405
}

func (f *fault) Error() string { return f.message }

func (f *fault) write(w http.ResponseWriter) {
	if f.allow != "" {
		w.Header().Set("Allow", f.allow)
	}
	httpauth.WriteProblem(w, &httpauth.Problem{
		Type: "about:blank", Title: http.StatusText(f.status), Status: f.status,
		Detail: f.message, Error: f.message, Code: string(latchward.CodeInvalid),
	})
}

func unsupported(message string) error {
	return &fault{status: http.StatusUnsupportedMediaType, message: message}
}

// readBody appends the body of r to buffer. An empty body is as good as none and needs no media type. A browser can
// send JSON as text/plain without asking first, and a compressed body has no bound: both are refused (bar 98, 114).
func readBody(w http.ResponseWriter, r *http.Request, buffer []byte) ([]byte, error) {
	switch encoding := r.Header.Get("Content-Encoding"); {
	case r.ContentLength == 0:
		return buffer, nil
	case r.ContentLength > MaxBody:
		return buffer, tooLarge()
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return buffer, unsupported("Send the body as it is: no Content-Encoding is understood")
	}
	body := r.Body
	if r.ContentLength < 0 { // otherwise net/http ends it where it said it would
		body = http.MaxBytesReader(w, body, MaxBody)
	}
	buffer, err := readAll(body, buffer, r.ContentLength)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return buffer, tooLarge()
	case err != nil:
		return buffer, latchward.Errorf(latchward.CodeInvalid, "The body ended too early")
	case len(buffer) > 0 && !isJSON(r.Header["Content-Type"]):
		return buffer, unsupported("Send the body with Content-Type: application/json")
	}
	return buffer, nil
}

func tooLarge() error {
	return &fault{status: http.StatusRequestEntityTooLarge, message: "The body is larger than 1 MiB"}
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

// queryText returns a query as the JSON text that says the same, so that queries are checked like bodies.
func (sh *shape) queryText(raw string) ([]byte, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, latchward.Errorf(latchward.CodeInvalid, "The query cannot be read")
	}
	members := make(map[string]json.RawMessage, len(values))
	for name, given := range values {
		_, m := sh.member([]byte(name))
		switch {
		case m == nil:
			return nil, latchward.Invalid(showable([]byte(name)), "is not a parameter here")
		case len(given) > 1:
			return nil, latchward.Invalid(name, "must not be given twice")
		}
		if members[name], err = m.literal(given[0]); err != nil {
			return nil, within(name, err)
		}
	}
	return json.Marshal(members)
}

// literal returns the JSON of a parameter's value.
func (sh *shape) literal(value string) (json.RawMessage, error) {
	if sh.kind == shapeText {
		return json.Marshal(value)
	}
	s := &scanner{text: []byte(value)}
	if err := sh.check(s); err != nil || s.end() != nil || strings.TrimSpace(value) != value {
		return nil, latchward.Invalid("", "must be %s", sh.described())
	}
	return json.RawMessage(value), nil
}

// queryOf is the other way round: the query that a client sends for v, a struct of parameters.
func queryOf(v any) (url.Values, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, err
	}
	values := url.Values{}
	for name, literal := range members {
		var value string
		if json.Unmarshal(literal, &value) != nil {
			value = string(literal)
		}
		values.Set(name, value)
	}
	return values, nil
}
