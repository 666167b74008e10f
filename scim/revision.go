package scim

import (
	"net/http"
	"strings"
)

// version returns what ETag and meta.version say of a revision. It is weak, because the same revision is shown in
// several ways: with and without some attributes.
func version(revision string) string { return `W/"` + revision + `"` }

// tags returns what a header such as If-Match names: nil for nothing or anything. RFC 7644 §3.14 sends weak tags in it,
// so weak and strong ones count the same.
func tags(r *http.Request, header string) ([]string, error) {
	lines := r.Header.Values(header)
	text := strings.TrimSpace(strings.Join(lines, ","))
	if len(lines) == 0 || text == "*" {
		return nil, nil
	}
	revisions := []string{}
	for tag := range strings.SplitSeq(text, ",") {
		quoted := strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		opaque := strings.Trim(quoted, `"`)
		if len(opaque) != len(quoted)-2 || opaque == "" {
			return nil, bad(invalidValue, `%s must be the ETag of what was read, like W/"b2Jz", or *.`, header)
		}
		revisions = append(revisions, opaque)
	}
	return revisions, nil
}
