//go:build !race

package sqlite

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// S1-12, bar 4: nothing that is written to disk holds a secret, whole or in part, in any spelling.
func TestNoSecretOnDisk(t *testing.T) {
	s := open(t, newPath(t), Options{})
	secrets := issue(t, s, latchtest.Scale(1000, 25))
	files, err := filepath.Glob(s.path + "*")
	if err != nil || len(files) < 3 {
		t.Fatalf("files %q, error %v: want database, log and index at least", files, err)
	}
	for _, file := range files {
		content := readFile(t, file)
		for _, secret := range secrets {
			for _, spelling := range spellings(secret.Expose()) {
				if bytes.Contains(content, spelling) {
					t.Fatalf("%s holds %q of a secret", filepath.Base(file), spelling)
				}
			}
		}
		if len(content) > 0 && filepath.Ext(file) == ".db-wal" && !bytes.Contains(content, []byte("a token to look for")) {
			t.Errorf("%s does not hold what was written: the test looks in the wrong place", filepath.Base(file))
		}
	}
}

// issue creates tokens as the service does and returns their secrets, rotated ones too.
func issue(t *testing.T, s *Store, n int) (secrets []latchward.Secret) {
	t.Helper()
	ring, err := latchward.GenerateKeyRing(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	service, err := latchward.New(t.Context(), latchward.Options{Store: s, Keys: ring})
	if err != nil {
		t.Fatal(err)
	}
	administrator := latchward.Principal{Type: latchward.PrincipalLocal, Administrator: true}
	ctx := latchward.WithPrincipal(context.Background(), administrator)
	owner := &latchward.Owner{Type: latchward.OwnerUser, ID: int64(addUser(t, s).ID)}
	for range n {
		issued, err := service.CreateToken(ctx, latchward.NewToken{Name: "a token to look for", Owner: owner})
		if err != nil {
			t.Fatal(err)
		}
		rotated, err := service.RotateToken(ctx, issued.Token.ID, latchward.Rotation{})
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, issued.Secret, rotated.Secret)
	}
	return secrets
}

// spellings returns a secret in the forms in which it might have been kept, and every part of 12 characters behind
// what lists show.
func spellings(secret string) [][]byte {
	reversed := []byte(secret)
	slices.Reverse(reversed)
	forms := [][]byte{
		[]byte(secret), reversed, []byte(hex.EncodeToString([]byte(secret))),
		[]byte(base64.StdEncoding.EncodeToString([]byte(secret))),
		[]byte(base64.RawURLEncoding.EncodeToString([]byte(secret))),
	}
	hidden := secret[len(latchward.DefaultPrefix)+11:] // behind the key id
	for i := range len(hidden) - 11 {
		forms = append(forms, []byte(hidden[i:i+12]))
	}
	return forms
}
