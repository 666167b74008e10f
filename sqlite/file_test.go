package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/latchward/latchward"
)

// bar 72: nobody else may read the files, whatever the umask.
func TestFilesArePrivate(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	path := newPath(t)
	s := open(t, path, Options{})
	addUser(t, s)
	for _, suffix := range []string{"", "-wal", "-shm", lockSuffix} {
		checkPrivate(t, path+suffix)
	}
}

func TestWiderPermissionsAreTakenBack(t *testing.T) {
	path := newPath(t)
	for _, suffix := range []string{"", lockSuffix} {
		if err := os.WriteFile(path+suffix, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	open(t, path, Options{})
	for _, suffix := range []string{"", "-wal", "-shm", lockSuffix} {
		checkPrivate(t, path+suffix)
	}
}

func checkPrivate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != privateFile {
		t.Errorf("%s has mode %v, want %v", filepath.Base(path), info.Mode().Perm(), fs.FileMode(privateFile))
	}
}

// A path is a file name and nothing else, whatever it looks like to a parser of addresses.
func TestOddPaths(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"a b?mode=memory&_pragma=x#100%25;ü.db", ":memory:", "file:x.db"} {
		path := filepath.Join(folder, name)
		id := addUser(t, open(t, path, Options{})).ID
		if info, err := os.Stat(path); err != nil || id == 0 {
			t.Errorf("%q: no such file: %v, %v", name, info, err)
		}
	}
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	open(t, "latchward.db", Options{})
	if _, err := os.Stat("latchward.db"); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesBadPaths(t *testing.T) {
	folder := t.TempDir()
	for path, want := range map[string]latchward.Code{
		"":                                  latchward.CodeInvalid,
		folder:                              latchward.CodeUnavailable,
		filepath.Join(folder, "no", "x.db"): latchward.CodeUnavailable,
	} {
		s, err := Open(context.Background(), path, Options{})
		if s != nil || latchward.ErrorCode(err) != want {
			t.Errorf("Open(%q) returned %v, want code %s", path, err, want)
		}
	}
}

// bar 71: the second refuses at once, also under another name of the file, and the first is not disturbed.
func TestOneStoreAtATime(t *testing.T) {
	path := newPath(t)
	s := open(t, path, Options{})
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		if second, err := Open(t.Context(), name, Options{}); second != nil || !locked(err) {
			t.Errorf("a second Open of %s returned %v, want ErrLocked", name, err)
		}
		if _, err := Schema(t.Context(), name); !locked(err) {
			t.Errorf("Schema of an open database returned %v, want ErrLocked", err)
		}
	}
	if output := runChild(t, "open", path); output != "conflict true\n" {
		t.Errorf("another process got %q, want a conflict that is ErrLocked", output)
	}
	addUser(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if output := runChild(t, "open", path); output != " false\n" {
		t.Errorf("another process got %q after the first had closed, want no error", output)
	}
}

func locked(err error) bool {
	return errors.Is(err, ErrLocked) && latchward.ErrorCode(err) == latchward.CodeConflict
}

func TestSymlinkToNothingYet(t *testing.T) {
	folder := t.TempDir()
	if err := os.Symlink(filepath.Join(folder, "real.db"), filepath.Join(folder, "link.db")); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), filepath.Join(folder, "link.db"), Options{}); err == nil {
		t.Errorf("Open through a dangling link succeeded: %v", s.Close())
	}
}
