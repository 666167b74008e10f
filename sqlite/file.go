package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/latchward/latchward"
)

const (
	privateFile   = 0o600 // read and write for the owner alone
	everybodyElse = 0o077
	lockSuffix    = ".lock"
)

// resolve returns the one name of the file at path, so that a lock taken under one name holds under all.
func resolve(path string) (string, error) {
	if path == "" {
		return "", latchward.Invalid("path", "name the database file")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", cannotOpen(path, err)
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		folder, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return "", cannotOpen(path, err)
		}
		return filepath.Join(folder, filepath.Base(path)), nil
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", cannotOpen(path, err)
	}
	if info, err := os.Stat(target); err != nil || !info.Mode().IsRegular() {
		return "", cannotOpen(path, errors.Join(err, errors.New("it is not a file")))
	}
	return target, nil
}

// makePrivate creates the database file if there is none, and takes from everybody else the right to open it and the
// files beside it (bar 72). SQLite gives the files it creates the permissions of the database file, whatever the
// umask. Must run before SQLite opens the file; see fileLock.
func makePrivate(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, privateFile)
	switch {
	case err == nil:
		if err := errors.Join(file.Close(), syncFolder(path)); err != nil {
			return cannotOpen(path, err)
		}
	case !errors.Is(err, fs.ErrExist):
		return cannotOpen(path, err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", lockSuffix} {
		if err := tighten(path + suffix); err != nil {
			return cannotOpen(path, err)
		}
	}
	return nil
}

func tighten(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || info.Mode().Perm()&everybodyElse == 0 {
		return err
	}
	return os.Chmod(path, info.Mode().Perm()&^everybodyElse)
}

// syncFolder makes the name of a new file survive a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func cannotOpen(path string, err error) error {
	return &latchward.Error{
		Code:    latchward.CodeUnavailable,
		Message: "The database " + path + " cannot be opened: check that its folder exists and that this user owns both.",
		Err:     err,
	}
}
