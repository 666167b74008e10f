package server_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

// bar 134: what was revoked, rotated, disabled or deleted after a backup, or whose owner was disabled, gets nobody in
// once the backup is restored, whether the replaced database or an export of the audit log tells. What did not change
// works as before.
func TestRestoreRevivesNothing(t *testing.T) {
	t.Run("database", func(t *testing.T) { testRestoreRevivesNothing(t, false) })
	t.Run("audit export", func(t *testing.T) { testRestoreRevivesNothing(t, true) })
}

// exportAudit writes the audit log to a file.
func exportAudit(t *testing.T, client *rest.Client) string {
	t.Helper()
	export, err := client.ExportAudit(t.Context(), rest.AuditExportQuery{})
	if err != nil {
		t.Fatal(err)
	}
	defer export.Close()
	text, err := io.ReadAll(export)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "audit.ndjson")
	write(t, path, string(text), 0o600)
	return path
}

func testRestoreRevivesNothing(t *testing.T, lost bool) {
	c := settings(t, folder(t), "upstreams", upstream(t))
	r := start(t, c)
	admin := r.administrator(t)
	kept := r.victim(t)
	ended := map[string]victim{}
	for _, how := range []string{"revoke", "rotate", "disable", "delete", "owner"} {
		ended[how] = r.victim(t)
		get(t, r.URL()+"/api/products", "Bearer "+ended[how].secret).want(t, how, 200)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := server.Backup(t.Context(), c, backup, nil); err != nil {
		t.Fatal(err)
	}
	_, err1 := admin.RevokeToken(t.Context(), ended["revoke"].id, rest.Revocation{Reason: rest.Some("leaked")})
	rotated, err2 := admin.RotateToken(t.Context(), ended["rotate"].id, rest.Rotation{})
	_, err3 := admin.UpdateToken(t.Context(), ended["disable"].id, rest.TokenChange{Active: new(bool)})
	_, err4 := admin.DeleteToken(t.Context(), ended["delete"].id)
	_, err5 := admin.UpdateUser(t.Context(), ended["owner"].user, rest.UserChange{Active: new(bool)})
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			t.Fatal(err)
		}
	}
	options := server.RestoreOptions{File: backup}
	if lost {
		options.AuditExport = exportAudit(t, admin)
	}
	ended["rotated to"] = victim{secret: rotated.Token.Secret.Expose()}
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}

	if lost {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(filepath.Join(c.Data, "latchward.db"+suffix))
		}
	}
	done, err := server.Restore(t.Context(), c, options)
	if err != nil || done.Unknown != "" || len(done.Revoked) != 4 || done.DisableUsers != 1 || (done.Replaced == "") != lost ||
		(done.Known.Entries == 5) != lost {
		t.Fatalf("%+v, error %v", done, err)
	}
	r = start(t, c)
	get(t, r.URL()+"/api/products", "Bearer "+kept.secret).want(t, "kept", 200)
	for how, v := range ended {
		get(t, r.URL()+"/api/products", "Bearer "+v.secret).want(t, how, 401)
	}
	token, err := r.administrator(t).Token(t.Context(), ended["rotate"].id)
	if err != nil || token.Token.RevokeNote == nil || *token.Token.RevokeNote != latchward.RestoreReason {
		t.Errorf("%+v, error %v", token.Token, err)
	}
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
}

// bar 134: where nobody knows what changed, nobody gets in, unless that is asked for. The database that cannot be read
// is kept.
func TestRestoreOverDamage(t *testing.T) {
	c, secret := used(t)
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := server.Backup(t.Context(), c, backup, nil); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(c.Data, "latchward.db")
	for _, test := range []struct {
		accept bool
		status int
	}{{false, 401}, {true, 200}} {
		write(t, database, "damaged", 0o600)
		done, err := server.Restore(t.Context(), c, server.RestoreOptions{File: backup, AcceptResurrection: test.accept})
		if err != nil || done.Unknown == "" || (done.Deactivated == 1) == test.accept || len(done.Revoked) > 0 {
			t.Fatalf("accept %v: %+v, error %v", test.accept, done, err)
		}
		if read(t, done.Replaced) != "damaged" {
			t.Errorf("%s is not what was replaced", done.Replaced)
		}
		r := start(t, c)
		get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "restored", test.status)
		if err := r.wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// A restore that is refused, and a dry run, leave the data folder as it was (bar 135).
func TestRestoreRefusesWrongKeys(t *testing.T) {
	c, _ := used(t)
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := server.Backup(t.Context(), c, backup, nil); err != nil {
		t.Fatal(err)
	}
	before := names(t, c.Data)
	if _, err := server.Restore(t.Context(), c, server.RestoreOptions{File: backup, DryRun: true}); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(c.Data, "keys")
	ring := read(t, keys)
	other, _ := used(t)
	write(t, keys, read(t, filepath.Join(other.Data, "keys")), 0o600)
	_, err := server.Restore(t.Context(), c, server.RestoreOptions{File: backup})
	if latchward.ErrorCode(err) != latchward.CodeConflict ||
		!strings.Contains(err.Error(), "put back the right key file") {
		t.Errorf("with another key ring: %v", err)
	}
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	_, err = server.Restore(t.Context(), c, server.RestoreOptions{File: backup})
	if latchward.ErrorCode(err) != latchward.CodeConflict || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("without a key ring: %v", err)
	}
	write(t, keys, ring, 0o600)
	if after := names(t, c.Data); after != before {
		t.Errorf("in the folder is %s, was %s", after, before)
	}
}

func names(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}
