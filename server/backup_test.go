package server_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

// bar 133: no key, in any of its spellings, and no secret of a token is in a backup.
func TestBackupHoldsNoKeys(t *testing.T) {
	c := settings(t, folder(t), "upstreams", upstream(t))
	r := start(t, c)
	_, secret := r.token(t, rest.NewToken{})
	to := filepath.Join(t.TempDir(), "backup")
	if _, err := server.Backup(t.Context(), c, to, nil); err != nil { // while the server runs
		t.Fatal(err)
	}
	backup, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	hidden := [][]byte{[]byte(secret)}
	for line := range strings.Lines(read(t, filepath.Join(c.Data, "keys"))) {
		if fields := strings.Fields(line); len(fields) == 5 && fields[0] == "key" {
			key, err := hex.DecodeString(fields[4])
			if err != nil {
				t.Fatal(err)
			}
			hidden = append(hidden, []byte(fields[4]), key)
		}
	}
	if len(hidden) != 3 {
		t.Fatalf("%d secrets to look for", len(hidden))
	}
	for i, text := range hidden {
		if bytes.Contains(backup, text) {
			t.Errorf("secret %d is in the backup", i)
		}
	}
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
}
