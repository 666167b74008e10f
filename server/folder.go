package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/latchward/latchward"
)

// openFolder makes the data folder if it is missing. That nobody else is at work in it is for the database to say.
func openFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return invalidf("data", "the data folder cannot be made: %s", reasonOf(err))
	}
	return checkFolder(path)
}

// checkFolder refuses a folder in which others could replace files.
func checkFolder(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return invalidf("data", "the data folder cannot be read: %s", reasonOf(err))
	}
	if !info.IsDir() {
		return invalidf("data", "the data folder %s is a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return invalidf("data", "others may write to the data folder %s (mode %04o); run: chmod 700 %s", path, mode, path)
	}
	return nil
}

// invalidf returns an error of code invalid about a setting, which its message begins with.
func invalidf(key, format string, args ...any) error {
	err := latchward.Errorf(latchward.CodeInvalid, key+": "+format, args...)
	err.Field = key
	return err
}

// readPrivate returns the text of a file that nobody else may read; fs.ErrNotExist is in the error's chain when there
// is none.
func readPrivate(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return text, checkPrivate(path, 0o077)
}

// writePrivate replaces the file at path by text, for its owner only, such that after a crash either the old or the
// new text is there.
func writePrivate(path string, text []byte) error {
	folder := filepath.Dir(path)
	temporary, err := os.CreateTemp(folder, filepath.Base(path)+".*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(text)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return err
	}
	return syncFolder(folder)
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
