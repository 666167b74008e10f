package latchward_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// exported returns copies of all audit entries, the oldest first, and the newest as it is now.
func (f *fixture) exported(t *testing.T) ([]*latchward.AuditEntry, latchward.AuditHead) {
	t.Helper()
	entries := must[[]*latchward.AuditEntry](t)(f.store.AuditEntries(f.ctx, latchward.AuditFilter{Oldest: true}))
	if len(entries) == 0 {
		return nil, latchward.AuditHead{}
	}
	newest := entries[len(entries)-1]
	return entries, latchward.AuditHead{ID: newest.ID, Hash: newest.Proof.Hash}
}

func sequence(entries []*latchward.AuditEntry) iter.Seq2[*latchward.AuditEntry, error] {
	return func(yield func(*latchward.AuditEntry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// bar 134: an export tells which tokens, users and groups must not come back as they were; what only grew, or changed
// otherwise, may.
func TestAuditSince(t *testing.T) {
	f := newFixture(t, nil)
	at := func(d time.Duration) *time.Time { at := f.clock().Add(d); return &at }
	yes, no, seven, none := true, false, int64(7), time.Time{}
	update := func(u latchward.TokenUpdate) func(latchward.TokenID) error {
		return func(id latchward.TokenID) error { _, err := f.UpdateToken(f.ctx, id, u); return err }
	}
	changes := []struct {
		what   string
		do     func(latchward.TokenID) error
		revoke bool
	}{
		{"nothing", func(latchward.TokenID) error { return nil }, false},
		{"limit", update(latchward.TokenUpdate{RateLimit: &seven}), false},
		{"disable", update(latchward.TokenUpdate{Active: &no}), true},
		{"expire earlier", update(latchward.TokenUpdate{ExpiresAt: at(time.Hour)}), true},
		{"expire later", update(latchward.TokenUpdate{ExpiresAt: at(1000 * time.Hour)}), false},
		{"expire never", update(latchward.TokenUpdate{ExpiresAt: &none}), false},
		{"begin later", update(latchward.TokenUpdate{NotBefore: at(time.Hour)}), true},
		{"rotate", func(id latchward.TokenID) error {
			_, err := f.RotateToken(f.ctx, id, latchward.Rotation{Grace: time.Hour})
			return err
		}, true},
		{"revoke", func(id latchward.TokenID) error {
			_, err := f.RevokeToken(f.ctx, id, latchward.Revocation{})
			return err
		}, true},
		{"delete", func(id latchward.TokenID) error { return f.DeleteToken(f.ctx, id) }, true},
	}
	var tokens []latchward.IssuedToken
	for range changes {
		tokens = append(tokens, f.create(t, latchward.NewToken{ExpiresAt: f.clock().Add(100 * time.Hour)}))
	}
	var users []latchward.UserID
	for i := range 3 {
		users = append(users, must[*latchward.User](t)(f.CreateUser(f.ctx, latchward.NewUser{Name: fmt.Sprint(i)})).ID)
	}
	group := must[*latchward.Group](t)(f.CreateGroup(f.ctx, latchward.NewGroup{Name: "ops"}))
	_, backup := f.exported(t)
	backed := f.copied(t)
	var want []latchward.TokenID
	for i, c := range changes {
		f.must(t, c.do(tokens[i].Token.ID), "")
		if c.revoke {
			want = append(want, tokens[i].Token.ID)
		}
	}
	for _, active := range []*bool{&no, &yes} { // and back
		must[*latchward.User](t)(f.UpdateUser(f.ctx, users[0], latchward.UserUpdate{Active: active}))
	}
	must[*latchward.User](t)(f.UpdateUser(f.ctx, users[1], latchward.UserUpdate{Active: &no}))
	f.must(t, f.RemoveUser(f.ctx, users[2]), "")
	must[*latchward.Group](t)(f.UpdateGroup(f.ctx, group.ID, latchward.GroupUpdate{Active: &no}))
	export, newest := f.exported(t)

	since, err := backed.AuditSince(f.ctx, backup, sequence(export))
	f.must(t, err, "")
	if !slices.Equal(since.Tokens, want) || !slices.Equal(since.Users, users[1:]) || !slices.Equal(since.Groups, []latchward.GroupID{group.ID}) {
		t.Errorf("tokens %v, want %v; users %v, groups %v", since.Tokens, want, since.Users, since.Groups)
	}
	if since.Newest != newest.ID || since.Entries != newest.ID-backup.ID || since.IDs["token"] != int64(tokens[len(tokens)-1].Token.ID) {
		t.Errorf("%+v, newest is %d", since, newest.ID)
	}
	if since, err := backed.AuditSince(f.ctx, backup, sequence(export[backup.ID:])); err != nil || !slices.Equal(since.Tokens, want) {
		t.Errorf("from the backup on: %v, %v", since.Tokens, err)
	}
}

// copied returns a service over a copy of what f has now, as far as AuditSince looks.
func (f *fixture) copied(t *testing.T) *latchward.Service {
	t.Helper()
	c := newFixture(t, nil)
	_, err := c.store.Tx(c.ctx, func(tx latchward.Tx) error {
		for id := latchward.UserID(2); ; id++ {
			u, err := f.store.User(f.ctx, id)
			if latchward.ErrorCode(err) == latchward.CodeNotFound {
				break
			}
			copied := *u
			copied.ID = 0
			f.must(t, tx.SaveUser(&copied), "")
		}
		groups := must[[]*latchward.Group](t)(f.store.Groups(f.ctx, latchward.GroupFilter{}))
		for _, g := range groups {
			copied := *g
			copied.ID = 0
			f.must(t, tx.SaveGroup(&copied), "")
		}
		tokens := must[[]*latchward.Token](t)(f.store.Tokens(f.ctx, latchward.TokenFilter{}))
		slices.SortFunc(tokens, func(a, b *latchward.Token) int { return int(a.ID - b.ID) })
		for _, token := range tokens {
			copied := token.Clone()
			copied.ID = 0
			f.must(t, tx.SaveToken(copied), "")
		}
		return nil
	})
	f.must(t, err, "")
	return c.Service
}

// bar 134: whoever changes an export, leaves something out, or writes one without the server keys, is found out.
func TestAuditSinceRefuses(t *testing.T) {
	f := newFixture(t, nil)
	token := f.create(t, latchward.NewToken{})
	_, backup := f.exported(t)
	must[*latchward.Token](t)(f.RevokeToken(f.ctx, token.Token.ID, latchward.Revocation{}))
	f.create(t, latchward.NewToken{})
	for name, spoil := range map[string]func(entries []*latchward.AuditEntry, head *latchward.AuditHead) []*latchward.AuditEntry{
		"another log": func(entries []*latchward.AuditEntry, head *latchward.AuditHead) []*latchward.AuditEntry {
			head.Hash = []byte("another")
			return entries
		},
		"left out": func(entries []*latchward.AuditEntry, head *latchward.AuditHead) []*latchward.AuditEntry {
			return slices.Delete(entries, int(head.ID), int(head.ID)+1)
		},
		"changed": func(entries []*latchward.AuditEntry, head *latchward.AuditHead) []*latchward.AuditEntry {
			entries[head.ID].Action = latchward.ActionTokenUpdate
			return entries
		},
		"written without the keys": func(entries []*latchward.AuditEntry, head *latchward.AuditHead) []*latchward.AuditEntry {
			forged := &latchward.AuditEntry{At: f.clock(), Action: latchward.ActionTokenUpdate, TargetType: "token", TargetID: 1}
			f.must(t, forged.Chain(*head, latchtest.Seeded(1)), "")
			return append(entries[:head.ID], forged)
		},
	} {
		entries, _ := f.exported(t)
		head := backup
		if since, err := f.AuditSince(context.Background(), head, sequence(entries)); err != nil || since.Entries != 2 {
			t.Fatalf("as it is: %+v, %v", since, err)
		}
		entries = spoil(entries, &head)
		_, err := f.AuditSince(context.Background(), head, sequence(entries))
		if latchward.ErrorCode(err) != latchward.CodeConflict {
			t.Errorf("%s: %v", name, err)
		}
	}
}
