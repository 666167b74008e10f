package gateway

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/latchward/latchward"
)

var errOverride = errors.New("a form that asks for another method than the one that was judged")

// guardForm makes reading r's body fail when it is a form with a method override and the token is restricted by
// method: an upstream that obeys it would serve another method than was judged (bar 27). The body is looked at while
// it passes, never buffered.
func guardForm(r *http.Request, v *latchward.Verdict) {
	if r.Method != http.MethodPost || v.Token == nil || r.Body == nil || !restrictsMethod(v.Token.AllowedEndpoints) {
		return
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch media {
	case "application/x-www-form-urlencoded":
		r.Body = &formBody{ReadCloser: r.Body, overrides: urlencodedOverride, tail: []byte{'&'}}
	case "multipart/form-data":
		r.Body = &formBody{ReadCloser: r.Body, overrides: multipartOverride}
	}
}

func restrictsMethod(patterns []string) bool {
	for _, pattern := range patterns {
		if strings.Contains(pattern, " ") {
			return true
		}
	}
	return false
}

// formTail is how much of what has passed is looked at again: the longest spelling of an override's name.
const formTail = 64

type formBody struct {
	io.ReadCloser
	overrides func(text []byte) bool
	tail      []byte // the end of what has passed
}

func (b *formBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	seen := append(b.tail, p[:n]...)
	if b.overrides(seen) {
		return 0, errOverride
	}
	b.tail = append(b.tail[:0], seen[max(0, len(seen)-formTail):]...)
	return n, err
}

func urlencodedOverride(text []byte) bool {
	decoded := unescape(strings.ReplaceAll(string(text), ";", "&"))
	return strings.Contains(decoded, "&"+overrideParameter+"=")
}

func multipartOverride(text []byte) bool {
	lower := bytes.ToLower(text)
	return bytes.Contains(lower, []byte(`name="_method"`)) || bytes.Contains(lower, []byte(`name=_method`))
}
