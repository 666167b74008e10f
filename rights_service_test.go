package latchward_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

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
		"disable a writer": func() error { _, err := f.UpdateUser(ctx, writer.ID, latchward.UserUpdate{Active: &no}); return err },
		"revoke an administrator's token": func() error {
			_, err := f.RevokeToken(ctx, editor.Token.ID, latchward.Revocation{Note: "leaked"})
			return err
		},
		"make a group": func() error { _, err := f.CreateGroup(ctx, latchward.NewGroup{Name: "y"}); return err },
		"add somebody": func() error { _, err := f.CreateUser(ctx, latchward.NewUser{Name: "new"}); return err },
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

// The role of administrators is a role: naming it makes one, for who may give it, and nobody else.
func TestAdministratorByRole(t *testing.T) {
	f := newFixture(t, nil)
	made := must[*latchward.User](t)(f.CreateUser(f.ctx, latchward.NewUser{Name: "eve", Roles: []string{"administrator"}}))
	if !made.Administrator() {
		t.Errorf("the user was given %v, want the role of administrators", made.Roles)
	}
	manager := must[*latchward.User](t)(f.CreateUser(f.ctx, latchward.NewUser{Name: "bob", Roles: []string{"manager"}}))
	_, err := f.CreateUser(f.person(t, manager.ID), latchward.NewUser{Name: "mallory", Roles: []string{"administrator"}})
	f.must(t, err, latchward.CodeForbidden)
}
