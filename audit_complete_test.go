package latchward_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// bookkeeper stands between callers and the service. From what was asked and what came of it, it says which entries there
// must be.
type bookkeeper struct {
	*fixture
	t      *testing.T
	rand   *rand.Rand
	actors []latchward.Principal
	rows   int64 // that the log must have by now
	denied int
	done   int
}

// attempt is a call and the entry that it must leave when it succeeds or is denied.
type attempt struct {
	action string // or the first of several that it may turn out to be
	kind   string
	id     int64
	more   []wanted // entries before its own
	none   bool     // it changes nothing when it succeeds
	hidden bool     // not_found means that it is there, but not for the caller
	do     func(ctx context.Context) (id int64, err error)
}

type wanted struct {
	action, kind string
	id           int64
}

// bar 127: every change and every denied attempt of a principal leaves exactly one entry, of which every field is right.
func TestAuditIsComplete(t *testing.T) {
	operations := 2000
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		operations = 10_000
	}
	const seed = 1
	o := &bookkeeper{fixture: newFixture(t, nil), t: t, rand: rand.New(rand.NewPCG(seed, seed))}
	o.prepare()
	for i := range operations {
		o.advance(10 * time.Second)
		o.step(i)
		if t.Failed() {
			t.Fatalf("seed %d, operation %d", seed, i)
		}
	}
	if o.done < operations/5 || o.denied < operations/5 {
		t.Errorf("only %d changes and %d denials of %d attempts", o.done, o.denied, operations)
	}
	if report, err := o.VerifyAudit(o.ctx, nil); err != nil || report.Bad != nil || report.Entries != o.rows {
		t.Errorf("%d entries, report %+v, error %v", o.rows, report, err)
	}
}

func (o *bookkeeper) prepare() {
	holds := func(id int64, name string, permissions ...string) latchward.Principal {
		return latchward.Principal{
			Type: latchward.PrincipalUser, ID: id, Name: name,
			Rights: latchward.NewRights(latchward.RightsFacts{Permissions: permissions, Reserved: true}),
			Origin: latchward.Origin{Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(id)}), UserAgent: "agent of " + name,
				RequestID: fmt.Sprintf("request-%d", id)},
		}
	}
	for i := range 6 {
		_, err := o.CreateUser(o.ctx, latchward.NewUser{Name: fmt.Sprintf("user %d", i)})
		o.must(err)
	}
	admin := holds(1, "admin")
	admin.Administrator = true
	acting := o.create(o.t, latchward.NewToken{Kind: latchward.KindService, Permissions: []string{"tokens.create"}})
	robot := holds(int64(acting.Token.ID), "robot", "tokens.create", "tokens.revoke", "docs.*")
	robot.Type = latchward.PrincipalToken
	o.actors = []latchward.Principal{
		admin, holds(2, "manager", "users.*", "groups.*", "tokens.*", "docs.*"), holds(3, "auditor", "audit.*"),
		holds(4, "keeper", "roles.*", "permissions.*", "licenses.*", "keys.*", "docs.*"), holds(5, "member", "docs.read"), robot,
	}
	o.rows = int64(len(o.log(0)))
}

func (o *bookkeeper) must(err error) {
	if o.t.Helper(); err != nil {
		o.t.Fatal(err)
	}
}

// log returns the entries behind one, the oldest first.
func (o *bookkeeper) log(after int64) []*latchward.AuditEntry {
	entries, err := o.store.AuditEntries(o.ctx, latchward.AuditFilter{After: after, Oldest: true})
	o.must(err)
	return entries
}

func (o *bookkeeper) step(i int) {
	p := o.actors[o.rand.IntN(len(o.actors))]
	a := o.attempt(p, i)
	id, err := a.do(latchward.WithPrincipal(context.Background(), p))
	var want []wanted
	outcome := latchward.OutcomeDone
	switch code := latchward.ErrorCode(err); {
	case err == nil && a.none:
	case err == nil:
		want = append(a.more, wanted{a.action, a.kind, max(a.id, id)})
		o.done++
	case code == latchward.CodeForbidden, code == latchward.CodeNotFound && a.hidden:
		want, outcome = []wanted{{a.action, a.kind, a.id}}, latchward.OutcomeDenied
		o.denied++
	case code != latchward.CodeInvalid && code != latchward.CodeConflict && code != latchward.CodeNotFound:
		o.t.Fatalf("%s by %s: %v", a.action, p.Name, err)
	}
	what := fmt.Sprintf("%s of %s %d by %s (%v)", a.action, a.kind, a.id, p.Name, err)
	o.compare(what, p, want, outcome, o.log(o.rows))
	o.rows += int64(len(want))
}

func (o *bookkeeper) compare(
	what string, p latchward.Principal, want []wanted, outcome latchward.AuditOutcome, got []*latchward.AuditEntry,
) {
	if len(got) != len(want) {
		o.t.Errorf("%s left %d entries, want %d", what, len(got), len(want))
		return
	}
	for i, e := range got {
		w, a := want[i], &e.Actor
		action := e.Action
		if outcome == latchward.OutcomeDone && strings.HasSuffix(w.action, ".update") { // which has better names for some
			verb := action[strings.IndexByte(action, '.'):]
			if slices.Contains([]string{".enable", ".disable", ".create"}, verb) {
				action = w.action
			}
		}
		if action != w.action || e.TargetType != w.kind || e.TargetID != w.id || e.Outcome != outcome {
			o.t.Errorf("%s left %s %s of %s %d, want %+v", what, e.Outcome, e.Action, e.TargetType, e.TargetID, w)
		}
		if a.Type != p.Type || a.ID != p.ID || a.Name != p.Name || a.Origin != p.Origin {
			o.t.Errorf("%s was done by %+v, want %+v", what, *a, p)
		}
		if now := o.clock(); !e.At.Equal(now) || e.ID != o.rows+int64(i)+1 {
			o.t.Errorf("%s left entry %d of %v, want %d of %v", what, e.ID, e.At, o.rows+int64(i)+1, now)
		}
		if outcome == latchward.OutcomeDenied && e.After["reason"] == "" {
			o.t.Errorf("%s does not say why it was denied: %v", what, e.After)
		}
	}
}

// attempt draws one of all the changes there are.
func (o *bookkeeper) attempt(p latchward.Principal, i int) attempt {
	name := fmt.Sprintf("n%d", i)
	makers := map[string]func(name string) attempt{
		"tokens": func(name string) attempt { return o.tokens(p, name) }, "users": o.users, "roles": o.roles, "groups": o.groups,
		"licenses": o.licenses, "permissions": o.permissions, "keys and exports": o.others,
	}
	return makers[pick(o, slices.Sorted(maps.Keys(makers)))](name)
}

func pick[T any](o *bookkeeper, list []T) T { return list[o.rand.IntN(len(list))] }

func (o *bookkeeper) tokens(p latchward.Principal, name string) attempt {
	if o.rand.IntN(3) == 0 {
		owner := latchward.Owner{Type: latchward.OwnerUser, ID: 1 + o.rand.Int64N(6)}
		n := latchward.NewToken{Name: name, Owner: &owner, Kind: latchward.KindService, Permissions: []string{"docs.read"}}
		return attempt{action: "token.create", kind: "token", do: func(ctx context.Context) (int64, error) {
			issued, err := o.CreateToken(ctx, n)
			if err != nil {
				return 0, err
			}
			return int64(issued.Token.ID), nil
		}}
	}
	id := 2 + o.rand.Int64N(40)
	t, err := o.store.Token(o.ctx, latchward.TokenID(id))
	a := attempt{kind: "token", id: id, hidden: err == nil}
	active := o.rand.IntN(2) == 0
	calls := map[string]func(ctx context.Context) error{
		"token.update": func(ctx context.Context) error {
			_, err := o.UpdateToken(ctx, tokenID(id), latchward.TokenUpdate{Active: &active, Description: &name})
			return err
		},
		"token.rotate": func(ctx context.Context) error {
			_, err := o.RotateToken(ctx, tokenID(id), latchward.Rotation{})
			return err
		},
		"token.revoke": func(ctx context.Context) error {
			_, err := o.RevokeToken(ctx, tokenID(id), latchward.Revocation{})
			return err
		},
		"token.delete": func(ctx context.Context) error { return o.DeleteToken(ctx, tokenID(id)) },
	}
	a.action = pick(o, slices.Sorted(maps.Keys(calls)))
	a.none = a.action == "token.revoke" && t != nil && t.Revoked()
	return a.calling(calls[a.action])
}

func tokenID(id int64) latchward.TokenID { return latchward.TokenID(id) }

// calling completes an attempt that makes nothing.
func (a attempt) calling(f func(ctx context.Context) error) attempt {
	a.do = func(ctx context.Context) (int64, error) { return 0, f(ctx) }
	return a
}

func (o *bookkeeper) users(name string) attempt {
	switch id := 7 + o.rand.Int64N(30); o.rand.IntN(4) {
	case 0, 1:
		return attempt{action: "user.create", kind: "user", do: func(ctx context.Context) (int64, error) {
			u, err := o.CreateUser(ctx, latchward.NewUser{Name: name})
			if err != nil {
				return 0, err
			}
			return int64(u.ID), nil
		}}
	case 2:
		active := o.rand.IntN(2) == 0
		return attempt{action: "user.update", kind: "user", id: id}.calling(func(ctx context.Context) error {
			_, err := o.UpdateUser(ctx, latchward.UserID(id), latchward.UserUpdate{Name: &name, Active: &active})
			return err
		})
	default:
		a := attempt{action: "user.remove", kind: "user", id: id}
		owned, err := o.store.Tokens(o.ctx, latchward.TokenFilter{Owners: []latchward.Owner{{Type: latchward.OwnerUser, ID: id}}})
		o.must(err)
		for _, t := range owned {
			if !t.Revoked() {
				a.more = append(a.more, wanted{"token.revoke", "token", int64(t.ID)})
			}
		}
		return a.calling(func(ctx context.Context) error { return o.RemoveUser(ctx, latchward.UserID(id)) })
	}
}

func (o *bookkeeper) roles(name string) attempt {
	id := 1 + o.rand.Int64N(20)
	switch o.rand.IntN(3) {
	case 0:
		return attempt{action: "role.create", kind: "role", do: func(ctx context.Context) (int64, error) {
			r, err := o.CreateRole(ctx, latchward.NewRole{Name: name, Permissions: []string{"docs.read"}})
			if err != nil {
				return 0, err
			}
			return int64(r.ID), nil
		}}
	case 1:
		return attempt{action: "role.update", kind: "role", id: id}.calling(func(ctx context.Context) error {
			_, err := o.UpdateRole(ctx, latchward.RoleID(id), latchward.RoleUpdate{Title: &name})
			return err
		})
	default:
		return attempt{action: "role.delete", kind: "role", id: id}.calling(func(ctx context.Context) error {
			return o.DeleteRole(ctx, latchward.RoleID(id))
		})
	}
}

func (o *bookkeeper) groups(name string) attempt {
	id := 1 + o.rand.Int64N(20)
	switch o.rand.IntN(3) {
	case 0:
		return attempt{action: "group.create", kind: "group", do: func(ctx context.Context) (int64, error) {
			g, err := o.CreateGroup(ctx, latchward.NewGroup{Name: name})
			if err != nil {
				return 0, err
			}
			return int64(g.ID), nil
		}}
	case 1:
		active := o.rand.IntN(2) == 0
		return attempt{action: "group.update", kind: "group", id: id}.calling(func(ctx context.Context) error {
			_, err := o.UpdateGroup(ctx, latchward.GroupID(id), latchward.GroupUpdate{Active: &active})
			return err
		})
	default:
		return attempt{action: "group.remove", kind: "group", id: id}.calling(func(ctx context.Context) error {
			return o.RemoveGroup(ctx, latchward.GroupID(id))
		})
	}
}

func (o *bookkeeper) licenses(name string) attempt {
	id := 1 + o.rand.Int64N(20)
	switch o.rand.IntN(3) {
	case 0:
		return attempt{action: "license.create", kind: "license", do: func(ctx context.Context) (int64, error) {
			l, err := o.CreateLicense(ctx, latchward.NewLicense{Name: name})
			if err != nil {
				return 0, err
			}
			return int64(l.ID), nil
		}}
	case 1:
		return attempt{action: "license.update", kind: "license", id: id}.calling(func(ctx context.Context) error {
			_, err := o.UpdateLicense(ctx, latchward.LicenseID(id), latchward.LicenseUpdate{Title: &name})
			return err
		})
	default:
		return attempt{action: "license.delete", kind: "license", id: id}.calling(func(ctx context.Context) error {
			return o.DeleteLicense(ctx, latchward.LicenseID(id))
		})
	}
}

func (o *bookkeeper) permissions(string) attempt {
	permission := fmt.Sprintf("books.p%d", o.rand.IntN(20))
	if o.rand.IntN(2) == 0 {
		return attempt{action: "permission.update", kind: "permission"}.calling(func(ctx context.Context) error {
			_, err := o.SavePermission(ctx, latchward.Permission{Name: permission})
			return err
		})
	}
	return attempt{action: "permission.delete", kind: "permission"}.calling(func(ctx context.Context) error {
		return o.DeletePermission(ctx, permission)
	})
}

func (o *bookkeeper) others(string) attempt {
	ring, versions := o.Keys(), o.Keys().Versions()
	oldest := versions[0].Version
	switch {
	case o.rand.IntN(2) == 0:
		return attempt{action: "audit.export", kind: "audit"}.calling(func(ctx context.Context) error {
			_, err := o.ExportAudit(ctx, latchward.AuditFilter{})
			return err
		})
	case len(versions) > 3 && !versions[0].Current:
		next, err := ring.Drop(oldest)
		o.must(err)
		return attempt{action: "key.drop", kind: "key", id: int64(oldest)}.calling(func(ctx context.Context) error {
			return o.UseKeys(ctx, next)
		})
	default:
		next, err := ring.Rotate(latchtest.Seeded(byte(o.rand.Int())), o.clock())
		o.must(err)
		return attempt{action: "key.rotate", kind: "key", id: int64(next.Current())}.calling(func(ctx context.Context) error {
			return o.UseKeys(ctx, next)
		})
	}
}
