package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// MaxBody is the most that a request body may have, in bytes.
const MaxBody = 1 << 20

const mediaType = "application/scim+json"

// object is a JSON object whose members have the names that the schema gives them, whatever case they came in.
type object = map[string]any

// readObject returns the JSON object that r carries.
func readObject(w http.ResponseWriter, r *http.Request) (object, error) {
	if given := r.Header.Get("Content-Type"); given != "" {
		kind, _, err := mime.ParseMediaType(given)
		if err != nil || kind != mediaType && kind != "application/json" {
			return nil, &fault{status: http.StatusUnsupportedMediaType, text: "Send " + mediaType + "."}
		}
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &fault{status: http.StatusRequestEntityTooLarge, text: "The body has more than 1 MiB."}
	}
	if err != nil {
		return nil, bad(invalidSyntax, "The body could not be read.")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var o object
	if err := d.Decode(&o); err != nil || o == nil {
		return nil, bad(invalidSyntax, "The body is not a JSON object.")
	}
	if _, err := d.Token(); err != io.EOF { //nolint:errorlint // as the decoder returns it
		return nil, bad(invalidSyntax, "There is more than one JSON object in the body.")
	}
	return o, nil
}

// member returns the member of an object with that name, in any case (RFC 7643 §2.1).
func member(o object, name string) any {
	if value, ok := o[name]; ok {
		return value
	}
	for key, value := range o {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return nil
}

// wantSchema checks that a body names the schema that it is of.
func wantSchema(o object, urn string) error {
	list, ok := member(o, "schemas").([]any)
	if !ok {
		return bad(invalidSyntax, "schemas is missing; it must list %s.", urn)
	}
	for _, value := range list {
		if text, ok := value.(string); ok && strings.EqualFold(text, urn) {
			return nil
		}
	}
	return bad(invalidSyntax, "schemas must list %s.", urn)
}

// settable returns the members of a resource that callers may set, each as its attribute has it. What the schema does
// not know, what is not kept and what callers cannot set is left out (RFC 7644 §3.3).
func settable(list []*attribute, o object) (object, error) {
	kept := object{}
	for key, value := range o {
		a := find(list, key)
		if a == nil || a.ignored || a.readOnly {
			continue
		}
		if _, twice := kept[a.name]; twice {
			return nil, bad(invalidSyntax, "%s is there twice.", a.name)
		}
		taken, err := a.take(value)
		if err != nil {
			return nil, err
		}
		kept[a.name] = taken
	}
	for name, value := range kept {
		if value == nil {
			delete(kept, name) // null is none (RFC 7643 §2.5)
		}
	}
	return kept, nil
}

// take returns a value as the attribute has it; of a multi-valued one always a list.
func (a *attribute) take(value any) (any, error) {
	if value == nil || a.ignored {
		return nil, nil
	}
	if !a.multi {
		return a.takeOne(value)
	}
	given := listOf(value)
	list := make([]any, 0, len(given))
	for _, one := range given {
		taken, err := a.takeOne(one)
		if err != nil {
			return nil, err
		}
		if taken != nil {
			list = append(list, taken)
		}
	}
	return list, nil
}

func (a *attribute) takeOne(value any) (any, error) {
	if value == nil {
		return nil, nil
	}
	switch a.kind {
	case boolean:
		if is, ok := asBool(value); ok {
			return is, nil
		}
		return nil, bad(invalidValue, "%s must be true or false.", a.name)
	case complexes:
		o, ok := value.(object)
		if text, isText := value.(string); isText && a.multi && a.value() != nil {
			o, ok = object{"value": text}, true
		}
		if !ok {
			return nil, bad(invalidValue, "%s must be an object.", a.name)
		}
		return settable(a.sub, o)
	}
	if text, ok := value.(string); ok {
		return text, nil
	}
	return nil, bad(invalidValue, "%s must be a text.", a.name)
}

// write answers with a JSON body.
func write(w http.ResponseWriter, status int, body any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // the media type keeps browsers from seeing HTML
	if err := e.Encode(body); err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaType+"; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // a client that is gone needs no answer
	return nil
}
