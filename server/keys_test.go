package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

// refuses checks that a server does not start, and says why.
func refuses(t *testing.T, c server.Config, code latchward.Code, texts ...string) {
	t.Helper()
	s, err := server.Open(t.Context(), c)
	if err == nil {
		s.Close()
		t.Fatalf("the server starts; it should say %q", texts)
	}
	if latchward.ErrorCode(err) != code {
		t.Errorf("code %s, want %s: %v", latchward.ErrorCode(err), code, err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("no %q in: %v", text, err)
		}
	}
}

// used returns a data folder with a token in it, its configuration and the token's secret.
func used(t *testing.T) (server.Config, string) {
	t.Helper()
	c := settings(t, folder(t), "upstreams", upstream(t))
	r := start(t, c)
	_, secret := r.token(t, rest.NewToken{})
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	return c, secret
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// bar 135: no start without the right key, and never a new one over existing data.
func TestMissingAndWrongKeyRing(t *testing.T) {
	c, secret := used(t)
	path := filepath.Join(c.Data, "keys")
	ring := read(t, path)
	parsed, err := latchward.ParseKeyRing([]byte(ring))
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := parsed.Versions()[0].Fingerprint

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refuses(t, c, latchward.CodeConflict, "is missing", "server key v1", fingerprint)
	if err := server.Check(c); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("Check: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a new key ring was made over existing data")
	}

	other, _ := used(t)
	write(t, path, read(t, filepath.Join(other.Data, "keys")), 0o600)
	refuses(t, c, latchward.CodeConflict, "v1", fingerprint)

	write(t, path, "key 1 broken\n", 0o600)
	refuses(t, c, latchward.CodeInvalid, "line 1 of the key ring")

	write(t, path, ring, 0o600)
	r := start(t, c)
	get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "with the right key ring", 200)
}

// bar 72, 139
func TestKeyFileOpenToOthers(t *testing.T) {
	c, _ := used(t)
	path := filepath.Join(c.Data, "keys")
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		refuses(t, c, latchward.CodeInvalid, path, "is open to others", "chmod 600")
		if err := server.Check(c); err == nil || !strings.Contains(err.Error(), "is open to others") {
			t.Errorf("mode %04o: Check does not agree: %v", mode, err)
		}
	}
}

// bar 72
func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	data := filepath.Join(folder(t), "made")
	r := start(t, settings(t, data, "upstreams", upstream(t)))
	_, secret := r.token(t, rest.NewToken{})
	get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "request", 200)
	if _, err := r.administrator(t).RotateKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(data)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data folder: mode %v, %v", info.Mode(), err)
	}
	seen := map[string]bool{}
	err = filepath.WalkDir(data, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		seen[entry.Name()] = true
		want := os.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		}
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v", entry.Name(), info.Mode(), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"latchward.db", "latchward.db-wal", "keys", "jwt-secret", "latchward.sock", "ring-0"} {
		if !seen[name] {
			t.Errorf("%s is not there: %v", name, seen)
		}
	}
}

func TestFolderThatOthersCanWriteTo(t *testing.T) {
	data := folder(t)
	if err := os.Chmod(data, 0o777); err != nil {
		t.Fatal(err)
	}
	c := settings(t, data)
	refuses(t, c, latchward.CodeInvalid, "others may write to the data folder")
	if err := server.Check(c); err == nil {
		t.Error("Check does not agree")
	}
	file := filepath.Join(folder(t), "file")
	write(t, file, "", 0o600)
	refuses(t, settings(t, file), latchward.CodeInvalid, "data folder")
}

func TestRotateAndDropKeys(t *testing.T) {
	c, old := used(t)
	path := filepath.Join(c.Data, "keys")
	before := read(t, path)
	r := start(t, c)
	client := r.administrator(t)
	keys, err := client.RotateKey(t.Context())
	if err != nil || len(keys.Keys) != 2 || !keys.Keys[1].Current || keys.Keys[0].Tokens != 1 {
		t.Fatalf("rotated: %+v, %v", keys, err)
	}
	if ring := read(t, path); ring == before || !strings.Contains(ring, "key 2") {
		t.Error("the file does not hold the new key")
	}
	_, fresh := r.token(t, rest.NewToken{})
	for what, secret := range map[string]string{"old": old, "new": fresh} {
		get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, what+" secret", 200)
	}
	if _, err := client.DropKey(t.Context(), 2); latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Errorf("dropping the current key: %v", err)
	}
	if _, err := client.DropKey(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	get(t, r.URL()+"/api/products", "Bearer "+old).want(t, "secret under the dropped key", 401)
	get(t, r.URL()+"/api/products", "Bearer "+fresh).want(t, "secret under the current key", 200)
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}

	r = start(t, c) // with the file as it is now
	get(t, r.URL()+"/api/products", "Bearer "+fresh).want(t, "after a restart", 200)
	get(t, r.URL()+"/api/products", "Bearer "+old).want(t, "after a restart, under the dropped key", 401)
}

// bar 136: a crash between the two steps of a change leaves what the next start goes on from.
func TestCrashWhileChangingKeys(t *testing.T) {
	c, secret := used(t)
	path := filepath.Join(c.Data, "keys")
	r := start(t, c)
	if _, err := r.administrator(t).RotateKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	two := read(t, path)
	if _, err := r.administrator(t).DropKey(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	write(t, path, two, 0o600) // the database has forgotten version 1, the file has not
	r = start(t, c)
	get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "the key is back and can be dropped again", 200)
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}

	fresh, _ := used(t)
	path = filepath.Join(fresh.Data, "keys")
	ring, err := latchward.ParseKeyRing([]byte(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	next, err := ring.Rotate(strings.NewReader(strings.Repeat("0123456789abcdef", 4)), ring.Versions()[0].CreatedAt)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(next.Marshal()), 0o600) // the file has version 2, the database has not heard of it
	r = start(t, fresh)
	if status, err := r.administrator(t).KeyStatus(t.Context()); err != nil || len(status.Keys) != 2 {
		t.Errorf("status %+v, %v", status, err)
	}
}

func TestKeyRingFromTheConfiguration(t *testing.T) {
	c, secret := used(t)
	path := filepath.Join(c.Data, "keys")
	c.Keys = latchward.SecretFromText(read(t, path))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r := start(t, c)
	get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "request", 200)
	if _, err := r.administrator(t).RotateKey(t.Context()); latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Errorf("rotating what cannot be kept: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a key ring was written all the same")
	}
}

func TestJWTSecretFile(t *testing.T) {
	c, _ := used(t)
	path := filepath.Join(c.Data, "jwt-secret")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	refuses(t, c, latchward.CodeInvalid, "is open to others")
	write(t, path, "short", 0o600)
	refuses(t, c, latchward.CodeInvalid, "is too short")
	if err := server.Check(c); err == nil {
		t.Error("Check does not agree")
	}
}

// bar 71
func TestSecondServerOnTheSameFolder(t *testing.T) {
	c := settings(t, folder(t), "upstreams", upstream(t))
	r := start(t, c)
	refuses(t, c, latchward.CodeConflict, "Another process has the database")
	_, secret := r.token(t, rest.NewToken{})
	get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "the first one", 200)
}

func TestAddressInUse(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	c := settings(t, folder(t), "api.listen", strings.TrimPrefix(r.URL(), "http://"))
	refuses(t, c, latchward.CodeInvalid, "api.listen", "address already in use")
	s, err := server.Open(t.Context(), settings(t, c.Data)) // what was opened before was given back
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
