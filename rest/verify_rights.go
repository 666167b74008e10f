package rest

import (
	"sync"

	"github.com/latchward/latchward"
)

// VerdictRights are what the subject of a verdict may do, as far as a program needs them to judge further: the grants,
// and what is asked for by name. Whoever reads them must honour every member.
type VerdictRights struct {
	Permissions []string         `json:"permissions" doc:"Grants."`
	Reserved    bool             `json:"reserved" doc:"Whether permissions over Latchward itself count."`
	Bound       *VerdictRights   `json:"bound" doc:"What is held must be held by these, too; null is no bound."`
	Roles       []string         `json:"roles" doc:"Names."`
	Groups      []string         `json:"groups" doc:"Names."`
	Licenses    []VerdictLicense `json:"licenses"`
}

// VerdictLicense is a license of which a subject has a seat.
type VerdictLicense struct {
	Name       string `json:"name"`
	ValidFrom  Time   `json:"valid_from" null:"true"`
	ValidUntil Time   `json:"valid_until" null:"true" doc:"No longer valid from this instant on."`
}

func rightsOf(r *latchward.Rights) *VerdictRights {
	if r == nil {
		return nil
	}
	f := r.Facts()
	wire := &VerdictRights{
		Permissions: append([]string{}, f.Permissions...), Reserved: f.Reserved, Bound: rightsOf(f.Bound),
		Roles: append([]string{}, f.Roles...), Groups: append([]string{}, f.Groups...), Licenses: []VerdictLicense{},
	}
	for _, l := range f.Licenses {
		wire.Licenses = append(wire.Licenses, VerdictLicense{l.Name, Time{l.From}, Time{l.Until}})
	}
	return wire
}

// rights is the other way round.
func (r *VerdictRights) rights() *latchward.Rights {
	if r == nil {
		return nil
	}
	f := latchward.RightsFacts{
		Permissions: r.Permissions, Reserved: r.Reserved, Bound: r.Bound.rights(), Roles: r.Roles, Groups: r.Groups,
	}
	for _, l := range r.Licenses {
		f.Licenses = append(f.Licenses, latchward.HeldLicense{Name: l.Name, From: l.ValidFrom.Time, Until: l.ValidUntil.Time})
	}
	return latchward.NewRights(f)
}

// queries remembers what texts were parsed to: enforcement points ask the same few queries over and over.
type queries struct {
	mu    sync.RWMutex
	known map[string]latchward.PermissionQuery
}

const maxQueries = 1000 // beyond, all are let go and learnt anew

// parse returns the query that text is. Errors are of code invalid and name no field.
func (c *queries) parse(text []byte) (latchward.PermissionQuery, error) {
	c.mu.RLock()
	q, ok := c.known[string(text)]
	c.mu.RUnlock()
	if ok {
		return q, nil
	}
	q, err := latchward.ParsePermissionQuery("", string(text))
	if err != nil {
		return q, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxQueries {
		c.known = map[string]latchward.PermissionQuery{}
	}
	c.known[string(text)] = q
	return q, nil
}
