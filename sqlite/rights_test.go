package sqlite

import (
	"reflect"
	"slices"
	"testing"

	"github.com/latchward/latchward"
)

// The roles that the schema begins with are those that the program knows.
func TestBuiltInRoles(t *testing.T) {
	s := open(t, newPath(t), Options{})
	got, err := s.Roles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := latchward.BuiltInRoles()
	if len(got) != len(want) {
		t.Fatalf("there are %d roles, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("the role is %+v, want %+v", *got[i], *want[i])
		}
	}
}

// bar 75: what an earlier version has written is there after the upgrade; who was an administrator has the role.
func TestUpgradeToRights(t *testing.T) {
	path := newPath(t)
	makeSchema(t, path, 1, `
		INSERT INTO users (id, external_id, name, administrator, active, created_at, updated_at)
			VALUES (7, 'ada', 'Ada', 1, 1, 1000, 2000), (8, NULL, 'Bob', 0, 1, 3000, 4000);
		INSERT INTO api_tokens (id, name, token, key_id, token_prefix, user_id, kind, permissions, created_at, updated_at)
			VALUES (5, 'Sensor', format('%048d', 5), '10000000005', 'lw_10000000', 8, 'service', '["a.b"]', 1000, 2000);
		INSERT INTO usage_subject (token_id, name, user_id) VALUES (4, 'Gone', 8);`)
	s := open(t, path, Options{})
	ada, err := s.User(t.Context(), 7)
	if err != nil || !ada.Administrator() || ada.ExternalID != "ada" || ada.UpdatedAt.UnixMilli() != 2000 {
		t.Errorf("the administrator became %+v, error %v", ada, err)
	}
	bob, err := s.User(t.Context(), 8)
	if err != nil || len(bob.Roles) != 0 || bob.Name != "Bob" {
		t.Errorf("the user became %+v, error %v", bob, err)
	}
	token, err := s.Token(t.Context(), 5)
	want := latchward.Owner{Type: latchward.OwnerUser, ID: 8, Name: "Bob"}
	if err != nil || token.Owner != want || !slices.Equal(token.Permissions, []string{"a.b"}) {
		t.Errorf("the token became %+v, error %v", token, err)
	}
	if next := addUser(t, s); next.ID != 9 {
		t.Errorf("the next user got the id %d, want 9", next.ID)
	}
}

// makeSchema makes a database as a version had it that knew fewer migrations, and runs statements on it.
func makeSchema(t *testing.T, path string, version int64, statements string) {
	t.Helper()
	db, err := openDatabase(path, nil, 1, writerConnection...)
	if err != nil {
		t.Fatal(err)
	}
	provider, err := newProvider(db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// What refers to nothing would count for nothing, and for something else if an id were ever used twice.
func TestNoHoldingIsLeft(t *testing.T) {
	s := open(t, newPath(t), Options{})
	role, group := &latchward.Role{Name: "r"}, &latchward.Group{Name: "g", Active: true}
	license := &latchward.License{Name: "l"}
	owner := addUser(t, s)
	token := newToken(owner, 1)
	_, err := s.Tx(t.Context(), func(tx latchward.Tx) error {
		for _, save := range []func() error{
			func() error { return tx.SaveRole(role) },
			func() error { return tx.SaveLicense(license) },
			func() error { group.Roles = []latchward.RoleID{role.ID}; return tx.SaveGroup(group) },
			func() error {
				token.Roles, token.Groups = []latchward.RoleID{role.ID}, []latchward.GroupID{group.ID}
				token.Licenses = []latchward.LicenseID{license.ID}
				return tx.SaveToken(token)
			},
		} {
			if err := save(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		do   func(tx latchward.Tx) error
		left []string
	}{
		{"all were saved", func(latchward.Tx) error { return nil },
			[]string{"group role", "token group", "token license", "token role"}},
		{"the role was deleted", func(tx latchward.Tx) error { return tx.DeleteRole(role.ID) },
			[]string{"token group", "token license"}},
		{"the token was deleted", func(tx latchward.Tx) error { return tx.DeleteToken(token.ID) }, nil},
	} {
		if _, err := s.Tx(t.Context(), c.do); err != nil {
			t.Fatal(err)
		}
		got, err := collect(t.Context(), s.reads, scalar[string],
			`SELECT holder_type || ' ' || kind FROM holdings ORDER BY 1`)
		if err != nil || !slices.Equal(got, c.left) {
			t.Errorf("after %s there is %q, error %v, want %q", c.what, got, err, c.left)
		}
	}
}
