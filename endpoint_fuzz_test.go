package latchward_test

import (
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/latchward/latchward"
)

var (
	canonicalForm = regexp.MustCompile(`\A/([A-Za-z0-9._~!$&'()*+,=:@/-]|%[0-9A-F]{2})*\z`)
	escapedPlain  = regexp.MustCompile(`%(2D|2E|3[0-9]|4[1-9A-F]|5[0-9A]|5F|6[1-9A-F]|7[0-9A]|7E)`)
	doubleEscape  = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
)

// bar 22, 23: acceptance against an oracle that looks at the unescaped path, and what holds for every accepted path.
func FuzzCanonicalPath(f *testing.F) {
	for _, raw := range []string{"/", "", "/products/%31", "//a", "/a/../b", "/%2e%2E", "/a%2Fb", "/a;b", "/%2531",
		"/%25%33%31", "/%C0%AE", "/é\xc3%a9", "/a?b", "/a%3Fb", "/a b", "/%00", "/%C2%85", "/a\"<>[]^`{|}",
		"/100%25", "/%%34%31", "/a/"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		canonical, err := latchward.CanonicalPath(raw)
		if accept := oracleAccepts(raw); accept != (err == nil) {
			t.Fatalf("CanonicalPath(%q) = %q, %v; the oracle accepts it: %v", raw, canonical, err, accept)
		}
		if err != nil {
			checkInvalid(t, "CanonicalPath("+raw+") = "+canonical, err, "path", "path ")
			return
		}
		checkCanonical(t, raw, canonical)
	})
}

// oracleAccepts is the list of refusals in the doc comment, for a path that is wholly unescaped.
func oracleAccepts(raw string) bool {
	plain, err := url.PathUnescape(raw)
	if err != nil || !strings.HasPrefix(raw, "/") || strings.ContainsAny(raw, "?# ") ||
		strings.Count(raw, "/") != strings.Count(plain, "/") || !utf8.ValidString(plain) ||
		strings.ContainsAny(plain, `;\`) || strings.ContainsFunc(plain, unicode.IsControl) ||
		doubleEscape.MatchString(plain) {
		return false
	}
	segments := strings.Split(plain[1:], "/")
	for i, segment := range segments {
		if segment == "." || segment == ".." || segment == "" && i < len(segments)-1 {
			return false
		}
	}
	return len(raw) <= latchward.MaxPathBytes && len(oracleSpelling(raw)) <= latchward.MaxPathBytes
}

// oracleSpelling respells an accepted path with the escaper of net/url, keeping escaped what was escaped.
func oracleSpelling(raw string) string {
	var out strings.Builder
	for i := 0; i < len(raw); i++ {
		switch {
		case raw[i] == '%':
			escape := strings.ToUpper(raw[i : i+3])
			if escapedPlain.MatchString(escape) {
				escape, _ = url.PathUnescape(escape)
			}
			out.WriteString(escape)
			i += 2
		case strings.IndexByte("/!'()*,$&+=:@", raw[i]) >= 0:
			out.WriteByte(raw[i])
		default:
			out.WriteString(url.PathEscape(raw[i : i+1]))
		}
	}
	return out.String()
}

func checkCanonical(t *testing.T, raw, canonical string) {
	t.Helper()
	again, err := latchward.CanonicalPath(canonical)
	plain, _ := url.PathUnescape(raw)
	canonicalPlain, _ := url.PathUnescape(canonical)
	switch {
	case err != nil || again != canonical:
		t.Errorf("not idempotent: %q, %q, then %q, %v", raw, canonical, again, err)
	case canonical != oracleSpelling(raw):
		t.Errorf("%q becomes %q; the oracle says %q", raw, canonical, oracleSpelling(raw))
	case !canonicalForm.MatchString(canonical) || escapedPlain.MatchString(canonical):
		t.Errorf("%q becomes %q, which is not the canonical alphabet", raw, canonical)
	case canonicalPlain != plain || path.Clean(canonicalPlain) != path.Clean(plain):
		t.Errorf("%q becomes %q: another path", raw, canonical)
	case strings.TrimSuffix(canonicalPlain, "/") != strings.TrimSuffix(path.Clean(canonicalPlain), "/"):
		t.Errorf("%q becomes %q, which a server would clean", raw, canonical)
	case sentPath(t, canonical) != canonical:
		t.Errorf("%q is judged as %q and sent as %q", raw, canonical, sentPath(t, canonical))
	}
}

// S2-16: parsing and matching against regular expressions, for any pattern and any path.
func FuzzPattern(f *testing.F) {
	for _, pattern := range []string{"/products*", "GET /stores/*/brands", "GET,POST /reports/**", "/*", "/", "/a*b",
		"/.*", "", " /", "/caf%C3%A9/*", "/a.b*", "/(a+)+$", "HEAD /%2A"} {
		for _, path := range []string{"/products/1", "/stores/1/brands", "/reports/1/2/", "/", "", "/caf%C3%A9/1"} {
			f.Add(pattern, "GET", path)
		}
	}
	f.Add("/a", "", "/a")
	f.Add("HEAD /a", "HEAD", "/a")
	f.Fuzz(func(t *testing.T, text, method, path string) {
		pattern, err := latchward.ParsePattern(text)
		methods, oracle := oracleParse(text)
		if (err == nil) != (oracle != nil) {
			t.Fatalf("ParsePattern(%q): %v; the oracle says %v", text, err, oracle)
		}
		if err != nil {
			return
		}
		if pattern.String() != text {
			t.Fatalf("%q comes back as %q", text, pattern)
		}
		if canonical, err := latchward.CanonicalPath(path); path != "" && (err != nil || canonical != path) {
			return
		}
		fits := methods == "" || method != "" && strings.Contains(methods, ","+method+",")
		_, err = latchward.CanonicalMethod(method)
		want := fits && (method == "" || err == nil) && oracle.MatchString(path)
		if got := (latchward.Patterns{pattern}).Match(method, path); got != want {
			t.Fatalf("%q matches %q %q: %v", text, method, path, got)
		}
	})
}

// oracleParse returns the methods of a pattern between commas ("" = all) and its path as a regular expression, or nil.
func oracleParse(text string) (string, *regexp.Regexp) {
	const method = `(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT)`
	parts := regexp.MustCompile(`(?s)\A((` + method + `(,` + method + `)*) )?(/.*)\z`).FindStringSubmatch(text)
	if len(text) > latchward.MaxPatternBytes || parts == nil {
		return "", nil
	}
	seen := map[string]bool{}
	for name := range strings.SplitSeq(parts[2], ",") {
		if seen[name] {
			return "", nil
		}
		seen[name] = true
	}
	methods := ""
	if parts[2] != "" {
		methods = "," + parts[2] + ","
	}
	if seen["GET"] {
		methods += "HEAD,"
	}
	return methods, oraclePattern(parts[len(parts)-1])
}
