package rest

import (
	"net/http"
	"strings"
	"unicode"

	"github.com/latchward/latchward"
)

// noteDenied leaves an audit entry about a change that a proven token asked for and was refused here (bar 127).
func (h *handler) noteDenied(r *http.Request, v *latchward.Verdict) {
	route, at, err := h.find(r)
	if err != nil || !route.changes() {
		return
	}
	action, kind := route.action()
	ctx := latchward.WithPrincipal(r.Context(), latchward.Principal{
		Type: latchward.PrincipalToken, ID: int64(v.Token.ID), Name: v.Token.Name, Origin: h.origin(r),
	})
	h.service.RecordDenial(ctx, latchward.Denial{
		Action: action, TargetType: kind, TargetID: at.ID, TargetName: at.Name, Reason: string(v.Reason),
	})
}

// changes reports whether refusing r is for the audit log: changes, and exports of the log.
func (r *route) changes() bool {
	return r.method != http.MethodGet && r.id != "verifyAudit" && r.id != "explain" || r.id == "exportAudit"
}

// action returns the action that goes with an operation id such as updateToken, and on what.
func (r *route) action() (action, kind string) {
	i := strings.IndexFunc(r.id, unicode.IsUpper)
	verb, kind := r.id[:i], strings.ToLower(r.id[i:])
	switch kind {
	case "member":
		return "group.update", "group"
	case "seat":
		return "license.update", "license"
	}
	return kind + "." + verb, kind
}
