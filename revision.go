package latchward

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"
)

// ErrChanged is the cause of the Error of code conflict about a record that is no longer what a caller saw: an update
// that named revisions was refused (RFC 9110 §13.1.1).
var ErrChanged = errors.New("the record has changed")

// Revision names what callers can set of t, and its secret, as they are now: 22 characters of base64url. Whoever names
// the revision in an update changes nothing that they have not seen (bar 109). Uses of the token do not move it.
func (t *Token) Revision() string {
	facts := auditFacts(t)
	facts["roles"], facts["groups"], facts["licenses"] = inOrder(t.Roles), inOrder(t.Groups), inOrder(t.Licenses)
	facts["inherits"], facts["enabled_at"], facts["unbound"] = inherits(t), auditTime(t.EnabledAt), t.Unbound
	return revisionOf("token", int64(t.ID), t.UpdatedAt, facts)
}

// Revision names what callers can set of u as it is now, like [Token.Revision].
func (u *User) Revision() string {
	facts := userFacts(u)
	facts["roles"], facts["groups"], facts["licenses"] = inOrder(u.Roles), inOrder(u.Groups), inOrder(u.Licenses)
	facts["removed"] = u.Removed()
	return revisionOf("user", int64(u.ID), u.UpdatedAt, facts)
}

// Revision names what callers can set of r as it is now, like [Token.Revision].
func (r *Role) Revision() string { return revisionOf("role", int64(r.ID), r.UpdatedAt, roleFacts(r)) }

// Revision names what callers can set of g as it is now, like [Token.Revision].
func (g *Group) Revision() string {
	facts := groupFacts(g)
	facts["roles"] = inOrder(g.Roles)
	return revisionOf("group", int64(g.ID), g.UpdatedAt, facts)
}

// RevisionWith names what callers can set of g together with who its members are.
func (g *Group) RevisionWith(members []UserID) string {
	return revisionOf("group", int64(g.ID), g.UpdatedAt, map[string]any{"group": g.Revision(), "members": inOrder(members)})
}

// Revision names what callers can set of l as it is now, like [Token.Revision]. Seats that are taken do not move it.
func (l *License) Revision() string {
	return revisionOf("license", int64(l.ID), l.UpdatedAt, licenseFacts(l))
}

// Revision names what callers can set of p as it is now, like [Token.Revision].
func (p *LifecyclePolicy) Revision() string {
	return revisionOf("policy", int64(p.ID), p.UpdatedAt, policyFacts(p))
}

// inOrder returns ids as stores give them back.
func inOrder[ID ~int64](ids []ID) []ID { return slices.Sorted(slices.Values(ids)) }

// revisionOf depends on what a record holds rather than on when it was changed alone: two changes may share their
// millisecond. A list that is nil and one that is empty count as the same, since stores do not tell them apart.
func revisionOf(kind string, id int64, updated time.Time, facts map[string]any) string {
	hash := sha256.New()
	hash.Write([]byte(kind + strconv.FormatInt(id, 10) + updated.UTC().Format(time.RFC3339Nano)))
	names := make([]string, 0, len(facts))
	for name := range facts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		text := "[]"
		if encoded, err := json.Marshal(facts[name]); err == nil && string(encoded) != "null" && string(encoded) != "{}" {
			text = string(encoded)
		}
		hash.Write([]byte("\n" + name + " " + text))
	}
	return base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:16])
}

// checkRevision must be called in the transaction of the change.
func checkRevision(wanted []string, is string) error {
	if len(wanted) == 0 || slices.Contains(wanted, is) {
		return nil
	}
	return &Error{Code: CodeConflict, Message: "Somebody has changed it since it was read; read it again", Err: ErrChanged}
}
