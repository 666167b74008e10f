package rest

import (
	"errors"
	"net/http"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/shape"
)

// Revision names what a record held when it was read: the ETag of a reply, without its quotes. A change that is given
// one is refused, with code conflict, when the record has changed since.
type Revision struct {
	Revision string `json:"-"`
}

func (r Revision) revision() string { return r.Revision }

func (r *Revision) setRevision(etag string) { r.Revision = strings.Trim(etag, `"`) }

// tagged marks an operation that understands If-Match.
func tagged(o operation) operation {
	o.tagged = true
	return o
}

// revisions returns what the If-Match of r names (RFC 9110 §13.1.1); nil when any revision will do. Weak tags never
// match. Whoever makes a condition that nothing looks at is told, rather than left in the belief that it held.
func (o *operation) revisions(r *http.Request) ([]string, error) {
	lines := r.Header.Values("If-Match")
	text := strings.TrimSpace(strings.Join(lines, ","))
	switch {
	case len(lines) == 0 || r.Method == http.MethodGet || r.Method == http.MethodHead:
		return nil, nil
	case !o.tagged:
		return nil, latchward.Invalid("If-Match", "is not understood here; leave it out")
	case text == "*":
		return nil, nil
	}
	revisions := []string{}
	for tag := range strings.SplitSeq(text, ",") {
		strong := strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		opaque := strings.Trim(strong, `"`)
		if len(opaque) != len(strong)-2 || opaque == "" || strings.ContainsAny(opaque, "\" ") {
			return nil, latchward.Invalid("If-Match", `must be the ETag of what was read, like "b2Jz", or *`)
		}
		if strings.HasPrefix(strings.TrimSpace(tag), "W/") {
			opaque = "" // no record has it
		}
		revisions = append(revisions, opaque)
	}
	return revisions, nil
}

// changed returns err as HTTP has it: a condition that does not hold is a 412.
func changed(err error) error {
	var known *latchward.Error
	if errors.Is(err, latchward.ErrChanged) && errors.As(err, &known) {
		return &shape.Fault{Status: http.StatusPreconditionFailed, Message: known.Message, Code: known.Code}
	}
	return err
}
