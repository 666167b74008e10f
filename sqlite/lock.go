package sqlite

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/latchward/latchward"
)

// ErrLocked is in the chain of what [Open] and [Schema] return while another process, or another Store of this one, has
// the database open.
var ErrLocked = errors.New("the database is open elsewhere")

// fileLock keeps every other process out. It locks a file of its own, with flock(2): SQLite's locks on the database are
// of the other kind, which the system drops as soon as this process closes any descriptor of that file. The file
// stays when the lock goes, because deleting it would let two processes lock two files of the same name.
type fileLock struct{ file *os.File }

// lockFile takes the lock for the database at path or returns an Error of code conflict at once.
func lockFile(path string) (*fileLock, error) {
	file, err := os.OpenFile(path+lockSuffix, os.O_RDWR|os.O_CREATE, privateFile)
	if err != nil {
		return nil, cannotOpen(path, err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return &fileLock{file}, nil
	}
	_ = file.Close()
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, cannotOpen(path, err)
	}
	return nil, &latchward.Error{
		Code:    latchward.CodeConflict,
		Message: "Another process has the database " + path + " open: stop it first, or send it your command.",
		Err:     ErrLocked,
	}
}

func (l *fileLock) release() error { return l.file.Close() }
