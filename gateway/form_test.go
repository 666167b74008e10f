package gateway

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// passesIn tells whether a form passes when it comes in pieces of the given size.
func passesIn(kind string, body []byte, size int) bool {
	f := formOf(http.Header{"Content-Type": {kind}})
	for len(body) > 0 {
		n := min(max(size, 1), len(body))
		if !f.passes(body[:n]) {
			return false
		}
		body = body[n:]
	}
	return true
}

const (
	urlencoded = "application/x-www-form-urlencoded"
	multipartB = "multipart/form-data; boundary=B"
)

// bar 27: in whatever pieces a form comes, and whatever else is in it: if net/http or a common dialect finds an override
// in it, it does not pass
func FuzzForm(f *testing.F) {
	for _, text := range []string{"a=1&_method=x&b=2", "%5f%6dethod=x", "+_method=y", "a;_method=1", "x=&.method=", "_method", "a=_method=x"} {
		f.Add(text, 3)
		f.Add("--B\r\nContent-Disposition: form-data; name=\""+text+"\"\r\n\r\nx\r\n--B--\r\n", 7)
	}
	f.Add("--B\r\nA: b\r\nContent-Disposition: form-data;\r\n\tname=\"_method\"\r\n\r\nx\r\n--B--\r\n", 1)
	f.Fuzz(func(t *testing.T, text string, size int) {
		size %= 50
		body := []byte(text)
		for _, kind := range []string{urlencoded, multipartB} {
			if passesIn(kind, body, size) != passesIn(kind, body, len(body)) {
				t.Fatalf("%s %q passes whole or in pieces of %d, but not both", kind, text, size)
			}
		}
		values, _ := url.ParseQuery(text)
		if values.Get("_method") != "" && passesIn(urlencoded, body, size) {
			t.Fatalf("%q passes, and net/url finds %v", text, values)
		}
		form, _ := multipart.NewReader(strings.NewReader(text), "B").ReadForm(1 << 20)
		if form != nil && form.Value["_method"] != nil && passesIn(multipartB, body, size) {
			t.Fatalf("%q passes, and mime/multipart finds %v", text, form.Value)
		}
	})
}

// A body that is no line at all costs no memory.
func TestFormIsNotKept(t *testing.T) {
	forms := map[string]form{"urlencoded": &urlencodedForm{}, "multipart": &multipartForm{}}
	for name, f := range forms {
		for _, piece := range []string{strings.Repeat("x", 1<<16), strings.Repeat("%20", 1<<14), strings.Repeat(" ", 1<<16)} {
			for range 16 {
				if !f.passes([]byte(piece)) {
					t.Fatalf("%s: %.20q does not pass", name, piece)
				}
			}
		}
	}
	if n := cap(forms["urlencoded"].(*urlencodedForm).name); n > 4*maxFieldName {
		t.Errorf("%d bytes of an urlencoded form are kept", n)
	}
	if n := cap(forms["multipart"].(*multipartForm).line); n > 4*len(disposition) {
		t.Errorf("%d bytes of a multipart form are kept", n)
	}
}

// Reading stops at the override and stays there; what came before it was passed.
func TestClientBodyStops(t *testing.T) {
	body := &clientBody{ReadCloser: io.NopCloser(iotestPieces("a=1&_me", "thod=DELETE")), form: &urlencodedForm{}}
	var passed bytes.Buffer
	if _, err := io.Copy(&passed, body); err != errOverride || !body.broken.Load() || passed.String() != "a=1&_me" {
		t.Errorf("%q passed, %v", passed.String(), err)
	}
	if n, err := body.Read(make([]byte, 10)); n != 0 || err == nil {
		t.Errorf("reading on: %d, %v", n, err)
	}
}

// iotestPieces returns a reader of one piece after the other.
func iotestPieces(pieces ...string) io.Reader {
	readers := make([]io.Reader, len(pieces))
	for i, piece := range pieces {
		readers[i] = strings.NewReader(piece)
	}
	return io.MultiReader(readers...)
}
