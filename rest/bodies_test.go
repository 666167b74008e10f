package rest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchward/latchward/rest"
)

// bar 98, 105, 114, S2-08: what a body may not be, on every route that takes one.
func TestBodies(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *populated, r rest.RouteInfo, c routeCase) {
		if !r.Body {
			return
		}
		full := c.body
		if full == "" {
			full = "{}"
		}
		send := func(media, encoding string, body io.Reader) *httptest.ResponseRecorder {
			request := httptest.NewRequest(r.Method, c.target, body)
			request.Header.Set("Authorization", "Bearer "+w.bearer(r))
			if media != "" {
				request.Header.Set("Content-Type", media)
			}
			if encoding != "" {
				request.Header.Set("Content-Encoding", encoding)
			}
			return w.serve(request)
		}
		for _, media := range []string{"", "text/plain", "text/plain;application/json", "application/x-www-form-urlencoded",
			"multipart/form-data", "application/json; charset=latin1", "application/json, text/plain", "application/jsonx"} {
			if answer := send(media, "", strings.NewReader(full)); answer.Code != http.StatusUnsupportedMediaType {
				t.Errorf("%q: status %d", media, answer.Code)
			}
		}
		for _, encoding := range []string{"gzip", "deflate", "br", "gzip, identity"} {
			if answer := send("application/json", encoding,
				strings.NewReader(full)); answer.Code != http.StatusUnsupportedMediaType {
				t.Errorf("%q: status %d", encoding, answer.Code)
			}
		}
		large := strings.Repeat(" ", rest.MaxBody) + full
		for _, body := range []io.Reader{strings.NewReader(large),
			io.MultiReader(strings.NewReader(large))} { // with and without a length
			if answer := send("application/json", "", body); answer.Code != http.StatusRequestEntityTooLarge {
				t.Errorf("1 MiB and more: status %d", answer.Code)
			}
		}
		const secret = "hunter2hunter2"
		for _, body := range []string{
			`{`, `[]`, `null`, `"x"`, `1`, full + `{}`, full + `x`, full + "\x00", `{"` + secret + secret + secret + `":1}`,
			`{"` + secret + `":"` + secret, "\xef\xbb\xbf" + full, "{\"\xff\":1}", `{"a":1,}`, `{'a':1}`, `{"a":01}`,
			`{"a":+1}`, `{"a":.5}`,
			`{"a":NaN}`, `{"a":"\x41"}`, `{"a":"\ud800"}`, `{"a":"` + "\n" + `"}`, `{"a":1 "b":2}`, `//` + full, `{"a":tru}`,
			strings.Repeat(`{"a":`, 100_000), strings.Repeat(`[`, 100_000), `{"a":` + strings.Repeat("[", 33) +
				strings.Repeat("]", 33) + `}`,
			`{"a":` + strings.Repeat("9", 100_000) + `}`, `{"constructor":{}}`, `{"__proto__":{"admin":true}}`,
		} {
			answer := send("application/json", "", strings.NewReader(body))
			if answer.Code != http.StatusBadRequest {
				t.Errorf("%.60q: status %d %s", body, answer.Code, answer.Body)
			}
			if strings.Contains(answer.Body.String(), secret+secret) || len(answer.Body.String()) > 1000 {
				t.Errorf("%.60q is repeated: %.200s", body, answer.Body)
			}
		}
		if strings.HasPrefix(full, `{"`) { // one member twice, by any spelling of its name
			name, _, _ := strings.Cut(full[2:], `"`)
			for _, again := range []string{name, fmt.Sprintf(`\u%04x%s`, name[0], name[1:])} {
				body := strings.TrimSuffix(full, "}") + `,"` + again + `":null}`
				if p := problem(t, send("application/json", "", strings.NewReader(body))); p.Status != http.StatusBadRequest ||
					p.Field != name {
					t.Errorf("%s: %+v", body, p)
				}
			}
			other := strings.ToUpper(name[:1]) + name[1:]
			body := strings.Replace(full, name, other, 1)
			if p := problem(t, send("application/json", "", strings.NewReader(body))); p.Status != http.StatusBadRequest ||
				p.Field != other {
				t.Errorf("%s: %+v", body, p)
			}
		}
	})
}
