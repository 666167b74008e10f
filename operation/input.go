package operation

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/shape"
)

// input is how a request becomes the struct that a function takes.
type input struct {
	parameters []parameter
	body       *shape.Shape // nil = no body is read
	bodyNeeded bool
	subjects   [][]int // the fields that are a Subject
	maxBody    int64
}

// parameter is a field that does not come from the body.
type parameter struct {
	shape.Member
	in      string // "path", "query" or "header"
	index   []int
	absence json.RawMessage // what stands for one that is left out; nil = the zero value
}

// places are the tags of parameters, and where OpenAPI says that they are.
var places = [...]string{"path", "query", "header"}

func (a *API) newInput(method, path string, t reflect.Type) *input {
	if t.Kind() != reflect.Struct {
		panic("operation: what goes into " + method + " " + path + " must be a struct, not " + t.String())
	}
	in := &input{maxBody: a.options.MaxBody}
	subject := reflect.TypeFor[Subject]()
	for _, field := range reflect.VisibleFields(t) {
		if field.Type == subject {
			in.subjects = append(in.subjects, field.Index)
		}
	}
	var members []shape.Member
	for _, field := range shape.Fields(t) {
		switch place := placeOf(field); {
		case field.Type == subject:
		case place == "":
			members = append(members, a.types.Member(field, "json"))
		default:
			in.parameters = append(in.parameters, a.newParameter(field, place))
		}
	}
	if len(members) > 0 {
		in.body = shape.ObjectOf(t.Name(), members)
		if len(in.parameters)+len(in.subjects) == 0 {
			in.body = a.types.Of(t) // which replies may have in them, too
		}
		in.bodyNeeded = slices.ContainsFunc(members, func(m shape.Member) bool { return m.Required })
	}
	in.check(method, path)
	return in
}

func placeOf(field shape.Field) string {
	for _, place := range places {
		if field.Tag.Get(place) != "" {
			return place
		}
	}
	return ""
}

func (a *API) newParameter(field shape.Field, place string) parameter {
	p := parameter{Member: a.types.Member(field, place), in: place, index: field.Index}
	if field.Optional {
		panic("operation: the parameter " + p.Name + " must not be in an embedded pointer")
	}
	p.Required = p.Required || place == "path"
	if text, ok := field.Tag.Lookup("default"); ok {
		literal, err := p.literal([]string{text})
		if err != nil {
			panic("operation: the default of the parameter " + p.Name + " " + latchward.ErrorMessage(err))
		}
		p.Required, p.absence = false, literal
	}
	return p
}

// check panics when the parameters do not fit the path, or there is a body where there can be none.
func (in *input) check(method, path string) {
	o := Operation{Path: path}
	names := o.parameterNames()
	for _, p := range in.parameters {
		i := slices.Index(names, p.Name)
		switch {
		case p.in == "header" && strings.EqualFold(p.Name, "Authorization"):
			panic("operation: credentials are not for functions to see; " + method + " " + path + " has a Subject instead")
		case p.in == "path" && i < 0:
			panic("operation: " + path + " has no parameter " + p.Name)
		case p.in == "path":
			names = slices.Delete(names, i, i+1)
		}
	}
	if len(names) > 0 {
		panic("operation: no field has the tag path:\"" + names[0] + "\" for " + method + " " + path)
	}
	if in.body != nil && (method == http.MethodGet || method == http.MethodDelete) {
		panic("operation: " + method + " " + path + " has no body; give its fields the tag query, path or header")
	}
}

// read fills in the struct into. Errors are of code invalid and name what is at fault, or faults of HTTP.
func (in *input) read(w http.ResponseWriter, r *http.Request, into reflect.Value) error {
	if err := in.readBody(w, r, into); err != nil {
		return err
	}
	query, err := in.query(r)
	if err != nil {
		return err
	}
	for _, p := range in.parameters { // after the body, which can name none of them
		var given []string
		switch p.in {
		case "path":
			given = []string{r.PathValue(p.Name)}
		case "query":
			given = query[p.Name]
		case "header":
			given = r.Header.Values(p.Name)
		}
		if err := p.set(into.FieldByIndex(p.index), given); err != nil {
			return err
		}
	}
	subject := reflect.ValueOf(SubjectFrom(r.Context()))
	for _, index := range in.subjects {
		into.FieldByIndex(index).Set(subject)
	}
	return nil
}

func (in *input) readBody(w http.ResponseWriter, r *http.Request, into reflect.Value) error {
	if in.body == nil {
		return nil
	}
	text, err := shape.ReadBody(w, r, nil, in.maxBody)
	switch {
	case err != nil:
		return err
	case len(text) == 0 && in.bodyNeeded:
		return latchward.Errorf(latchward.CodeInvalid, "The body is missing; send JSON")
	case len(text) == 0:
		return nil
	}
	return in.body.Decode(text, into.Addr().Interface())
}

// query returns the parameters in the query of r, of which each must be known.
func (in *input) query(r *http.Request) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, latchward.Errorf(latchward.CodeInvalid, "The query cannot be read")
	}
	for name := range values {
		known := func(p parameter) bool { return p.in == "query" && p.Name == name }
		if !slices.ContainsFunc(in.parameters, known) {
			return nil, latchward.Invalid(shape.Showable([]byte(name)), "is not a parameter here")
		}
	}
	return values, nil
}

// set reads what was given for p into its field.
func (p *parameter) set(field reflect.Value, given []string) error {
	literal := p.absence
	switch {
	case len(given) > 0:
		var err error
		if literal, err = p.literal(given); err != nil {
			return shape.Within(p.Name, err)
		}
	case p.Required:
		return latchward.Invalid(p.Name, "is required")
	case literal == nil:
		return nil
	}
	if err := json.Unmarshal(literal, field.Addr().Interface()); err != nil {
		return latchward.Invalid(p.Name, "is too large")
	}
	return nil
}

// literal returns the JSON of a parameter's value, which has the shape of p. A list is given value by value.
func (p *parameter) literal(given []string) (json.RawMessage, error) {
	if p.Kind != shape.KindList && len(given) > 1 {
		return nil, latchward.Invalid("", "must not be given twice")
	}
	one := p.Shape
	if p.Kind == shape.KindList {
		one = p.Item
	}
	var literals []json.RawMessage
	for _, value := range given {
		if !utf8.ValidString(value) {
			return nil, latchward.Invalid("", "is not valid UTF-8")
		}
		literal, err := one.Literal(value)
		if err != nil {
			return nil, err
		}
		literals = append(literals, literal)
	}
	text := literals[0]
	if p.Kind == shape.KindList {
		var err error
		if text, err = json.Marshal(literals); err != nil {
			return nil, latchward.Invalid("", "cannot be read")
		}
	}
	s := shape.NewScanner(text)
	return text, p.Check(&s)
}
