package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

var restoredAt = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// commit runs one transaction.
func commit(t *testing.T, s *Store, f func(tx latchward.Tx) error) {
	t.Helper()
	if _, err := s.Tx(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func change(t *testing.T, s *Store, id latchward.TokenID, edit func(*latchward.Token)) {
	t.Helper()
	commit(t, s, func(tx latchward.Tx) error {
		token, err := tx.Token(id)
		if err != nil {
			return err
		}
		edit(token)
		return tx.SaveToken(token)
	})
}

// moveSecret keeps an imported secret by another digest, as its use does.
func moveSecret(t *testing.T, s *Store, id latchward.TokenID, to latchward.Credential) {
	t.Helper()
	commit(t, s, func(tx latchward.Tx) error {
		token, err := tx.Token(id)
		if err != nil {
			return err
		}
		moved := latchward.ForeignSecret{KeyID: token.Secret.KeyID, TokenID: id, Became: to.KeyID}
		token.Secret = to
		return errors.Join(tx.SaveToken(token), tx.SaveForeignSecret(moved))
	})
}

// bar 134: what changed state or secret after the backup, in every way in which it can; and nothing else.
func TestRestoreComparesTokens(t *testing.T) {
	path := newPath(t)
	s := open(t, path, Options{})
	owner := addUser(t, s)
	retired := latchward.RetiringSecret{Credential: credential(1000), EndsAt: restoredAt.Add(time.Hour)}
	changes := []struct {
		name    string
		changed bool
		edit    func(id latchward.TokenID)
	}{
		{"nothing", false, func(latchward.TokenID) {}},
		{"renamed", false, func(id latchward.TokenID) { change(t, s, id, func(k *latchward.Token) { k.Name = "other" }) }},
		{"revoked", true, func(id latchward.TokenID) {
			change(t, s, id, func(k *latchward.Token) { k.RevokedAt = restoredAt })
		}},
		{"rotated", true, func(id latchward.TokenID) {
			change(t, s, id, func(k *latchward.Token) { k.Secret = credential(2000) })
		}},
		{"disabled", true, func(id latchward.TokenID) {
			change(t, s, id, func(k *latchward.Token) { k.Active = false })
		}},
		{"deleted", true, func(id latchward.TokenID) {
			commit(t, s, func(tx latchward.Tx) error { return tx.DeleteToken(id) })
		}},
		{"ends earlier", true, func(id latchward.TokenID) {
			change(t, s, id, func(k *latchward.Token) { k.ExpiresAt = restoredAt })
		}},
		{"starts later", true, func(id latchward.TokenID) {
			change(t, s, id, func(k *latchward.Token) { k.NotBefore = restoredAt })
		}},
		{"kept in another form", false, func(id latchward.TokenID) { moveSecret(t, s, id, credential(3000)) }},
		{"kept in a third form", false, func(id latchward.TokenID) {
			moveSecret(t, s, id, credential(3001))
			moveSecret(t, s, id, credential(3002))
		}},
		{"rotated in another form", true, func(id latchward.TokenID) {
			moveSecret(t, s, id, credential(3003))
			change(t, s, id, func(k *latchward.Token) { k.Secret = credential(3004) })
		}},
		{"old secret ended", true, func(id latchward.TokenID) {
			commit(t, s, func(tx latchward.Tx) error {
				return tx.RetireSecret(id, latchward.RetiringSecret{Credential: retired.Credential, EndsAt: restoredAt})
			})
		}},
	}
	ids := make([]latchward.TokenID, len(changes))
	for i := range changes {
		ids[i] = addToken(t, s, owner, i).ID
	}
	commit(t, s, func(tx latchward.Tx) error { return tx.RetireSecret(ids[len(ids)-1], retired) })
	backup := backupOf(t, path)
	var want []latchward.TokenID
	for i, c := range changes {
		if c.edit(ids[i]); c.changed {
			want = append(want, ids[i])
		}
	}
	commit(t, s, func(tx latchward.Tx) error {
		owner.Active = false
		return tx.SaveUser(owner)
	})
	for _, crashed := range []bool{true, false} {
		at := path
		if crashed { // what changed is in the log alone
			at = crashedCopy(t, path)
		} else if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := Restore(t.Context(), at, backup, restoredAt)
		if err != nil {
			t.Fatal(err)
		}
		if r.Unknown != nil || !slices.Equal(r.Since.Tokens, want) ||
			!slices.Equal(r.Since.Users, []latchward.UserID{owner.ID}) {
			t.Errorf("crashed %v: changed %+v, error %v; want tokens %v", crashed, r.Since, r.Unknown, want)
		}
		if err := r.Abandon(); err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(at + ".part*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func backupOf(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "backup")
	if _, err := Backup(t.Context(), path, to, nil); err != nil {
		t.Fatal(err)
	}
	return to
}

// crashedCopy returns a copy of a database as kill -9 would leave it.
func crashedCopy(t *testing.T, path string) string {
	t.Helper()
	to := newPath(t)
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(path + suffix)
		if err == nil {
			err = os.WriteFile(to+suffix, text, privateFile)
		}
		if err != nil || len(text) == 0 {
			t.Fatalf("%d bytes of %s, error %v", len(text), path+suffix, err)
		}
	}
	return to
}

// What was restored is the database of the backup, with new ids behind those that were given since; what was replaced
// is beside it, whole and private.
func TestRestoreReplaces(t *testing.T) {
	path := newPath(t)
	s := open(t, path, Options{})
	owner := addUser(t, s)
	first := addToken(t, s, owner, 1)
	backup := backupOf(t, path)
	last := addToken(t, s, owner, 2)
	if _, err := Restore(t.Context(), path, backup, restoredAt); latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Fatalf("while it is open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Restore(t.Context(), path, backup, restoredAt)
	if err != nil {
		t.Fatal(err)
	}
	aside, err := r.Finish()
	if err != nil || !strings.HasSuffix(aside, ".replaced-20300131T120000.000Z") {
		t.Fatalf("%s, error %v", aside, err)
	}
	for _, file := range []string{path, aside} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != privateFile {
			t.Errorf("%s: mode %v, error %v", file, info.Mode(), err)
		}
	}
	if kept, err := inspect(t.Context(), aside); err != nil || kept.Tokens != 2 {
		t.Errorf("kept is %+v, error %v", kept, err)
	}
	restored := open(t, path, Options{})
	if _, err := restored.Token(t.Context(), last.ID); latchward.ErrorCode(err) != latchward.CodeNotFound {
		t.Errorf("a token that the backup does not have: %v", err)
	}
	if _, err := restored.Token(t.Context(), first.ID); err != nil {
		t.Error(err)
	}
	if next := addToken(t, restored, owner, 3); next.ID <= last.ID {
		t.Errorf("id %d was given again", next.ID)
	}
	if restored.history == s.history {
		t.Error("two databases have one history")
	}
}

// bar 134: a database that does not know what happened since the backup is not believed.
func TestRestoreDoubts(t *testing.T) {
	path := newPath(t)
	s := open(t, path, Options{})
	owner := addUser(t, s)
	addToken(t, s, owner, 1)
	early := backupOf(t, path)
	addToken(t, s, owner, 2)
	late := backupOf(t, path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other := newPath(t)
	if err := open(t, other, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ at, backup, why string }{
		{newPath(t), late, "no database"},
		{other, late, "another one"},
		{early, late, "older than the backup"},
		{path, late, ""},
	} {
		r, err := Restore(t.Context(), c.at, c.backup, restoredAt)
		if err != nil {
			t.Fatal(err)
		}
		if got := latchward.ErrorMessage(r.Unknown); r.Unknown == nil != (c.why == "") ||
			c.why != "" && !strings.Contains(got, c.why) {
			t.Errorf("unknown because %q, want %q", got, c.why)
		}
		if n, err := r.Deactivate(t.Context()); err != nil || n != 2 {
			t.Errorf("%d tokens were deactivated, error %v", n, err)
		}
		if err := r.Abandon(); err != nil {
			t.Error(err)
		}
	}
}
