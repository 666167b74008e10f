package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/shape"
)

// access says who may call a route.
type access int

const (
	anyone     access = iota // without a credential
	persons                  // a signed-in person; API tokens are refused
	verifiers                // a service token that holds tokens.verify
	holders                  // an API token, about itself
	possessors               // without a credential: what is in the body is one
)

// route is one way in. Everything that callers can know about it stands here, and becomes the OpenAPI document.
type route struct {
	method, path string // "{name}" in a path is a permission, all other parameters are numbers
	access       access
	id           string // of the operation, in the OpenAPI document
	summary      string
	operation
}

// public reports whether r is served without a credential.
func (r *route) public() bool { return r.access == anyone || r.access == possessors }

// operation is what a route does, and the shapes of what goes in and comes out.
type operation struct {
	status             int          // when it succeeds
	secret             bool         // the reply holds one: nothing on the way may keep it (C-03)
	bodyMayMiss        bool         // no body is as good as {}
	tagged             bool         // If-Match is understood
	repeatable         bool         // Idempotency-Key is understood
	permission         string       // that lets a service token in, too; "" = none does
	query, body, reply *shape.Shape // nil = none
	lines              *shape.Shape // of each line of a body of lines; nil = the body is not one
	media              string       // of a reply that is not JSON
	do                 func(o *operation, w http.ResponseWriter, r *http.Request, at place) (reply any, err error)
	write              func(w http.ResponseWriter, r *http.Request) error // instead of do: answers by itself
}

// request is what an operation is asked.
type request[Query, Body any] struct {
	place
	Query     Query
	Body      Body
	Revisions []string // of If-Match; one of them must be what the record has
	Key       string   // of Idempotency-Key
}

// place is what the parameters in a path say.
type place struct {
	ID, Second int64  // the first and second number
	Name       string // the permission
}

// none stands for the query or body of an operation that has none.
type none struct{}

// operate makes an operation of a function: decoding is the same for all.
func operate[Q, B, R any](answer func(context.Context, request[Q, B]) (R, error)) operation {
	o := operation{status: http.StatusOK, query: shapeFor[Q](), body: shapeFor[B](), reply: shapeFor[R]()}
	o.do = func(o *operation, w http.ResponseWriter, r *http.Request, at place) (any, error) {
		in := request[Q, B]{place: at}
		var err error
		if in.Revisions, err = o.revisions(r); err != nil {
			return nil, err
		}
		if in.Key, err = o.requestKey(r); err != nil {
			return nil, err
		}
		if err := o.decodeQuery(r, &in.Query); err != nil {
			return nil, err
		}
		if err := o.decodeBody(w, r, &in.Body); err != nil {
			return nil, err
		}
		reply, err := answer(r.Context(), in)
		return reply, changed(err)
	}
	return o
}

func shapeFor[T any]() *shape.Shape {
	if t := reflect.TypeFor[T](); t != reflect.TypeFor[none]() {
		return shapeOf(t)
	}
	return nil
}

// accepted marks an operation that does not tell what came of it.
func accepted(o operation) operation {
	o.status = http.StatusAccepted
	return o
}

// created marks an operation that makes something.
func created(o operation) operation {
	o.status = http.StatusCreated
	return o
}

// forTokens marks an operation that service tokens may call, too, if they hold a permission.
func forTokens(permission string, o operation) operation {
	o.permission = permission
	return o
}

// withSecret marks an operation whose reply holds a secret.
func withSecret(o operation) operation {
	o.secret = true
	return o
}

// withoutBody marks an operation whose body may be left out.
func withoutBody(o operation) operation {
	o.bodyMayMiss = true
	return o
}

func (o *operation) decodeQuery(r *http.Request, into any) error {
	sh := o.query
	if sh == nil {
		sh = shape.ObjectOf("", nil)
	}
	text, err := sh.QueryText(r.URL.RawQuery)
	if err != nil {
		return err
	}
	return sh.Decode(text, into)
}

func (o *operation) decodeBody(w http.ResponseWriter, r *http.Request, into any) error {
	if o.body == nil {
		return nil
	}
	text, err := shape.ReadBody(w, r, nil, MaxBody)
	switch {
	case err != nil:
		return err
	case len(text) == 0 && o.bodyMayMiss:
		return nil
	case len(text) == 0:
		return latchward.Errorf(latchward.CodeInvalid, "The body is missing; send JSON")
	}
	return o.body.Decode(text, into)
}

// answer does what the route does.
func (o *operation) answer(w http.ResponseWriter, r *http.Request, at place) error {
	if o.write != nil {
		return o.write(w, r)
	}
	reply, err := o.do(o, w, r, at)
	if err != nil {
		return err
	}
	return o.writeJSON(w, reply)
}

const jsonMedia = "application/json; charset=utf-8"

func (o *operation) writeJSON(w http.ResponseWriter, value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return latchward.Errorf(latchward.CodeInternal, "encoding a reply: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", jsonMedia)
	h.Set("Content-Length", strconv.Itoa(text.Len()))
	h.Set("Vary", "Authorization")
	if tagged, ok := value.(interface{ revision() string }); ok {
		h.Set("ETag", `"`+tagged.revision()+`"`)
	}
	if o.secret {
		h.Set("Cache-Control", "no-store, no-cache, must-revalidate")
		h.Set("Pragma", "no-cache")
	}
	w.WriteHeader(o.status)
	_, _ = w.Write(text.Bytes()) // a client that is gone needs no answer
	return nil
}
