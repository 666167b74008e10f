package latchward_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

// S2-16, bar 24, 25: which path a pattern matches.
func TestPatternPaths(t *testing.T) {
	tests := []struct {
		pattern string
		match   string // paths, separated by spaces
		refuse  string
	}{
		{"/products", "/products", "/products/ /products/1 /Products /product /productss /"},
		{"/products/", "/products/", "/products /products/1"},
		{"/products*", "/products /products/ /products/123 /products/meta/brands /products-archive /products%20x",
			"/product /Products /xproducts /x/products / /product%73"},
		{"/stores/*/brands", "/stores/1/brands /stores/2/brands /stores/a%20b/brands",
			"/stores/1 /stores/brands /stores//brands /stores/1/x/brands /xstores/1/brands /x/stores/1/brands" +
				" /stores/1/brands/ /stores/1/brands/x /stores/1/brandsx /Stores/1/brands /stores/1/Brands /stores/1/"},
		{"/products/*", "/products/1 /products/1%3Fx /products/1%20 /products/meta",
			"/products /products/ /products/1/ /products/1/reviews /Products/1 //products/1 /products//1"},
		{"/products/*/", "/products/1/", "/products/1 /products// /products/1/2/ /products/1/2"},
		{"/reports/**", "/reports/1 /reports/1/2 /reports/1/2/3 /reports/1/ /reports/1/2/",
			"/reports /reports/ /reportsx/1 /xreports/1 /Reports/1"},
		{"/*", "/a /abc", "/ /a/ /a/b"},
		{"/**", "/a /a/b /a/", "/"},
		{"/", "/", "/a"},
		{"/*/*", "/a/b", "/ /a /a/ /a/b/ /a/b/c"},
		{"/*/b*", "/a/b /a/bc /a/b/c", "/a /a/ /a/c /b/a /b"},
		{"/*/**", "/a/b /a/b/c /a/b/", "/a /a/ /"},
		{"/a.b*", "/a.b /a.bc /a.b/c", "/aXb /aXbc /ab"},      // S2-16: no regular expressions
		{"/(a+)+$", "/(a+)+$", "/a /aaaa /(a+)+"},             // bar 34
		{"/%20%2A", "/%20%2A", "/%20* /%20x"},                 // an escaped star is no wildcard
		{"/.*", "/.x /.well-known/x", "/x /"},                 // a glued star needs no name before it
		{"/caf%C3%A9/*", "/caf%C3%A9/1", "/caf%C3/1 /cafe/1"}, //
		{"/a:b@c,d=e", "/a:b@c,d=e", "/a%3Ab@c,d=e /a:b%40c"}, // reserved: an escape makes another path
		{"/stores/*/brands*", "/stores/1/brands /stores/1/brands/2 /stores/1/brands-x",
			"/stores/1/2/brands /stores/brands"},
	}
	for _, test := range tests {
		pattern := parse(t, test.pattern)
		for path := range strings.FieldsSeq(test.match) {
			if !pattern.Match("GET", path) {
				t.Errorf("%s does not match %s", test.pattern, path)
			}
		}
		for path := range strings.FieldsSeq(test.refuse) {
			if pattern.Match("GET", path) {
				t.Errorf("%s matches %s", test.pattern, path)
			}
		}
	}
}

// B-08, bar 26: which method a pattern matches.
func TestPatternMethods(t *testing.T) {
	const all = "GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT"
	tests := map[string]string{ // pattern: methods
		"/orders":                all,
		"GET /orders":            "GET HEAD",
		"HEAD /orders":           "HEAD",
		"POST /orders":           "POST",
		"PUT /orders":            "PUT",
		"PATCH /orders":          "PATCH",
		"DELETE /orders":         "DELETE",
		"OPTIONS /orders":        "OPTIONS",
		"TRACE /orders":          "TRACE",
		"CONNECT /orders":        "CONNECT",
		"GET,POST /orders":       "GET HEAD POST",
		"DELETE,PATCH /orders":   "PATCH DELETE",
		"GET,HEAD /orders":       "GET HEAD",
		"HEAD,GET /orders":       "GET HEAD",
		"POST,HEAD,PUT /orders*": "POST HEAD PUT",
	}
	for text, methods := range tests {
		pattern := parse(t, text)
		for method := range strings.FieldsSeq(all) {
			want := strings.Contains(" "+methods+" ", " "+method+" ")
			if got := pattern.Match(method, "/orders"); got != want {
				t.Errorf("%s matches %s /orders: %v", text, method, got)
			}
			if pattern.Match(method, "/other") {
				t.Errorf("%s matches %s /other", text, method)
			}
		}
		for _, method := range []string{"get", "GeT", "FOO", "GET ", strings.Repeat("G", 10<<10)} {
			if pattern.Match(method, "/orders") {
				t.Errorf("%s matches the method %.10q", text, method)
			}
		}
		if got, want := pattern.Match("", "/orders"), methods == all; got != want {
			t.Errorf("%s matches an unknown method: %v", text, got)
		}
	}
}

// S2-16, bar 34: an empty list is unrestricted; any other list needs a path that it names.
func TestPatternsMatch(t *testing.T) {
	unrestricted, err := latchward.ParsePatterns("allowed_endpoints", []string{})
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []latchward.Patterns{nil, {}, unrestricted} {
		if !list.Match("", "") || !list.Match("GET", "/products") || !list.Match("FOO", "x") {
			t.Error("an empty list does not allow everything")
		}
	}
	list := parse(t, "POST /orders", "/stores/*", "GET /products*")
	for request, want := range map[[2]string]bool{
		{"POST", "/orders"}:    true,
		{"GET", "/orders"}:     false,
		{"GET", "/stores/1"}:   true,
		{"", "/stores/1"}:      true,
		{"", "/products"}:      false,
		{"GET", "/products/1"}: true,
		{"GET", "/categories"}: false,
		{"GET", ""}:            false,
		{"", ""}:               false,
		{"GET", "products"}:    false,
		{"GET", "*"}:           false,
	} {
		if got := list.Match(request[0], request[1]); got != want {
			t.Errorf("Match(%q, %q) = %v", request[0], request[1], got)
		}
	}
	everything := parse(t, "/**", "/")
	if everything.Match("GET", "") || everything.Match("", "") || everything.Match("GET", "a/b") {
		t.Error("a list matches what is no path")
	}
}

// bar 34: whoever cannot read a stored list can deny everything.
func TestZeroPatternMatchesNothing(t *testing.T) {
	for _, path := range []string{"", "/", "/a"} {
		if (latchward.Patterns{{}}).Match("GET", path) {
			t.Errorf("the zero pattern matches %q", path)
		}
	}
}

// S2-16, bar 34: what is no pattern.
func TestParsePatternRefuses(t *testing.T) {
	tests := []struct {
		reason   string // in the message
		patterns []string
	}{
		{"misplaced *", []string{"/a*b", "/*a", "/a*/b", "/**/a", "/a/**/b", "/***", "/a**", "/a/***", "/**/", "/a/**/",
			"/*b*", "/**b", "/*/a*b/*", "/a*/*", "/a*b*", "/**/**", "/*/***", "GET /a*b", "/*a/**"}},
		{"start with /", []string{"", "*", "**", "products", "GET ", "GET  /a", "GET products", "GET *", "GET\t/a"}},
		{"list of different methods", []string{" /a", " ", "get /a", "FOO /a", "GET, /a", ",GET /a", ", /a", "* /a",
			"GET,GET /a", "GET,HEAD,GET /a", "GET, POST /a", "GET|POST /a", "/a b", "/a /b", "GET:POST /a"}},
		{"write it as /products*", []string{"/%70roducts*", "GET /product%73*"}},
		{"write it as /a%2Ab", []string{"/a%2ab"}},
		{"write it as /caf%C3%A9", []string{"/café", "/caf%c3%a9"}},
		{"write it as /%7Bid%7D", []string{"/{id}"}},
		{"longer than 1024 bytes", []string{"/" + strings.Repeat("a", latchward.MaxPatternBytes),
			"GET /" + strings.Repeat("a", latchward.MaxPatternBytes-4), strings.Repeat("/**", 1000)}},
		{"empty segment", []string{"//", "/a//b", "//*", "/a//*", "/*//**"}},
		{". or .. segment", []string{"/..", "/a/../b", "/./*", "/%2e%2e/*", "/*/.."}},
		{"semicolon", []string{"/a;v=1", "/a;*", "/%3B*"}},
		{"escaped slash", []string{"/a%2Fb", "/a%2F*"}},
		{"backslash", []string{`/a\d`, "/a%5C*"}},
		{"literal ? or #", []string{"/a?b", "/a#*"}},
		{"literal space", []string{"GET /a b", "GET /a "}},
		{"malformed escape", []string{"/a%*", "/a%2*", "/%zz"}},
		{"not UTF-8", []string{"/caf%C3*", "/\xff"}},
		{"escaped twice", []string{"/a%2531"}},
		{"control character", []string{"/a\n", "/%00*", "/\x7f"}},
	}
	for _, test := range tests {
		for _, text := range test.patterns {
			got, err := latchward.ParsePattern(text)
			checkInvalid(t, fmt.Sprintf("ParsePattern(%.40q) = %.40q", text, got), err, "pattern", test.reason)
		}
	}
}

func TestPatternString(t *testing.T) {
	longest := "GET /" + strings.Repeat("a", latchward.MaxPatternBytes-5)
	for _, text := range []string{"/", "/products*", "GET,POST /stores/*/brands", "/reports/**", longest} {
		pattern, err := latchward.ParsePattern(text)
		if err != nil || pattern.String() != text {
			t.Errorf("ParsePattern(%.40q) = %.40q, %v", text, pattern, err)
		}
	}
}

// S2-16, bar 34: at most 200 patterns; an error names the element.
func TestParsePatterns(t *testing.T) {
	if latchward.MaxPatterns != 200 || latchward.MaxPatternBytes != 1024 {
		t.Error("the bounds are not those of S2-16")
	}
	texts := make([]string, latchward.MaxPatterns)
	for i := range texts {
		texts[i] = fmt.Sprintf("/p%d", i)
	}
	patterns, err := latchward.ParsePatterns("allowed_endpoints", texts)
	if err != nil || len(patterns) != latchward.MaxPatterns || !patterns.Match("GET", "/p199") {
		t.Errorf("200 patterns: %d, %v", len(patterns), err)
	}
	for _, test := range []struct {
		texts         []string
		field, reason string
	}{
		{append(texts, "/"), "allowed_endpoints", "at most 200"},
		{[]string{""}, "allowed_endpoints[0]", "start with /"},
		{[]string{"*"}, "allowed_endpoints[0]", "start with /"},
		{[]string{"/a", "/b", "/c", "/a*b", "*"}, "allowed_endpoints[3]", "misplaced *"},
		{[]string{"/a", "get /b"}, "allowed_endpoints[1]", "list of different methods"},
		{[]string{"/a", "/../b"}, "allowed_endpoints[1]", ". or .. segment"},
		{[]string{"/a", "/%61"}, "allowed_endpoints[1]", "write it as /a"},
		{[]string{"/" + strings.Repeat("a", 1024)}, "allowed_endpoints[0]", "longer than 1024 bytes"},
	} {
		got, err := latchward.ParsePatterns("allowed_endpoints", test.texts)
		checkInvalid(t, fmt.Sprintf("ParsePatterns(%.60q) = %.40q", test.texts, got), err, test.field, test.reason)
		if got != nil {
			t.Errorf("ParsePatterns(%.60q) returns patterns and an error", test.texts)
		}
	}
	if none, err := latchward.ParsePatterns("allowed_endpoints", nil); none != nil || err != nil {
		t.Errorf("ParsePatterns(nil) = %v, %v", none, err)
	}
}

// bar 26: methods are a closed set, in upper case.
func TestCanonicalMethod(t *testing.T) {
	for method := range strings.FieldsSeq("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT") {
		if got, err := latchward.CanonicalMethod(strings.Clone(method)); got != method || err != nil {
			t.Errorf("CanonicalMethod(%s) = %q, %v", method, got, err)
		}
	}
	for _, raw := range []string{"", "get", "GeT", "FOO", "GET ", " GET", "GETS", "GE", "*", "G\x00T",
		strings.Repeat("A", 10<<10)} {
		got, err := latchward.CanonicalMethod(raw)
		checkInvalid(t, fmt.Sprintf("CanonicalMethod(%.20q) = %q", raw, got), err, "method", "GET, HEAD, POST")
		if len(err.Error()) > 200 {
			t.Errorf("the error about %.20q holds the method", raw)
		}
	}
}

// bar 34: patterns that drive backtracking matchers wild, times the longest path, times the longest list. A matcher
// that is not linear never comes back from this.
func TestPatternSafety(t *testing.T) {
	path := strings.Repeat("/a", latchward.MaxPathBytes/2)
	for _, text := range []string{
		strings.Repeat("/*", 511) + "/b", strings.Repeat("/*", 510) + "/b*", strings.Repeat("/*", 510) + "/**",
		strings.Repeat("/a", 510) + "/b*", "/(a+)+$", "/(a+)+*",
	} {
		texts := make([]string, latchward.MaxPatterns)
		for i := range texts {
			texts[i] = text
		}
		want := strings.HasSuffix(text, "**")
		if got := parse(t, texts...).Match("GET", path); got != want {
			t.Errorf("200 times %.20s... matches /a/a/a...: %v", text, got)
		}
	}
}

// S2-16: every pattern and path of a few characters, against regular expressions.
func TestPatternsAgainstOracle(t *testing.T) {
	var paths []string
	for _, path := range words("/ab", 7) {
		if canonical, err := latchward.CanonicalPath(path); err == nil && canonical == path {
			paths = append(paths, path)
		}
	}
	matches := 0
	for _, text := range words("/*a", 7) {
		oracle := oraclePattern(text)
		pattern, err := latchward.ParsePatterns("pattern", []string{text})
		if (oracle == nil) != (err != nil) {
			t.Errorf("ParsePattern(%q): %v, but the oracle says %v", text, err, oracle)
			continue
		}
		for _, path := range paths {
			if err == nil && pattern.Match("GET", path) != oracle.MatchString(path) {
				t.Errorf("%s matches %s: %v, the oracle does not agree", text, path, pattern.Match("GET", path))
			} else if err == nil && oracle.MatchString(path) {
				matches++
			}
		}
	}
	if matches < 5_000 {
		t.Errorf("only %d matches were compared", matches)
	}
}

// words returns all words over alphabet of up to length characters, each after a slash.
func words(alphabet string, length int) []string {
	all := []string{"/"}
	for first := 0; length > 0; length-- {
		last := len(all)
		for _, word := range all[first:last] {
			for _, c := range alphabet {
				all = append(all, word+string(c))
			}
		}
		first = last
	}
	return all
}

// oraclePattern returns S2-16 as a regular expression, segment by segment, or nil when the path of a pattern is
// refused.
func oraclePattern(path string) *regexp.Regexp {
	if canonical, err := latchward.CanonicalPath(path); err != nil || canonical != path {
		return nil
	}
	segments := strings.Split(path[1:], "/")
	expression := `(?s)\A`
	for i, segment := range segments {
		last := i == len(segments)-1
		name, glued := strings.CutSuffix(segment, "*")
		switch {
		case segment == "*":
			expression += "/[^/]+"
		case segment == "**" && last:
			expression += "(/[^/]+)+/?"
		case glued && last && !strings.Contains(name, "*"):
			expression += "/" + regexp.QuoteMeta(name) + ".*"
		case strings.Contains(segment, "*"):
			return nil
		default:
			expression += "/" + regexp.QuoteMeta(segment)
		}
	}
	return regexp.MustCompile(expression + `\z`)
}

func parse(t *testing.T, texts ...string) latchward.Patterns {
	t.Helper()
	patterns, err := latchward.ParsePatterns("allowed_endpoints", texts)
	if err != nil {
		t.Fatal(err)
	}
	return patterns
}
