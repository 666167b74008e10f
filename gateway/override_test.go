package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

// bar 27: queries lose what asks for another method, and nothing else
func TestOverrideInQuery(t *testing.T) {
	tests := map[string]string{
		"a=1&b=2":                       "a=1&b=2",
		"_method=DELETE":                "",
		"a=1&_method=DELETE":            "a=1&",
		"_method=DELETE&a=1":            "a=1",
		"a=1;_method=DELETE;b=2":        "a=1;b=2",
		"%5fmethod=DELETE&a=%zz&&":      "a=%zz&&",
		"_%6Dethod=DELETE":              "",
		"_METHOD=DELETE":                "",
		"+_method=DELETE":               "",
		"%20.method=DELETE":             "",
		"_method[]=DELETE":              "",
		"%5B_method%5D=DELETE":          "",
		"_method":                       "",
		"X-HTTP-Method-Override=PUT&a":  "a",
		"x_http_method_override=PUT":    "",
		"method=card&methods=x":         "method=card&methods=x",
		"method[]=card":                 "method[]=card",
		"payment_method=x&_methods=y":   "payment_method=x&_methods=y",
		"q=_method=DELETE&r=%26_method": "q=_method=DELETE&r=%26_method",
		"%zm=1&%5":                      "%zm=1&%5",
		"a=b%26_method%3DDELETE":        "a=b%26_method%3DDELETE",
	}
	w := start(t, nil)
	for query, want := range tests {
		w.only(w.request("GET", "/api/a?"+query))
		got := w.upstream.one(t).target
		if _, kept, _ := strings.Cut(got, "?"); kept != want {
			t.Errorf("%q arrives as %q, want %q", query, kept, want)
		}
	}
}

// urlencoded and multipart forms, each with a boundary B, that ask for another method.
var overridingForms = []struct{ kind, body string }{
	{"application/x-www-form-urlencoded", "_method=DELETE"},
	{"application/x-www-form-urlencoded", "a=1&_method=DELETE"},
	{"application/x-www-form-urlencoded; charset=utf-8", "a=1&%5Fmethod=DELETE"},
	{"APPLICATION/X-WWW-FORM-URLENCODED", "a=1;_method=DELETE"},
	{"application/x-www-form-urlencoded", "%20+ _method=DELETE"},
	{"application/x-www-form-urlencoded", "a=&.method=DELETE"},
	{"application/x-www-form-urlencoded", "_method%5B%5D=DELETE"},
	{"application/x-www-form-urlencoded", "X-HTTP-Method-Override=DELETE"},
	{"text/plain, application/x-www-form-urlencoded", "_method=DELETE"},
	{"", "_method=DELETE"},
	{"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--B--\r\n"},
	{"multipart/form-data; boundary=B", "--B\r\ncontent-disposition:form-data;name=_method\r\n\r\nDELETE\r\n--B--\r\n"},
	{"multipart/form-data; boundary=B", "--B\nContent-Disposition: form-data; NAME = '_method'\n\nDELETE\n--B--\n"},
	{"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data;\r\n name=\"_method\"\r\n\r\nDELETE\r\n--B--\r\n"},
	{"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"_me\\thod\"\r\n\r\nDELETE\r\n--B--\r\n"},
	{"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name*=utf-8''_method\r\n\r\nDELETE\r\n--B--\r\n"},
	{"multipart/form-data; boundary=B", "--B\r\nX: y\r\n Content-Disposition: form-data; name=_method\r\n\r\nDELETE\r\n--B--\r\n"},
	{"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name==?utf-8?B?X21ldGhvZA==?=\r\n\r\nDELETE\r\n--B--\r\n"},
	{"multipart/form-data; boundary=A; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--B--\r\n"},
	{"multipart/mixed; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--B--\r\n"},
	{"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=x; " + strings.Repeat("y", 9000) + "\r\n\r\n"},
}

var plainForms = []struct{ kind, body string }{
	{"application/x-www-form-urlencoded", "method=card&payment_method=x&a=_method=DELETE&b=%26_method%3DDELETE"},
	{"application/x-www-form-urlencoded", "a=" + strings.Repeat("_method", 100)},
	{"application/x-www-form-urlencoded", strings.Repeat("n", 1000) + "_method=x"},
	{"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n_method=DELETE name=\"_method\"\r\n--B--\r\n"},
	{"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"payment_method\"; filename=\"_method\"\r\n\r\nx\r\n--B--\r\n"},
	{"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"page\"\r\n\r\n<input name=\"_method\" value=\"patch\">\r\n--B--\r\n"},
	{"application/json", `{"_method":"DELETE"}`},
	{"text/plain", "_method=DELETE"},
	{"application/octet-stream", "&_method=DELETE"},
}

// bar 27: for a token that is restricted by method, a form that asks for another one is refused, and the upstream never
// has the method that it asks for, and nothing at all of a short one; other forms arrive whole, whatever the token
func TestOverrideInForm(t *testing.T) {
	w := start(t, nil)
	restricted := w.issue(latchward.NewToken{AllowedEndpoints: []string{"POST /a", "GET /**"}})
	post := func(token, kind, framing, body string) answer {
		t.Helper()
		lines := []string{framing}
		if kind != "" {
			lines = append(lines, "Content-Type: "+kind)
		}
		return w.only(w.requestAs(token, "POST", "/api/a", lines...) + body)
	}
	whole := func(token, kind, body string) answer {
		t.Helper()
		return post(token, kind, fmt.Sprintf("Content-Length: %d", len(body)), body)
	}
	for _, form := range overridingForms {
		chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(form.body), form.body)
		checkProblem(t, form.body, post(restricted, form.kind, "Transfer-Encoding: chunked", chunked), 400)
		if s := w.upstream.next(t); strings.Contains(s.body, "DELETE") || s.bodyErr == nil {
			t.Errorf("%s %.200q: the upstream gets %q as a whole body (%v)", form.kind, form.body, s.body, s.bodyErr)
		}
		checkProblem(t, form.body, whole(restricted, form.kind, form.body), 400)
		if taken := w.upstream.take(); len(taken) > 0 && len(form.body) <= 32<<10 {
			t.Errorf("%s %.200q: the upstream gets %+v", form.kind, form.body, taken)
		}
		if a := whole(w.token, form.kind, form.body); a.status != 200 || w.upstream.one(t).body != form.body {
			t.Errorf("an unrestricted token gets %d for %.200q", a.status, form.body)
		}
	}
	for _, form := range plainForms {
		for _, token := range []string{restricted, w.token} {
			if a := whole(token, form.kind, form.body); a.status != 200 || w.upstream.one(t).body != form.body {
				t.Errorf("%s %.200q: %d", form.kind, form.body, a.status)
			}
		}
	}
}

// bar 27: a form that cannot be looked into is refused before it is sent
func TestHiddenForm(t *testing.T) {
	w := start(t, nil)
	token := w.issue(latchward.NewToken{AllowedEndpoints: []string{"POST /a", "PUT /a"}})
	const kind = "Content-Type: application/x-www-form-urlencoded"
	hidden := [][]string{
		{kind, "Content-Encoding: gzip"}, {kind + "; charset=utf-16"}, {kind + "; charset=\"IBM037\""},
		{kind, "Content-Type: text/plain"}, {kind + "; Charset = utf-7; x=y"},
	}
	for _, lines := range hidden {
		checkProblem(t, strings.Join(lines, ", "), w.only(w.requestAs(token, "POST", "/api/a", append(lines, "Content-Length: 1")...)+"x"), 400)
	}
	if taken := w.upstream.take(); len(taken) != 0 {
		t.Errorf("the upstream saw %+v", taken)
	}
	shown := [][]string{
		{kind + "; charset=UTF-8"}, {kind + "; charset=\"iso-8859-1\""}, {"Content-Type: application/json", "Content-Encoding: gzip"},
	}
	for _, lines := range shown {
		if a := w.only(w.requestAs(token, "POST", "/api/a", append(lines, "Content-Length: 1")...) + "x"); a.status != 200 {
			t.Errorf("%q: %d", lines, a.status)
		}
	}
	if a := w.only(w.requestAs(token, "PUT", "/api/a", kind, "Content-Encoding: gzip", "Content-Length: 1") + "x"); a.status != 200 {
		t.Errorf("a PUT, which no override applies to: %d", a.status)
	}
}
