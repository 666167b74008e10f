package latchward_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

// S2-16, B-08, bar 23, 24, 25: every spelling has one canonical form.
func TestCanonicalPath(t *testing.T) {
	tests := map[string]string{ // raw path: canonical path
		"/":                       "/",
		"/products":               "/products",
		"/products/":              "/products/", // a trailing slash makes another path
		"/products/1":             "/products/1",
		"/products/%31":           "/products/1", // bar 25
		"/%70%72oducts/1":         "/products/1",
		"/Products/1":             "/Products/1",
		"/products/1%3Fx":         "/products/1%3Fx",
		"/products/1%3fx":         "/products/1%3Fx",
		"/products/1%23f":         "/products/1%23f",
		"/products/1%20":          "/products/1%20",
		"/a%2Db%2Ec%5Fd%7Ee":      "/a-b.c_d~e",
		"/a%2db%2ec%5fd%7ee":      "/a-b.c_d~e",
		"/file%2Etxt":             "/file.txt",
		"/...":                    "/...",
		"/.well-known/x":          "/.well-known/x",
		"/..a/a../.a.":            "/..a/a../.a.",
		"/!$&'()*+,=:@":           "/!$&'()*+,=:@",
		"/%21%24%26%27%28%29%2a":  "/%21%24%26%27%28%29%2A", // reserved: may differ from literal ones
		"/%2b%2c%3d%3a%40%5b%5d":  "/%2B%2C%3D%3A%40%5B%5D",
		"/a\"<>[]^`{|}":           "/a%22%3C%3E%5B%5D%5E%60%7B%7C%7D",
		"/a%22%3c%3e%5e%60%7b%7c": "/a%22%3C%3E%5E%60%7B%7C",
		"/café":                   "/caf%C3%A9",
		"/caf%c3%a9":              "/caf%C3%A9",
		"/caf\xc3%a9":             "/caf%C3%A9", // one character, spelled half and half
		"/caf%C3\xa9":             "/caf%C3%A9",
		"/日本/🔑":                   "/%E6%97%A5%E6%9C%AC/%F0%9F%94%91",
		"/À":                      "/%C3%80",
		"/%C2%A0":                 "/%C2%A0", // the first one after the control characters of U+0080
		"/%C2%a0":                 "/%C2%A0",
		"/%EF%BF%BD":              "/%EF%BF%BD", // U+FFFD itself is a character like others
		"/%f4%8f%bf%bf":           "/%F4%8F%BF%BF",
		"/100%25":                 "/100%25",
		"/100%25/1":               "/100%25/1",
		"/5%25off":                "/5%25off",
		"/5%251":                  "/5%251",
		"/5%25a":                  "/5%25a",
		"/5%251%20":               "/5%251%20",
		"/5%25%20":                "/5%25%20",
		"/5%25g1":                 "/5%25g1",
		"/5%251g":                 "/5%251g",
		"/a%20ab":                 "/a%20ab", // digits after another escape
		"/a%3fde/f":               "/a%3Fde/f",
	}
	for raw, want := range tests {
		for _, spelling := range []string{raw, want} {
			if got, err := latchward.CanonicalPath(spelling); got != want || err != nil {
				t.Errorf("CanonicalPath(%q) = %q, %v; want %q", spelling, got, err, want)
			}
		}
	}
}

// S2-16, bar 23, 24, 25: what servers read in different ways is refused, in every spelling, for its own reason.
func TestCanonicalPathRefuses(t *testing.T) {
	long := "/" + strings.Repeat("a", latchward.MaxPathBytes)
	tests := []struct {
		reason string // in the message
		paths  []string
	}{
		{"start with /", []string{"", "products", "*", "http://internal/admin", "%2Fproducts", ".", "a/b", "?"}},
		{"longer than 8192 bytes", []string{long, "/" + strings.Repeat("%61", latchward.MaxPathBytes/3+1),
			"/" + strings.Repeat("é", latchward.MaxPathBytes/6+1), "//" + long}},
		{"empty segment", []string{"//", "///", "//products/1", "/products//1", "/products/1//", "//a/../b"}},
		{". or .. segment", []string{"/.", "/..", "/./", "/../", "/./products/1", "/a/.", "/a/./b", "/a/..", "/a/../b",
			"/%2e", "/%2E/", "/%2e%2e", "/%2E%2e/admin", "/.%2e/admin", "/%2E./admin", "/user/%2e%2e/admin", "/é/.."}},
		{"malformed escape", []string{"/%", "/a%", "/a%2", "/a%%", "/a%zz", "/a%2g", "/a%g2", "/a%u0031", "/%%34%31",
			"/%%2531", "/% 1", "/a%/b", "/a%2/b", "/a%-1", "/a%1-", "/%:0", "/%0:", "/%@0", "/%0@",
			"/%G0", "/%`0", "/%0`"}},
		{"escaped twice", []string{"/a%2531", "/a%252e%252e/b", "/a%252F", "/a%252f", "/%25%33%31", "/a%25%331",
			"/%253%31", "/%25fF", "/%25Ff", "/%2500", "/%25%2531"}},
		{"not UTF-8", []string{"/\xff", "/%FF", "/%C3", "/%C3/", "/%C3a", "/%A9", "/\xa9", "/\xc3", "/%C3%20", "/%80",
			"/\x80", "/%C3xA9", "/%C3/A9",
			"/%C0%AE%C0%AE/", "/%c0%af", "/%E0%80%AF", "/%F0%80%80%AF", "/%ED%A0%80", "/%ED%BF%BF", "/%F4%90%80%80",
			"/%F8%88%80%80%80", "/%C3%A9%A9", "/%E6%97", "/%F0%9F%94", "/%F0%9F%94/%91", "/%FE", "/\xc0\xae"}},
		{"control character", []string{"/%00", "/a\x00b", "/a%0d%0aX:%201", "/a\r\nb", "/%0A", "/\t", "/%1f", "/\x1f",
			"/%7f", "/%7F", "/\x7f", "/%C2%80", "/%c2%85", "/%C2%9F", "/\u0085", "/\u009f"}},
		{"escaped slash", []string{"/products/a%2Fb", "/products/a%2fb", "/%2F", "/%2f..%2fadmin", "/a%2F%2F"}},
		{"backslash", []string{`/a\b`, `/..\admin`, "/a%5Cb", "/a%5cb", `/\`}},
		{"semicolon", []string{"/products/1;v=2", "/products/1%3Bv=2", "/products/1%3bv=2", "/..;/admin", "/;"}},
		{"literal ? or #", []string{"/products/1?x", "/products/1#f", "/?", "/#", "/products/1?x%20"}},
		{"literal space", []string{"/products/1 ", "/ ", "/a b"}},
	}
	for _, test := range tests {
		for _, raw := range test.paths {
			got, err := latchward.CanonicalPath(raw)
			checkInvalid(t, fmt.Sprintf("CanonicalPath(%.40q) = %.40q", raw, got), err, "path", test.reason)
		}
	}
}

// bar 23: what each byte does, literal and escaped, is one of the sentences of the doc comment.
func TestCanonicalPathBytes(t *testing.T) {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	for i := range 256 {
		c := string([]byte{byte(i)})
		upper, lower := fmt.Sprintf("%%%02X", i), fmt.Sprintf("%%%02x", i)
		var literal, escaped string // canonical forms; "" = refused
		switch {
		case strings.Contains(unreserved, c):
			literal, escaped = c, c
		case strings.Contains("!$&'()*+,=:@", c):
			literal, escaped = c, upper
		case strings.Contains("\"<>[]^`{|}", c):
			literal, escaped = upper, upper
		case strings.Contains("?# ", c):
			escaped = upper
		case c == "%":
			escaped = upper // "%z" is malformed
		case c == "/":
			literal = c
		}
		for spelling, want := range map[string]string{c: literal, upper: escaped, lower: escaped} {
			got, err := latchward.CanonicalPath("/x" + spelling + "zz")
			if want == "" && err == nil || want != "" && got != "/x"+want+"zz" {
				t.Errorf("CanonicalPath(/x%qzz) = %q, %v; want /x%szz", spelling, got, err, want)
			}
		}
	}
}

// bar 22: the bound holds for both forms, and is reached exactly.
func TestCanonicalPathLength(t *testing.T) {
	if latchward.MaxPathBytes != 8192 {
		t.Errorf("MaxPathBytes is %d, and messages say 8192", latchward.MaxPathBytes)
	}
	longest := "/" + strings.Repeat("a", latchward.MaxPathBytes-1)
	accents := latchward.MaxPathBytes/6 - 1 // six bytes each when escaped
	literal := "/a" + strings.Repeat("a", latchward.MaxPathBytes-2-6*accents)
	for raw, want := range map[string]string{
		longest:                                longest,
		literal + strings.Repeat("é", accents): literal + strings.Repeat("%C3%A9", accents),
	} {
		if len(want) != latchward.MaxPathBytes {
			t.Fatalf("the case has %d bytes", len(want))
		}
		if got, err := latchward.CanonicalPath(raw); got != want || err != nil {
			t.Errorf("a path of %d bytes: %d bytes, %v; want %d bytes", len(raw), len(got), err, len(want))
		}
	}
}

// bar 23, invariant P: net/url sends a canonical path byte for byte.
func TestCanonicalPathIsForwardedAsJudged(t *testing.T) {
	for _, raw := range []string{"/products/1%3fx", "/a\"<>[]^`{|}é", "/100%25", "/!$&'()*+,=:@/%2a%40", "/a%20b/"} {
		canonical, err := latchward.CanonicalPath(raw)
		if err != nil {
			t.Fatal(err)
		}
		if sent := sentPath(t, canonical); sent != canonical {
			t.Errorf("%q is judged as %q and sent as %q", raw, canonical, sent)
		}
	}
}

// sentPath returns the path that net/url sends when it is given canonical as its raw path.
func sentPath(t *testing.T, canonical string) string {
	t.Helper()
	path, err := url.PathUnescape(canonical)
	if err != nil {
		t.Fatalf("%q cannot be unescaped: %v", canonical, err)
	}
	return (&url.URL{Path: path, RawPath: canonical}).EscapedPath()
}

// Messages say what was wrong with what, and what to do.
func TestEndpointMessages(t *testing.T) {
	call := func(_ any, err error) string { return err.Error() }
	for got, want := range map[string]string{
		call(latchward.CanonicalPath("//")): "invalid: path: path has an empty segment (//); send single slashes",
		call(latchward.ValidateBase("api")): "invalid: base: base does not start with /; send an absolute path",
		call(latchward.CanonicalMethod("get")): "invalid: method: method is unknown; " +
			"send GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE or CONNECT",
		call(latchward.ParsePattern("/a b")): "invalid: pattern: pattern has a space but no list of different " +
			"methods before it; write it like GET,POST /orders, " +
			"with methods from GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE or CONNECT",
		call(latchward.ParsePattern("/a%")): "invalid: pattern: path of the pattern has a malformed escape; " +
			"write a literal percent sign as %25",
		call(latchward.ParsePattern("/%61")): "invalid: pattern: path of the pattern is not in canonical form; " +
			"write it as /a",
		call(latchward.ParsePattern("/a*b")): "invalid: pattern: pattern has a misplaced *; " +
			"make it a whole segment, the last character, or ** as the last segment",
	} {
		if got != want {
			t.Errorf("message %q, want %q", got, want)
		}
	}
}

// B-08, architecture "Base": the base ends at the border of a segment.
func TestJudgedPath(t *testing.T) {
	tests := []struct {
		path, base, want string // want "" = not under the base
	}{
		{"/api/products", "/api", "/products"},
		{"/api/products/", "/api", "/products/"},
		{"/api/api", "/api", "/api"},
		{"/api", "/api", "/"},
		{"/api/", "/api", "/"},
		{"/api/products", "/api/", "/products"}, // not from ValidateBase
		{"/apix", "/api", ""},
		{"/apix/products", "/api", ""},
		{"/api%20", "/api", ""},
		{"/API/products", "/api", ""},
		{"/ap", "/api", ""},
		{"/", "/api", ""},
		{"/x/api/products", "/api", ""},
		{"/shop/v1/products", "/shop/v1", "/products"},
		{"/shop/v12", "/shop/v1", ""},
		{"/products", "", "/products"},
		{"/products", "/", "/products"},
		{"/", "", "/"},
		{"/", "/", "/"},
		{"", "", ""},
		{"", "/", ""},
		{"", "/api", ""},
		{"products", "", ""},
	}
	for _, test := range tests {
		got, under := latchward.JudgedPath(test.path, test.base)
		if got != test.want || under != (test.want != "") {
			t.Errorf("JudgedPath(%q, %q) = %q, %v; want %q", test.path, test.base, got, under, test.want)
		}
	}
}

func TestValidateBase(t *testing.T) {
	tests := map[string]string{
		"":          "",
		"/":         "",
		"/api":      "/api",
		"/api/":     "/api",
		"/%61pi/v1": "/api/v1",
		"/dépôt/":   "/d%C3%A9p%C3%B4t",
	}
	for base, want := range tests {
		if got, err := latchward.ValidateBase(base); got != want || err != nil {
			t.Errorf("ValidateBase(%q) = %q, %v; want %q", base, got, err, want)
		}
	}
	for base, reason := range map[string]string{
		"api": "start with /", " /api": "start with /", "//": "empty segment", "/api//": "empty segment",
		"/api/..": ". or .. segment", "/api?x": "literal ? or #", "https://example.com/api": "start with /",
	} {
		got, err := latchward.ValidateBase(base)
		checkInvalid(t, fmt.Sprintf("ValidateBase(%q) = %q", base, got), err, "base", reason)
	}
}

// checkInvalid checks that err is an Error of code invalid about field, for a reason that stands in its message.
func checkInvalid(t *testing.T, call string, err error, field, reason string) {
	t.Helper()
	var e *latchward.Error
	switch {
	case !errors.As(err, &e):
		t.Errorf("%s, error %v; want an Error", call, err)
	case e.Code != latchward.CodeInvalid || e.Field != field || !strings.Contains(e.Message, reason):
		t.Errorf("%s, error %q; want code invalid, field %q, message with %q", call, e, field, reason)
	}
}
