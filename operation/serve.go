package operation

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// protected returns the handler that asks for the verdict before it answers. It panics for rights that can never be
// asked for.
func (e *entry) protected() http.Handler {
	query, err := parseQuery(e.Permissions)
	named := e.Permissions != "" || len(e.Licenses)+len(e.Roles)+len(e.Groups) > 0
	switch {
	case err != nil:
		panic("operation: the permissions of " + e.method + " " + e.Path + ": " + latchward.ErrorMessage(err))
	case named && (e.Anonymous || e.Public):
		panic("operation: " + e.method + " " + e.Path + " asks for rights of callers who may be anonymous")
	case e.Public && len(e.input.subjects) > 0:
		panic("operation: " + e.method + " " + e.Path + " is public and has no Subject; let it be Anonymous instead")
	case e.Public:
		return http.HandlerFunc(e.servePublic)
	}
	o := &e.api.options
	require := httpauth.Require(o.Verifier, httpauth.Options{
		Base: o.Base, Prefix: o.Prefix, Persons: o.Persons, Proxies: o.Proxies, Guard: o.Guard, Now: o.Now,
		Recorder: o.Recorder, Optional: e.Anonymous, Query: query, Licenses: e.Licenses, Rights: true,
		Cost: func(*http.Request) int64 { return max(1, e.Cost) },
	})
	return require(http.HandlerFunc(e.serve))
}

func parseQuery(text string) (latchward.PermissionQuery, error) {
	if text == "" {
		return latchward.PermissionQuery{}, nil
	}
	return latchward.ParsePermissionQuery("permissions", text)
}

// servePublic serves whoever comes. Nobody can claim to be somebody.
func (e *entry) servePublic(w http.ResponseWriter, r *http.Request) {
	httpauth.StripIdentity(r.Header)
	httpauth.StripIdentity(r.Trailer)
	e.serve(w, r)
}

func (e *entry) serve(w http.ResponseWriter, r *http.Request) {
	err := e.missing(SubjectFrom(r.Context()))
	var reply any
	if err == nil {
		reply, err = e.answer(w, r)
	}
	var text []byte
	if err == nil && e.reply != nil {
		text, err = encode(reply)
	}
	if err != nil {
		e.api.refuse(w, r, err)
		return
	}
	h := w.Header()
	if !e.Public {
		h.Set("Cache-Control", "no-store")
		h.Add("Vary", "Authorization")
	}
	if e.reply != nil {
		writeJSON(w, e.Status, text)
		return
	}
	w.WriteHeader(e.Status)
}

// missing returns an error that names a role or group that the operation needs and s does not have. Permissions and
// licenses are part of the verdict.
func (e *entry) missing(s Subject) error {
	for _, name := range e.Roles {
		if !s.HasRole(name) {
			return lacking("role", name)
		}
	}
	for _, name := range e.Groups {
		if !s.HasGroup(name) {
			return lacking("group", name)
		}
	}
	return nil
}

func encode(reply any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(reply); err != nil {
		return nil, latchward.Errorf(latchward.CodeInternal, "encoding a reply: %w", err)
	}
	return text.Bytes(), nil
}

func writeJSON(w http.ResponseWriter, status int, text []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that is gone needs no answer
}

// refuse answers with what the caller may know of err and logs the rest.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if code := latchward.ErrorCode(err); code == latchward.CodeInternal || code == latchward.CodeUnavailable {
		a.options.Logger.ErrorContext(r.Context(), "Operation failed.", "method", r.Method, "error", err)
	}
	httpauth.WriteError(w, err)
}
