package oauth

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/latchward/latchward/internal/shape"
)

// MaxForm is the most that the body of a request may have, in bytes.
const MaxForm = 64 << 10

const formMedia = "application/x-www-form-urlencoded"

// form is the parameters of a request. None of them is empty: one without a value counts as left out (RFC 6749 §3.2).
type form map[string][]string

// get returns a parameter that is there once at most; "" = left out.
func (f form) get(name string) string {
	if values := f[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// readForm reads the body of a request. Each parameter may be there once, save those in repeatable.
func readForm(w http.ResponseWriter, r *http.Request, repeatable ...string) (form, error) {
	if r.URL.RawQuery != "" {
		return nil, invalidRequest("Send all parameters in the body: addresses end up in logs")
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, unsupported("Send the body as it is: no Content-Encoding is understood")
	}
	if !isForm(r.Header["Content-Type"]) {
		return nil, unsupported("Send the parameters with Content-Type: " + formMedia)
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxForm))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &fault{status: http.StatusRequestEntityTooLarge, code: codeInvalidRequest, text: "The body is larger than 64 KiB"}
	case err != nil:
		return nil, invalidRequest("The body ended too early")
	}
	return parseForm(string(text), repeatable...)
}

func unsupported(text string) error {
	return &fault{status: http.StatusUnsupportedMediaType, code: codeInvalidRequest, text: text}
}

func isForm(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	media, parameters, err := mime.ParseMediaType(contentType[0])
	charset, told := parameters["charset"]
	return err == nil && media == formMedia && (!told || strings.EqualFold(charset, "utf-8"))
}

// parseForm reads parameters. What it says of them never repeats a value: that may be a secret.
func parseForm(text string, repeatable ...string) (form, error) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, invalidRequest("The parameters cannot be read: encode them as " + formMedia)
	}
	f := form{}
	for name, given := range values {
		given = slices.DeleteFunc(given, func(value string) bool { return value == "" })
		shown := cmp.Or(shape.Showable([]byte(name)), "a parameter")
		switch {
		case len(given) > 1 && !slices.Contains(repeatable, name):
			return nil, invalidRequest(shown + " must not be given twice")
		case slices.ContainsFunc(given, func(value string) bool { return !utf8.ValidString(value) }):
			return nil, invalidRequest(shown + " must be UTF-8")
		case len(given) > 0:
			f[name] = given
		}
	}
	return f, nil
}
