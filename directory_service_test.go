package latchward_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// directory returns a context in which a service token acts as directories do, with what it was granted.
func (f *fixture) directory(t *testing.T, roles []string, permissions ...string) context.Context {
	t.Helper()
	issued := f.create(t, latchward.NewToken{Kind: latchward.KindService, Permissions: permissions, Roles: roles})
	v, err := f.Verify(f.ctx, latchward.VerifyRequest{Secret: issued.Secret, Rights: true})
	f.must(t, err, "")
	return latchward.WithPrincipal(context.Background(), latchward.Principal{
		Type: latchward.PrincipalToken, ID: int64(v.Token.ID), Name: v.Token.Name, Rights: v.Rights,
	})
}

func (f *fixture) user(t *testing.T, n latchward.NewUser) *latchward.User {
	t.Helper()
	return must[*latchward.User](t)(f.CreateUser(f.ctx, n))
}

// B-18, X-08: a service token that was granted permissions over users and groups by their names manages those, and
// nothing else does: neither the wildcard nor a personal token.
func TestServiceTokensManagePeople(t *testing.T) {
	f := newFixture(t, nil)
	bob := f.user(t, latchward.NewUser{Name: "bob"})
	wildcard, full := f.directory(t, nil, "*"), f.directory(t, nil, "users.*", "groups.*")
	name := "Robert"
	for what, call := range map[string]func(ctx context.Context) error{
		"create a user": func(ctx context.Context) error {
			_, err := f.CreateUser(ctx, latchward.NewUser{Name: "new"})
			return err
		},
		"list users":  func(ctx context.Context) error { _, err := f.Users(ctx, latchward.UserFilter{}); return err },
		"count users": func(ctx context.Context) error { _, err := f.CountUsers(ctx, latchward.UserFilter{}); return err },
		"read a user": func(ctx context.Context) error { _, err := f.User(ctx, bob.ID); return err },
		"change a user": func(ctx context.Context) error {
			_, err := f.UpdateUser(ctx, bob.ID, latchward.UserUpdate{Name: &name})
			return err
		},
		"create a group": func(ctx context.Context) error {
			_, err := f.CreateGroup(ctx, latchward.NewGroup{Name: "made"})
			return err
		},
		"list groups":  func(ctx context.Context) error { _, err := f.Groups(ctx, latchward.GroupFilter{}); return err },
		"list members": func(ctx context.Context) error { _, err := f.Members(ctx, 1); return err },
	} {
		f.must(t, call(wildcard), latchward.CodeForbidden)
		if err := call(full); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := f.CreateRole(full, latchward.NewRole{Name: "made"})
	f.must(t, err, latchward.CodeForbidden)
}

// bar 104: nobody becomes a member of a group whose roles the caller does not cover, nor is anybody with more rights
// than the caller changed, and then nothing at all has happened.
func TestMembersNeedCover(t *testing.T) {
	f := newFixture(t, nil)
	must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{Name: "editor", Permissions: []string{"pages.write"}}))
	press := must[*latchward.Group](t)(f.CreateGroup(f.ctx, latchward.NewGroup{Name: "press", Roles: []string{"editor"}}))
	bare := must[*latchward.Group](t)(f.CreateGroup(f.ctx, latchward.NewGroup{Name: "bare"}))
	ada, bob := f.user(t, latchward.NewUser{Name: "ada"}), f.user(t, latchward.NewUser{Name: "bob"})
	root := f.user(t, latchward.NewUser{Name: "root", Administrator: true})
	plain, covers := f.directory(t, nil, "users.*", "groups.*"), f.directory(t, []string{"editor"}, "users.*", "groups.*")

	join := func(ctx context.Context, g *latchward.Group, users ...latchward.UserID) error {
		_, err := f.UpdateGroup(ctx, g.ID, latchward.GroupUpdate{Join: users})
		return err
	}
	f.must(t, join(plain, press, ada.ID), latchward.CodeForbidden)
	f.must(t, join(plain, bare, ada.ID, root.ID), latchward.CodeForbidden)
	f.must(t, join(f.directory(t, nil, "groups.*"), bare, ada.ID), latchward.CodeForbidden)
	f.must(t, join(covers, bare, ada.ID, 4711), latchward.CodeInvalid)
	if ids := must[[]latchward.UserID](t)(f.Members(f.ctx, bare.ID)); len(ids) != 0 {
		t.Errorf("a refused change made %v members", ids)
	}
	f.must(t, join(covers, press, ada.ID, bob.ID), "")
	f.must(t, join(covers, press, ada.ID), "") // is one already
	if ids := must[[]latchward.UserID](t)(f.Members(f.ctx, press.ID)); !slices.Equal(ids, []latchward.UserID{ada.ID,
		bob.ID}) {
		t.Errorf("members %v", ids)
	}
	_, err := f.UpdateGroup(plain, press.ID, latchward.GroupUpdate{Leave: []latchward.UserID{ada.ID}}) // takes, gives nothing
	f.must(t, err, "")
	all := []latchward.UserID{ada.ID}
	_, err = f.UpdateGroup(plain, press.ID, latchward.GroupUpdate{Members: &all})
	f.must(t, err, latchward.CodeForbidden)
	_, err = f.UpdateGroup(covers, press.ID, latchward.GroupUpdate{Members: &all, Join: all,
		Leave: []latchward.UserID{root.ID}})
	f.must(t, err, "")
	if ids := must[[]latchward.UserID](t)(f.Members(f.ctx, press.ID)); !slices.Equal(ids, all) {
		t.Errorf("members %v, want ada alone", ids)
	}
}

// S5-05: a change of members is an entry for each user, and what their tokens may do changes at once.
func TestMembersChangeRights(t *testing.T) {
	f := newFixture(t, nil)
	must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{Name: "editor", Permissions: []string{"pages.write"}}))
	ada := f.user(t, latchward.NewUser{Name: "ada"})
	secret := f.create(t, latchward.NewToken{Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(ada.ID)}}).Secret
	if f.holds(t, secret, "pages.write") {
		t.Fatal("holds too much")
	}
	press := must[*latchward.Group](t)(f.CreateGroup(f.ctx, latchward.NewGroup{
		Name: "press", Roles: []string{"editor"}, Members: []latchward.UserID{ada.ID},
	}))
	if !f.holds(t, secret, "pages.write") {
		t.Error("a new member does not hold what the group's role grants")
	}
	before := len(f.entries(t, latchward.AuditFilter{}))
	none := []latchward.UserID{}
	changed := must[*latchward.Group](t)(f.UpdateGroup(f.ctx, press.ID, latchward.GroupUpdate{Members: &none}))
	if f.holds(t, secret, "pages.write") {
		t.Error("a former member holds what the group's role grants")
	}
	newest := f.entries(t, latchward.AuditFilter{})
	if len(newest) != before+1 || newest[0].Action != latchward.ActionUserUpdate || newest[0].TargetID != int64(ada.ID) {
		t.Errorf("%d new entries, the newest %s of %d", len(newest)-before, newest[0].Action, newest[0].TargetID)
	}
	if changed.Revision() != press.Revision() {
		t.Error("a change of members alone changed the group itself")
	}
}

// bar 109: whoever saw other members changes nothing.
func TestMembersNeedTheirRevision(t *testing.T) {
	f := newFixture(t, nil)
	ada, bob := f.user(t, latchward.NewUser{Name: "ada"}), f.user(t, latchward.NewUser{Name: "bob"})
	g := must[*latchward.Group](t)(f.CreateGroup(f.ctx, latchward.NewGroup{Name: "press",
		Members: []latchward.UserID{ada.ID}}))
	seen := []string{g.RevisionWith([]latchward.UserID{ada.ID})}
	all := []latchward.UserID{bob.ID}
	must[*latchward.Group](t)(f.UpdateGroup(f.ctx, g.ID, latchward.GroupUpdate{Members: &all, Revisions: seen}))
	none := []latchward.UserID{}
	_, err := f.UpdateGroup(f.ctx, g.ID, latchward.GroupUpdate{Members: &none, Revisions: seen})
	if !errors.Is(err, latchward.ErrChanged) {
		t.Errorf("error %v, want ErrChanged", err)
	}
	must[*latchward.Group](t)(f.UpdateGroup(f.ctx, g.ID, latchward.GroupUpdate{Members: &none,
		Revisions: []string{g.Revision()}}))
	many := make([]latchward.UserID, latchward.MaxMemberChanges+1)
	_, err = f.UpdateGroup(f.ctx, g.ID, latchward.GroupUpdate{Leave: many})
	f.must(t, err, latchward.CodeInvalid)
}

// B-18: what a directory calls somebody is theirs alone, leaves with them, and is not changed by whoever holds less.
func TestDirectoryEntries(t *testing.T) {
	f := newFixture(t, nil)
	ctx := f.directory(t, nil, "users.*")
	ada := must[*latchward.User](t)(f.CreateUser(ctx, latchward.NewUser{
		Directory: latchward.DirectoryEntry{UserName: "ada@example.com", ID: "00u1"}, Disabled: true,
	}))
	if ada.Active || ada.DisplayName() != "ada@example.com" {
		t.Errorf("created %+v", ada)
	}
	_, err := f.CreateUser(ctx, latchward.NewUser{Directory: latchward.DirectoryEntry{UserName: "ADA@example.com"}})
	if latchward.ErrorCode(err) != latchward.CodeConflict || latchward.ErrorField(err) != "user_name" {
		t.Errorf("error %v", err)
	}
	root := f.user(t, latchward.NewUser{Name: "root", Roles: []string{"auditor"}})
	entry := latchward.DirectoryEntry{UserName: "mallory"}
	_, err = f.UpdateUser(ctx, root.ID, latchward.UserUpdate{Directory: &entry})
	f.must(t, err, latchward.CodeForbidden)
	must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{Name: "editor", Permissions: []string{"pages.write"}}))
	editor := f.user(t, latchward.NewUser{Name: "editor", Roles: []string{"editor"}})
	_, err = f.UpdateUser(ctx, editor.ID, latchward.UserUpdate{Directory: &entry}) // whoever is mallory there would be editor here
	f.must(t, err, latchward.CodeForbidden)
	name := latchward.DirectoryEntry{GivenName: "Ed"}
	_, err = f.UpdateUser(ctx, editor.ID, latchward.UserUpdate{Directory: &name})
	f.must(t, err, "")
	long := latchward.DirectoryEntry{UserName: string(make([]byte, latchward.MaxExternalIDLength+1))}
	_, err = f.UpdateUser(ctx, ada.ID, latchward.UserUpdate{Directory: &long})
	f.must(t, err, latchward.CodeInvalid)
	f.must(t, f.RemoveUser(ctx, ada.ID), "")
	gone := must[*latchward.User](t)(f.User(f.ctx, ada.ID))
	if gone.Directory != (latchward.DirectoryEntry{}) {
		t.Errorf("of a removed user stays %+v", gone.Directory)
	}
	for _, e := range f.entries(t, latchward.AuditFilter{TargetType: "user", TargetID: int64(ada.ID)}) {
		for _, member := range []string{"user_name", "directory_id", "given_name", "family_name"} {
			if _, ok := e.After[member]; ok {
				t.Errorf("entry %d still tells the %s of a removed user", e.ID, member)
			}
		}
	}
	f.advance(time.Second)
	f.user(t, latchward.NewUser{Directory: latchward.DirectoryEntry{UserName: "ada@example.com", ID: "00u1"}})
	if report := f.intact(t); report.Bad != nil {
		t.Errorf("the log is not whole: %+v", report)
	}
}

// B-18, S3-07: somebody whom a directory announced signs in at its provider to the account that the directory ends, and
// nobody signs in to an account by a subject that the directory did not tell.
func TestAnnouncedPeopleSignIn(t *testing.T) {
	f := newFixture(t, nil)
	ada := f.user(t, latchward.NewUser{ExternalID: "00u1", Directory: latchward.DirectoryEntry{UserName: "ada",
		ID: "00u1"}})
	host := f.user(t, latchward.NewUser{ExternalID: "7", Directory: latchward.DirectoryEntry{UserName: "bob", ID: "00u2"}})
	signIn := func(subject string) (*latchward.SignedIn, error) {
		return f.SignInIdentity(f.ctx, latchward.IdentitySignIn{
			Identity: latchward.LinkedIdentity{Issuer: "https://id.example.com", Subject: subject}, Name: subject, Create: true,
		})
	}
	for range 2 {
		in := must[*latchward.SignedIn](t)(signIn("00u1"))
		if in.Session.UserID != ada.ID {
			t.Errorf("signed in as user %d, want %d", in.Session.UserID, ada.ID)
		}
	}
	if links := f.entries(t, latchward.AuditFilter{Action: latchward.ActionIdentityLink}); len(links) != 1 {
		t.Errorf("%d entries about links, want 1", len(links))
	}
	for _, subject := range []string{"7", "00u2"} { // a sub of the host application's, and one that the user does not have
		if in := must[*latchward.SignedIn](t)(signIn(subject)); in.Session.UserID == host.ID {
			t.Errorf("the subject %s signs in to an account that it was not announced for", subject)
		}
	}
	off := false
	eve := f.user(t, latchward.NewUser{ExternalID: "00u3", Directory: latchward.DirectoryEntry{UserName: "00u3"}})
	must[*latchward.User](t)(f.UpdateUser(f.ctx, eve.ID, latchward.UserUpdate{Active: &off}))
	if _, err := signIn("00u3"); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
		t.Errorf("error %v of somebody who is disabled", err)
	}
	must[*latchward.User](t)(f.UpdateUser(f.ctx, ada.ID, latchward.UserUpdate{Active: &off}))
	if _, err := signIn("00u1"); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
		t.Errorf("error %v of somebody who was disabled", err)
	}
}
