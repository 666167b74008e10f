package scim

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// refusal is an error that is answered as a verdict.
type refusal struct{ verdict latchward.Verdict }

// Error implements error.
func (e *refusal) Error() string { return "refused: " + string(e.verdict.Reason) }

var errNotDirectory = &latchward.Error{
	Code:    latchward.CodeForbidden,
	Message: "Only a service token that was granted permissions over users and groups may use SCIM",
}

// caller returns the context in which the service token acts that r came with, once everything that restricts the token
// itself has let this call pass: its networks, endpoints and limits.
func (h *handler) caller(r *http.Request, permission string) (context.Context, latchward.Verdict, error) {
	secret, reason := httpauth.Credential(r)
	if reason != "" {
		return nil, latchward.Verdict{}, &refusal{latchward.Verdict{Reason: reason}}
	}
	v, err := h.service.Verify(r.Context(), latchward.VerifyRequest{
		Secret: secret, Method: r.Method, Path: r.URL.Path, Address: h.Proxies.ClientAddress(r),
		Permissions: needs(permission), Rights: true,
	})
	if err != nil {
		return nil, v, err
	}
	p := latchward.Principal{
		Type: latchward.PrincipalToken, ID: int64(v.Token.ID), Name: v.Token.Name, Rights: v.Rights, Origin: h.origin(r),
	}
	ctx := latchward.WithPrincipal(r.Context(), p)
	switch {
	case v.Allowed() && v.Token.Kind == latchward.KindService:
		return ctx, v, nil
	case v.Allowed(): // a personal token holds no such permission: it cannot come here
		return nil, v, errNotDirectory
	}
	status := httpauth.StatusOf(v.Reason)
	h.record(r, &v, status)
	if status == http.StatusForbidden {
		h.noteDenied(ctx, r, permission, v.Reason)
	}
	return nil, v, &refusal{v}
}

// needs returns the permissions that a call takes: whoever changes something is told what it is now, and so must be
// allowed to read it.
func needs(permission string) []string {
	resource, _, _ := strings.Cut(permission, ".")
	return []string{permission, resource + ".read"}
}

// record records a call by a proven token, like a call of anything else.
func (h *handler) record(r *http.Request, v *latchward.Verdict, status int) {
	if v.Token.ID == 0 || !v.Tracked() {
		return
	}
	now := h.now()
	h.service.Record(&latchward.UsageEvent{
		At: now, TokenID: v.Token.ID, Credential: latchward.CredentialToken, Reason: v.Reason, Endpoint: r.URL.Path,
		Method: r.Method, Status: status, Duration: max(0, now.Sub(v.At)), Address: h.Proxies.ClientAddress(r),
		UserAgent: r.UserAgent(),
	})
}

// noteDenied leaves an audit entry about a change that a proven token asked for and was refused here (bar 127).
func (h *handler) noteDenied(ctx context.Context, r *http.Request, permission string, reason latchward.Reason) {
	resource, verb, _ := strings.Cut(permission, ".")
	if verb == "read" {
		return
	}
	kind := strings.TrimSuffix(resource, "s")
	if verb == "delete" {
		verb = "remove"
	}
	_, id, _ := h.find(r)
	target, _ := parseID[int64](id)
	h.service.RecordDenial(ctx, latchward.Denial{
		Action: kind + "." + verb, TargetType: kind, TargetID: target, Reason: string(reason),
	})
}

func (h *handler) origin(r *http.Request) latchward.Origin {
	return latchward.Origin{
		Address: h.Proxies.ClientAddress(r), UserAgent: cut(r.UserAgent(), latchward.MaxUserAgentLength),
		RequestID: requestID(r),
	}
}

// requestID returns the id that somebody in front gave the request, if it is one that is safe to keep.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	odd := func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c))
	}
	if len(id) > latchward.MaxRequestIDLength || strings.ContainsFunc(id, odd) {
		return ""
	}
	return id
}

// cut returns at most n bytes of text as valid UTF-8.
func cut(text string, n int) string {
	if len(text) > n {
		for text = text[:n]; text != "" && !utf8.ValidString(text); {
			text = text[:len(text)-1]
		}
	}
	return strings.ToValidUTF8(text, "")
}

// refuseVerdict answers as every other surface does, with a body as SCIM has it.
func (h *handler) refuseVerdict(w http.ResponseWriter, r *http.Request, v *latchward.Verdict) {
	answer := &aside{ResponseWriter: w}
	w.Header().Del("Vary") // it is said there again
	h.Guard.Refuse(answer, v, h.Proxies.ClientAddress(r))
	var p httpauth.Problem
	if err := json.Unmarshal(answer.body.Bytes(), &p); err != nil {
		p.Detail = http.StatusText(answer.status)
	}
	w.Header().Del("Content-Length")
	_ = write(w, answer.status, newErrorBody(answer.status, "", p.Error+". "+p.Detail))
}

// aside keeps status and body of an answer instead of sending them; its header is the real one.
type aside struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (w *aside) WriteHeader(status int) { w.status = status }

// Write implements io.Writer.
func (w *aside) Write(data []byte) (int, error) { return w.body.Write(data) }
