package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/latchward/latchward"
)

// children are what this test binary does when a test starts it again, with the path of a database.
var children = map[string]func(path string) error{
	"open":    openInChild,
	"migrate": migrateInChild,
	"load":    loadInChild,
	"backup":  backupInChild,
	"bulk":    bulkInChild,
}

const childVariable = "LATCHWARD_TEST_CHILD"

func TestMain(m *testing.M) {
	if child := children[os.Getenv(childVariable)]; child != nil {
		if err := child(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// childTime is far longer than any child lives on the slowest machine.
const childTime = 2 * time.Minute

// newChild returns the command that does one of children with a database. A child that hangs is made to show what its
// goroutines are waiting for, on standard error, and ends.
func newChild(t *testing.T, what, path string, env ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), childTime)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, path)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGQUIT) }
	cmd.WaitDelay = 10 * time.Second // then it is killed
	cmd.Env = append(append(os.Environ(), "GOTRACEBACK=all", childVariable+"="+what), env...)
	cmd.Stderr = os.Stderr
	return cmd
}

// runChild returns what a child wrote.
func runChild(t *testing.T, what, path string) string {
	t.Helper()
	var output bytes.Buffer
	cmd := newChild(t, what, path)
	cmd.Stdout = &output
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return output.String()
}

func openInChild(path string) error {
	s, err := Open(context.Background(), path, Options{})
	fmt.Println(latchward.ErrorCode(err), errors.Is(err, ErrLocked))
	if err != nil {
		return nil
	}
	return s.Close()
}

// addUser saves a new user.
func addUser(t testing.TB, s *Store) *latchward.User {
	t.Helper()
	u := &latchward.User{Name: "Ada", Active: true}
	if _, err := s.Tx(context.Background(), func(tx latchward.Tx) error { return tx.SaveUser(u) }); err != nil {
		t.Fatal(err)
	}
	return u
}

// credential returns the n-th of many different credentials.
func credential(n int) (c latchward.Credential) {
	copy(c.KeyID[:], fmt.Sprintf("1%010d", n))
	copy(c.Digest[:], fmt.Sprintf("digest %d", n))
	return c
}

// newToken returns a token that is not saved yet.
func newToken(owner *latchward.User, n int) *latchward.Token {
	return &latchward.Token{
		Name: fmt.Sprintf("token %d", n), Kind: latchward.KindPersonal, Active: true, RateLimit: 100,
		Owner:  latchward.Owner{Type: latchward.OwnerUser, ID: int64(owner.ID)},
		Secret: credential(n), Prefix: "lw_10000000",
	}
}

// addToken saves a new token.
func addToken(t testing.TB, s *Store, owner *latchward.User, n int) *latchward.Token {
	t.Helper()
	token := newToken(owner, n)
	if _, err := s.Tx(context.Background(), func(tx latchward.Tx) error { return tx.SaveToken(token) }); err != nil {
		t.Fatal(err)
	}
	return token
}
