package operation

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/shape"
)

// segment is one part of the paths of operations, with all that may follow it.
type segment struct {
	entries   map[string]*entry // of the paths that end here, by method
	literal   map[string]*segment
	parameter *segment
}

// place returns the segment at which path ends, which is made if it is missing. It panics for what is no path.
func (s *segment) place(path string) *segment {
	canonical, err := latchward.CanonicalPath(strings.NewReplacer("{", "", "}", "").Replace(path))
	if err != nil || len(canonical)+2*strings.Count(path, "{") != len(path) {
		panic("operation: the path " + path + " is not canonical: " + latchward.ErrorMessage(err))
	}
	for part := range strings.SplitSeq(path[1:], "/") {
		if _, ok := parameterName(part); ok {
			if s.parameter == nil {
				s.parameter = &segment{}
			}
			s = s.parameter
			continue
		}
		if s.literal == nil {
			s.literal = map[string]*segment{}
		}
		if s.literal[part] == nil {
			s.literal[part] = &segment{}
		}
		s = s.literal[part]
	}
	return s
}

// parameterName returns the name of a segment that is a parameter. It panics for braces anywhere else.
func parameterName(part string) (string, bool) {
	name, isParameter := strings.CutPrefix(part, "{")
	name, closed := strings.CutSuffix(name, "}")
	if isParameter != closed || strings.ContainsAny(name, "{}") || isParameter && name == "" {
		panic("operation: the segment " + part + " must be a parameter like {id}, or have no braces")
	}
	return name, isParameter
}

// find returns the segment at which path ends and has operations, and what stands in place of the parameters. A
// literal goes before a parameter.
func (s *segment) find(path string, values []string) (*segment, []string) {
	if path == "" {
		if s.entries == nil {
			return nil, nil
		}
		return s, values
	}
	part, rest := path[1:], ""
	if i := strings.IndexByte(part, '/'); i >= 0 {
		part, rest = part[:i], part[i:]
	}
	if next := s.literal[part]; next != nil {
		if found, values := next.find(rest, values); found != nil {
			return found, values
		}
	}
	if s.parameter == nil || part == "" {
		return nil, nil
	}
	return s.parameter.find(rest, append(values, part))
}

// ServeHTTP implements http.Handler. It goes by the path that is judged, which is that of the request line: what a
// handler around it does to the URL, as http.StripPrefix does, has no part in it. The base stays part of it.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, err := a.find(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	e.handler.ServeHTTP(w, r)
}

// find returns the operation that r asks for, and leaves the parameters of its path in r.
func (a *API) find(r *http.Request) (*entry, error) {
	path, err := a.judge.Path(r)
	if err != nil {
		return nil, err
	}
	place, values := a.paths.find(path, nil)
	if place == nil {
		return nil, latchward.Errorf(latchward.CodeNotFound, "There is nothing at this address")
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	e := place.entries[method]
	if e == nil {
		return nil, notAllowed(place)
	}
	for _, name := range e.parameterNames() {
		value, err := url.PathUnescape(values[0])
		if err != nil {
			return nil, latchward.Invalid(name, "cannot be read")
		}
		r.SetPathValue(name, value)
		values = values[1:]
	}
	return e, nil
}

// parameterNames lists the parameters in the operation's path.
func (o *Operation) parameterNames() []string {
	var names []string
	for part := range strings.SplitSeq(o.Path, "/") {
		if name, ok := parameterName(part); ok {
			names = append(names, name)
		}
	}
	return names
}

func notAllowed(place *segment) error {
	methods := slices.Sorted(maps.Keys(place.entries))
	if place.entries[http.MethodGet] != nil {
		methods = append(methods, http.MethodHead)
	}
	allow := strings.Join(methods, ", ")
	return &shape.Fault{
		Status: http.StatusMethodNotAllowed, Message: "Use one of these methods here: " + allow, Allow: allow,
	}
}
