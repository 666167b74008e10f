package latchward_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// person returns a context in which the user acts, with what they hold now.
func (f *fixture) person(t fatal, id latchward.UserID) context.Context {
	t.Helper()
	rights, err := f.UserRights(f.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	user, err := f.User(f.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return latchward.WithPrincipal(context.Background(), latchward.Principal{
		Type: latchward.PrincipalUser, ID: int64(id), Name: user.Name, Groups: user.Groups, Rights: rights.Rights,
		Administrator: rights.Rights.HasRole("administrator"),
	})
}

// fatal is what a test and a rapid test have in common.
type fatal interface {
	Helper()
	Fatal(args ...any)
}

func must[T any](t fatal) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func (f *fixture) holds(t fatal, secret latchward.Secret, permissions ...string) bool {
	t.Helper()
	v, err := f.Verify(context.Background(), latchward.VerifyRequest{Secret: secret, Permissions: permissions, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	return v.Allowed()
}

// S5-05: a role that many tokens hold changes for all of them at once, and costs one read from the store.
func TestRoleOfManyTokensChangesAtOnce(t *testing.T) {
	const tokens = 2_000
	f := newFixture(t, func(o *latchward.Options) { o.CreationLimit = tokens })
	role := must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{Name: "editor", Permissions: []string{"pages.write"}}))
	secrets := make([]latchward.Secret, tokens)
	for i := range secrets {
		secrets[i] = f.create(t, latchward.NewToken{Kind: latchward.KindService, Roles: []string{"editor"}}).Secret
		if !f.holds(t, secrets[i], "pages.write") {
			t.Fatal("a token does not hold what its role grants")
		}
	}
	before := f.Stats().StoreReads
	grants := []string{"pages.read"}
	must[*latchward.Role](t)(f.UpdateRole(f.ctx, role.ID, latchward.RoleUpdate{Permissions: &grants}))
	for _, secret := range secrets {
		if f.holds(t, secret, "pages.write") || !f.holds(t, secret, "pages.read") {
			t.Fatal("a token holds what its role granted before")
		}
	}
	if reads := f.Stats().StoreReads - before; reads != 1 {
		t.Errorf("%d reads from the store after a change of one role, want 1", reads)
	}
}

// bar 50, 60: a change that was answered holds for every verification that begins after it, whatever is being read.
func TestRightsChangesWinUnderLoad(t *testing.T) {
	f := newFixture(t, nil)
	role := must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{Name: "editor"}))
	group := must[*latchward.Group](t)(f.CreateGroup(f.ctx, latchward.NewGroup{Name: "press", Roles: []string{"editor"}}))
	owner := must[*latchward.User](t)(f.CreateUser(f.ctx, latchward.NewUser{Name: "max", Groups: []string{"press"}}))
	secret := f.create(t, latchward.NewToken{Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(owner.ID)}}).Secret
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f.holds(t, secret, "pages.write")
				}
			}
		})
	}
	for i := range 300 {
		want := i%2 == 0
		grants := []string{}
		if want {
			grants = []string{"pages.write"}
		}
		must[*latchward.Role](t)(f.UpdateRole(f.ctx, role.ID, latchward.RoleUpdate{Permissions: &grants}))
		if f.holds(t, secret, "pages.write") != want {
			t.Fatalf("round %d: a verification does not know of a change of the role", i)
		}
		must[*latchward.Group](t)(f.UpdateGroup(f.ctx, group.ID, latchward.GroupUpdate{Active: &want}))
		if f.holds(t, secret, "pages.write") != want {
			t.Fatalf("round %d: a verification does not know of a change of the group", i)
		}
		active := true
		must[*latchward.Group](t)(f.UpdateGroup(f.ctx, group.ID, latchward.GroupUpdate{Active: &active}))
	}
	close(stop)
	readers.Wait()
}

// a license never has more holders than seats, also when many ask at once.
func TestSeatsAreNeverExceeded(t *testing.T) {
	const seats, asking = 3, 20
	f := newFixture(t, nil)
	license := must[latchward.LicenseStatus](t)(f.CreateLicense(f.ctx, latchward.NewLicense{Name: "pro", MaxSeats: seats}))
	var taken sync.WaitGroup
	results := make(chan error, asking)
	for i := range asking {
		taken.Go(func() {
			var err error
			if i%2 == 0 {
				_, err = f.CreateUser(f.ctx, latchward.NewUser{Name: fmt.Sprint("user", i), Licenses: []string{"pro"}})
			} else {
				owner := latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}
				_, err = f.CreateToken(f.ctx, latchward.NewToken{Owner: &owner, Kind: latchward.KindService, Licenses: []string{"pro"}})
			}
			results <- err
		})
	}
	taken.Wait()
	close(results)
	given := 0
	for err := range results {
		if err == nil {
			given++
		} else if latchward.ErrorCode(err) != latchward.CodeConflict || latchward.ErrorField(err) != "licenses" {
			t.Errorf("a seat was refused with %v", err)
		}
	}
	status := must[latchward.LicenseStatus](t)(f.License(f.ctx, license.ID))
	if given != seats || status.Seats != seats {
		t.Errorf("%d seats given and %d taken of %d", given, status.Seats, seats)
	}
}

// C-09, bar 104: whatever somebody creates, changes or rotates, no token of theirs holds more than they do. And bar 60:
// what they lose, their tokens lose.
func TestNobodyGivesMoreThanTheyHold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newRightsWorld(t, rt)
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			w.attempt()
		}
		w.checkTokens("after creating and changing")
		w.demote()
		w.checkTokens("after a demotion")
	})
}

// rightsWorld is a world in which people who are no administrators try to give tokens rights.
type rightsWorld struct {
	*fixture
	rt     *rapid.T
	people []latchward.UserID
	owned  []ownedToken
}

type ownedToken struct {
	id     latchward.TokenID
	maker  latchward.UserID
	owner  latchward.Owner
	secret latchward.Secret
}

var (
	grantPool = []string{
		"orders.read", "orders.write", "orders.*", "*.read", "*", "pages.read", "tokens.verify", "tokens.*", "users.update", "roles.update",
	}
	askedPool = []string{"orders.read", "orders.write", "orders.purge", "pages.read", "pages.write", "x.y", "tokens.verify", "users.update"}
	rolePool  = []string{"one", "two", "three", "manager"}
	groupPool = []string{"red", "blue"}
)

func subset(rt *rapid.T, label string, pool []string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 0, 3, rapid.ID).Draw(rt, label)
}

func newRightsWorld(t *testing.T, rt *rapid.T) *rightsWorld {
	w := &rightsWorld{fixture: newFixtureFor(t, nil), rt: rt}
	for _, name := range rolePool[:3] {
		must[*latchward.Role](rt)(w.CreateRole(w.ctx, latchward.NewRole{Name: name, Permissions: subset(rt, "role "+name, grantPool)}))
	}
	for _, name := range groupPool {
		must[*latchward.Group](rt)(w.CreateGroup(w.ctx, latchward.NewGroup{Name: name, Roles: subset(rt, "group "+name, rolePool)}))
	}
	for i := range 3 {
		user := must[*latchward.User](rt)(w.CreateUser(w.ctx, latchward.NewUser{
			Name: fmt.Sprint("person", i), Roles: subset(rt, "roles", rolePool), Groups: subset(rt, "groups", groupPool),
		}))
		w.people = append(w.people, user.ID)
	}
	return w
}

// attempt lets somebody try to make, change or rotate a token; being refused is fine.
func (w *rightsWorld) attempt() {
	maker := rapid.SampledFrom(w.people).Draw(w.rt, "maker")
	ctx := w.person(w.rt, maker)
	kind := rapid.SampledFrom([]latchward.Kind{latchward.KindPersonal, latchward.KindService}).Draw(w.rt, "kind")
	permissions := subset(w.rt, "permissions", grantPool)
	if len(w.owned) > 0 && rapid.Bool().Draw(w.rt, "change") {
		w.change(ctx, maker, permissions)
		return
	}
	n := latchward.NewToken{Kind: kind, Permissions: permissions}
	if kind == latchward.KindService {
		n.Roles, n.Groups = subset(w.rt, "roles", rolePool), subset(w.rt, "groups", groupPool)
	}
	owners := []latchward.Owner{
		{Type: latchward.OwnerUser, ID: int64(w.people[0])}, {Type: latchward.OwnerUser, ID: int64(w.people[1])},
		{Type: latchward.OwnerUser, ID: int64(maker)}, {Type: latchward.OwnerGroup, ID: 1}, {Type: latchward.OwnerGroup, ID: 2},
	}
	owner := rapid.SampledFrom(owners).Draw(w.rt, "owner")
	n.Owner = &owner
	issued, err := w.CreateToken(ctx, n)
	if err == nil {
		w.owned = append(w.owned, ownedToken{issued.Token.ID, maker, owner, issued.Secret})
		w.checkMaker(w.owned[len(w.owned)-1], maker)
		return
	}
	w.refused(err)
}

func (w *rightsWorld) change(ctx context.Context, maker latchward.UserID, permissions []string) {
	i := rapid.IntRange(0, len(w.owned)-1).Draw(w.rt, "token")
	known := &w.owned[i]
	if rapid.Bool().Draw(w.rt, "rotate") {
		issued, err := w.RotateToken(ctx, known.id, latchward.Rotation{})
		if err != nil {
			w.refused(err)
			return
		}
		known.secret, known.maker = issued.Secret, maker
		w.checkMaker(*known, maker)
		return
	}
	if rapid.Bool().Draw(w.rt, "widen") {
		permissions = nil
	}
	if _, err := w.UpdateToken(ctx, known.id, latchward.TokenUpdate{Permissions: &permissions}); err != nil {
		w.refused(err)
		return
	}
	w.checkMaker(*known, maker)
}

func (w *rightsWorld) refused(err error) {
	w.rt.Helper()
	switch latchward.ErrorCode(err) {
	case latchward.CodeForbidden, latchward.CodeNotFound, latchward.CodeInvalid:
	default:
		w.rt.Fatal(err)
	}
}

// checkMaker checks that who learnt a token's secret has not just made it hold more than they do.
func (w *rightsWorld) checkMaker(known ownedToken, actor latchward.UserID) {
	w.rt.Helper()
	for _, permission := range askedPool {
		if known.maker == actor && w.holds(w.rt, known.secret, permission) && !w.has(actor, permission) {
			w.rt.Fatalf("token %d holds %s, which user %d who knows its secret lacks", known.id, permission, actor)
		}
	}
}

// checkTokens checks that the user who owns a token holds whatever it does.
func (w *rightsWorld) checkTokens(when string) {
	w.rt.Helper()
	for _, known := range w.owned {
		for _, permission := range askedPool {
			if !w.holds(w.rt, known.secret, permission) {
				continue
			}
			if known.owner.Type == latchward.OwnerUser && !w.has(latchward.UserID(known.owner.ID), permission) {
				w.rt.Fatalf("%s: token %d holds %s, which its owner lacks", when, known.id, permission)
			}
		}
	}
}

func (w *rightsWorld) has(id latchward.UserID, permission string) bool {
	w.rt.Helper()
	rights := must[latchward.EffectiveRights](w.rt)(w.UserRights(w.ctx, id))
	return rights.Rights.Has(permission)
}

// demote takes everything from everybody.
func (w *rightsWorld) demote() {
	none := []string{}
	for _, id := range w.people {
		must[*latchward.User](w.rt)(w.UpdateUser(w.ctx, id, latchward.UserUpdate{Roles: &none, Groups: &none}))
	}
}

// S5-14: what is said about a token's rights is what verification goes by, and a second service that has remembered
// nothing agrees with the first, whatever changed before.
func TestRightsAreExplainedAsTheyAre(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newRightsWorld(t, rt)
		for i := range 4 {
			kind := []latchward.Kind{latchward.KindPersonal, latchward.KindService}[i%2]
			n := latchward.NewToken{Kind: kind, Permissions: subset(rt, "permissions", grantPool)}
			n.Owner = &latchward.Owner{Type: latchward.OwnerUser, ID: int64(w.people[i%3])}
			if kind == latchward.KindService {
				n.Roles, n.Groups = subset(rt, "roles", rolePool), subset(rt, "groups", groupPool)
			}
			issued := must[latchward.IssuedToken](rt)(w.CreateToken(w.ctx, n))
			w.owned = append(w.owned, ownedToken{id: issued.Token.ID, secret: issued.Secret})
		}
		for range rapid.IntRange(1, 5).Draw(rt, "changes") {
			w.changeSomething()
			w.compareWithAFreshService()
		}
	})
}

func (w *rightsWorld) changeSomething() {
	grants, roles, groups := subset(w.rt, "grants", grantPool), subset(w.rt, "roles", rolePool), subset(w.rt, "groups", groupPool)
	active := rapid.Bool().Draw(w.rt, "active")
	var err error
	switch rapid.IntRange(0, 4).Draw(w.rt, "what") {
	case 0:
		_, err = w.UpdateRole(w.ctx, latchward.RoleID(rapid.IntRange(4, 6).Draw(w.rt, "role")), latchward.RoleUpdate{Permissions: &grants})
	case 1:
		_, err = w.UpdateGroup(w.ctx, latchward.GroupID(rapid.IntRange(1, 2).Draw(w.rt, "group")), latchward.GroupUpdate{Roles: &roles, Active: &active})
	case 2:
		_, err = w.UpdateUser(w.ctx, w.people[0], latchward.UserUpdate{Roles: &roles, Groups: &groups})
	case 3:
		_, err = w.UpdateToken(w.ctx, w.owned[1].id, latchward.TokenUpdate{Roles: &roles, Permissions: &grants})
	case 4:
		err = w.DeleteRole(w.ctx, latchward.RoleID(rapid.IntRange(4, 6).Draw(w.rt, "role")))
		if latchward.ErrorCode(err) == latchward.CodeNotFound {
			err = nil
		}
	}
	if code := latchward.ErrorCode(err); err != nil && code != latchward.CodeNotFound && code != latchward.CodeInvalid {
		w.rt.Fatal(err)
	}
}

func (w *rightsWorld) compareWithAFreshService() {
	fresh := must[*latchward.Service](w.rt)(latchward.New(w.ctx, latchward.Options{Store: w.store, Keys: w.Keys(), Now: w.clock}))
	cold := &fixture{Service: fresh, ctx: w.ctx}
	for _, known := range w.owned {
		explained := must[latchward.EffectiveRights](w.rt)(w.TokenRights(w.ctx, known.id))
		counts := func(permission string) bool {
			return slices.ContainsFunc(explained.Permissions, func(p latchward.RightsPart) bool {
				return p.Withheld == "" && latchward.NewRights(latchward.RightsFacts{Permissions: []string{p.Name}, Reserved: true}).Has(permission)
			})
		}
		for _, permission := range askedPool {
			warm := w.holds(w.rt, known.secret, permission)
			if cold.holds(w.rt, known.secret, permission) != warm || explained.Rights.Has(permission) != warm {
				w.rt.Fatalf("token %d, %s: a service that remembers says %v", known.id, permission, warm)
			}
			if counts(permission) && !warm {
				w.rt.Fatalf("token %d does not hold %s, which its rights list without saying that it is withheld", known.id, permission)
			}
		}
	}
}

// only administrators give a token permissions over Latchward itself, whoever else holds them.
func TestReservedPermissionsTakeAnAdministrator(t *testing.T) {
	f := newFixture(t, nil)
	manager := must[*latchward.User](t)(f.CreateUser(f.ctx, latchward.NewUser{Name: "mia", Roles: []string{"manager"}}))
	must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{Name: "caller", Permissions: []string{"tokens.verify"}}))
	ctx := f.person(t, manager.ID)
	for _, n := range []latchward.NewToken{
		{Kind: latchward.KindService, Permissions: []string{"tokens.verify"}},
		{Kind: latchward.KindService, Permissions: []string{"users.*"}},
		{Kind: latchward.KindService, Roles: []string{"manager"}},
	} {
		if _, err := f.CreateToken(ctx, n); latchward.ErrorCode(err) != latchward.CodeForbidden {
			t.Errorf("a manager gave a token %v %v: %v", n.Permissions, n.Roles, err)
		}
	}
}

// bar 104: what somebody who is no administrator gives a token of somebody else shrinks with its owner.
func TestOnlyAdministratorsUnbind(t *testing.T) {
	f := newFixture(t, nil)
	must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{Name: "editor", Permissions: []string{"pages.*"}}))
	maker := must[*latchward.User](t)(f.CreateUser(f.ctx, latchward.NewUser{Name: "mia", Roles: []string{"manager", "editor"}}))
	owner := latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}
	n := latchward.NewToken{Kind: latchward.KindService, Roles: []string{"editor"}, Owner: &owner}
	bound := must[latchward.IssuedToken](t)(f.CreateToken(f.person(t, maker.ID), n))
	if bound.Token.Unbound || f.holds(t, bound.Secret, "pages.read") {
		t.Error("a manager gave a token more than its owner holds")
	}
	given := f.create(t, n)
	if !given.Token.Unbound || len(given.Warnings) == 0 || !f.holds(t, given.Secret, "pages.read") {
		t.Errorf("an administrator gave a token more than its owner holds: %+v", given)
	}
	more := []string{"pages.read"}
	if _, err := f.UpdateToken(f.person(t, maker.ID), given.Token.ID, latchward.TokenUpdate{Permissions: &more}); latchward.ErrorCode(err) != latchward.CodeForbidden {
		t.Errorf("a manager changed what an unbound token holds: %v", err)
	}
	if _, err := f.RotateToken(f.person(t, f.owner), given.Token.ID, latchward.Rotation{}); latchward.ErrorCode(err) != latchward.CodeForbidden {
		t.Errorf("an owner learnt the secret of a token that holds more than they do: %v", err)
	}
}

// A manager has power over people, but not over those who hold more.
func TestManagersStayBelowAdministrators(t *testing.T) {
	f := newFixture(t, nil)
	root := must[*latchward.User](t)(f.CreateUser(f.ctx, latchward.NewUser{Name: "root", Administrator: true}))
	editor := must[latchward.IssuedToken](t)(f.CreateToken(f.ctx, latchward.NewToken{Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(root.ID)}}))
	must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{Name: "writer", Permissions: []string{"pages.write"}}))
	writer := must[*latchward.User](t)(f.CreateUser(f.ctx, latchward.NewUser{Name: "will", Roles: []string{"writer"}}))
	manager := must[*latchward.User](t)(f.CreateUser(f.ctx, latchward.NewUser{Name: "mia", Roles: []string{"manager"}}))
	ctx := f.person(t, manager.ID)
	strange := must[*latchward.KeyRing](t)(latchward.GenerateKeyRing(latchtest.Seeded(9), f.clock()))
	no, yes, email, roles := false, true, "mia@example.com", []string{"administrator"}
	for name, do := range map[string]func() error{
		"disable an administrator": func() error { _, err := f.UpdateUser(ctx, root.ID, latchward.UserUpdate{Active: &no}); return err },
		"remove an administrator":  func() error { return f.RemoveUser(ctx, root.ID) },
		"make themselves administrator": func() error {
			_, err := f.UpdateUser(ctx, manager.ID, latchward.UserUpdate{Administrator: &yes})
			return err
		},
		"give somebody the role":          func() error { _, err := f.UpdateUser(ctx, writer.ID, latchward.UserUpdate{Roles: &roles}); return err },
		"become a writer by e-mail":       func() error { _, err := f.UpdateUser(ctx, writer.ID, latchward.UserUpdate{Email: &email}); return err },
		"rotate an administrator's token": func() error { _, err := f.RotateToken(ctx, editor.Token.ID, latchward.Rotation{}); return err },
		"make a role":                     func() error { _, err := f.CreateRole(ctx, latchward.NewRole{Name: "x"}); return err },
		"make a group with a role":        func() error { _, err := f.CreateGroup(ctx, latchward.NewGroup{Name: "x", Roles: roles}); return err },
		"read the audit log":              func() error { _, err := f.AuditEntries(ctx, latchward.AuditFilter{}); return err },
		"replace the server key":          func() error { return f.UseKeys(ctx, strange) },
	} {
		if err := do(); latchward.ErrorCode(err) != latchward.CodeForbidden {
			t.Errorf("a manager could %s: %v", name, err)
		}
	}
	for name, do := range map[string]func() error{
		"disable a writer":                func() error { _, err := f.UpdateUser(ctx, writer.ID, latchward.UserUpdate{Active: &no}); return err },
		"revoke an administrator's token": func() error { _, err := f.RevokeToken(ctx, editor.Token.ID, "leaked"); return err },
		"make a group":                    func() error { _, err := f.CreateGroup(ctx, latchward.NewGroup{Name: "y"}); return err },
		"add somebody":                    func() error { _, err := f.CreateUser(ctx, latchward.NewUser{Name: "new"}); return err },
	} {
		if err := do(); err != nil {
			t.Errorf("a manager could not %s: %v", name, err)
		}
	}
}

// slowRoles is a store whose reads of roles wait, once begun, until they are let go.
type slowRoles struct {
	latchward.Store
	slow  atomic.Bool
	read  chan struct{} // a read has its answer
	letGo chan struct{}
}

func (s *slowRoles) Role(ctx context.Context, id latchward.RoleID) (*latchward.Role, error) {
	role, err := s.Store.Role(ctx, id)
	if s.slow.CompareAndSwap(true, false) {
		s.read <- struct{}{}
		<-s.letGo
	}
	return role, err
}

// bar 50: a role that changes while it is being read is not remembered as it was.
func TestRoleChangeWinsOverFill(t *testing.T) {
	store := &slowRoles{read: make(chan struct{}), letGo: make(chan struct{})}
	f := newFixture(t, func(o *latchward.Options) { store.Store, o.Store = o.Store, store })
	role := must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{Name: "editor", Permissions: []string{"pages.write"}}))
	secret := f.create(t, latchward.NewToken{Kind: latchward.KindService, Roles: []string{"editor"}}).Secret
	store.slow.Store(true)
	first := make(chan bool)
	go func() { first <- f.holds(t, secret, "pages.write") }()
	<-store.read
	none := []string{}
	must[*latchward.Role](t)(f.UpdateRole(f.ctx, role.ID, latchward.RoleUpdate{Permissions: &none}))
	close(store.letGo)
	<-first // began before the change: either answer is right
	for range 2 {
		if f.holds(t, secret, "pages.write") {
			t.Fatal("a role is remembered as it was before a change")
		}
	}
}
