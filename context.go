package latchward

import (
	"context"
	"fmt"
	"net/netip"
)

// PrincipalType says what kind of actor a principal is.
type PrincipalType string

// The types of principal.
const (
	PrincipalUser   PrincipalType = "user"   // a signed-in person
	PrincipalToken  PrincipalType = "token"  // an API token; may not manage credentials
	PrincipalLocal  PrincipalType = "local"  // whoever can open the data folder: the local administrator
	PrincipalSystem PrincipalType = "system" // Latchward itself
)

// Principal is who acts now. It travels in the context and is what audit entries name.
type Principal struct {
	Type          PrincipalType
	ID            int64     // of the user or token; 0 for local and system
	Name          string    // for people to read
	Administrator bool      // holds every right, whatever Rights say
	Rights        *Rights   // of a person or token
	Groups        []GroupID // of a person: whose tokens are theirs, too
	Origin        Origin
}

// Origin is where a request came from, for the audit log.
type Origin struct {
	Address   netip.Addr // of the client, as far as trusted proxies tell; invalid when unknown
	UserAgent string
	RequestID string
}

// String returns the principal as "type:id".
func (p Principal) String() string { return fmt.Sprintf("%s:%d", p.Type, p.ID) }

type principalKey struct{}

// WithPrincipal returns a context in which p acts.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns who acts in ctx; false when nobody is known to.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

type verdictKey struct{}

// WithVerdict returns a context that carries the verdict on the request being served.
func WithVerdict(ctx context.Context, v Verdict) context.Context {
	return context.WithValue(ctx, verdictKey{}, v)
}

// VerdictFrom returns the verdict on the request being served. False means that no verdict was asked for; a request
// let through as anonymous has a verdict with Reason [ReasonMissing].
func VerdictFrom(ctx context.Context) (Verdict, bool) {
	v, ok := ctx.Value(verdictKey{}).(Verdict)
	return v, ok
}
