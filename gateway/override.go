package gateway

import (
	"strings"
)

// isOverride reports whether a parameter of a query or form asks some framework to treat a request as one with another
// method (bar 27): "_method", or the name of a header that does. name is as it was sent; it is decoded and compared as
// the least careful reader does: PHP, for one, takes ".method", " _method" and "_method[]" for "_method".
func isOverride(name string) bool {
	if !strings.ContainsAny(name, "mM%") {
		return false
	}
	var space [64]byte // more than any of them needs
	folded := string(appendFolded(space[:0], unescape(name)))
	switch word := strings.Trim(folded, "-"); word {
	case "method":
		return folded[0] == '-'
	case "x-http-method-override", "x-http-method", "x-method-override":
		return true
	}
	return false
}

// cleanQuery takes method overrides out of a query. Everything else in it stays byte for byte.
func cleanQuery(query string) string {
	if !mayOverride(query) {
		return query
	}
	var kept strings.Builder
	for rest := query; rest != ""; {
		pair, separator := rest, ""
		if i := strings.IndexAny(rest, "&;"); i >= 0 {
			pair, separator = rest[:i], rest[i:i+1]
		}
		rest = rest[len(pair)+len(separator):]
		if name, _, _ := strings.Cut(pair, "="); !isOverride(name) {
			kept.WriteString(pair + separator)
		}
	}
	return kept.String()
}

// mayOverride keeps the common queries off the slow path.
func mayOverride(query string) bool {
	for i := range len(query) {
		switch query[i] {
		case 'm', 'M':
			if len(query)-i >= len("method") && strings.EqualFold(query[i:i+len("method")], "method") {
				return true
			}
		case '%':
			return true
		}
	}
	return false
}

// unescape decodes what it can of a query or form, and leaves the rest.
func unescape(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if high, low := unhex(text[i+1]), unhex(text[i+2]); high >= 0 && low >= 0 {
				b.WriteByte(byte(high<<4 | low))
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
